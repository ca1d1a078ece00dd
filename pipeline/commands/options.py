"""Options that commands share, and what they mean."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from pipeline.config import TrackerConfig

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
