"""Options that commands share, and what they mean."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer

from netx.errors import MonospikeError

if TYPE_CHECKING:
    from pipeline.config import TrackerConfig
    from pipeline.crop import Box

TrackerOption = Annotated[
    str, typer.Option("--tracker", help="fixed, nanotrack, a packaged student such as demo, or a .safetensors file.")
]
WeightsOption = Annotated[
    Path | None, typer.Option("--weights", help="Folder of NanoTrack v2's ONNX files.", show_default=False)
]
ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", help="YAML run whose tracker section sets a student's post-processing."),
]


def tracker_settings(config: Path | None) -> TrackerConfig:
    """The tracker section of a run's configuration, or the defaults. Raises ConfigError."""
    from pipeline.config import TrackerConfig, load_config

    return TrackerConfig() if config is None else load_config(config).tracker


def parsed_box(box: str | None) -> Box | None:
    """``x,y,width,height`` as numbers. Raises MonospikeError."""
    if box is None:
        return None
    try:
        values = np.array([float(word) for word in box.split(",")])
    except ValueError:
        values = np.empty(0)
    if values.shape != (4,):
        raise MonospikeError(f"--box {box!r}: expected x,y,width,height, such as 120,80,32,48")
    return values
