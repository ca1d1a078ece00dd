"""``monospike segment``: a segmenter on a video."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from netx.files import check_places
from pipeline.cli.options import open_segmenter


@dataclass(frozen=True)
class SegmentOptions:
    """Arguments and options of ``segment``."""

    source: Annotated[
        Path, typer.Argument(metavar="SEQUENCE", help="A folder of pictures, or a video OpenCV can decode.")
    ]
    mask: Annotated[
        Path,
        typer.Option("--mask", help="The first frame's mask: a PNG with a number an object, or 255 for one alone."),
    ]
    model: Annotated[str, typer.Option("--model", help="A packaged model, a .safetensors file, or still.")]
    engine: Annotated[str, typer.Option("--engine", help="float or integer: the form of a student.")] = "float"
    out: Annotated[Path, typer.Option("--out", help="Folder for the masks and the GIF.")] = Path("runs/segment")


def segment(options: SegmentOptions) -> None:
    """Follow the objects that a mask of the first frame marks, through all frames.

    Leaves in --out a palette PNG for each frame, in masks/, and a GIF of the frames with their masks. Interrupted, it
    still writes what it has come to, and ends with 1. The model "still" is a first mask that never moves.
    """
    from pipeline.core.progress import Progress
    from pipeline.tasks.segmentation.segment import MASKS
    from pipeline.tasks.segmentation.segment import segment as follow_objects

    progress = Progress()
    check_places(options.out / "any")
    segmenter = open_segmenter(options.model, options.engine)
    frames, whole = follow_objects(options.source, options.mask, segmenter, options.out, progress)
    progress.say(f"frames: {frames}; masks are in {options.out / MASKS}, and a GIF in {options.out}")
    if not whole:
        raise typer.Exit(1)
