"""``monospike diff``: two files' networks, held against each other."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.options import InputShapeOption, parsed_shape
from pipeline.core.progress import echo


@dataclass(frozen=True)
class DiffOptions:
    """Of ``monospike diff``."""

    one: Annotated[Path, typer.Argument(metavar="A", help="A .net or .nir file, a folder, a run's folder or a model.")]
    other: Annotated[Path, typer.Argument(metavar="B", help="What is held against it.")]
    frames: Annotated[Path | None, typer.Option("--frames", help="Frames for both, .npy or .npz; drawn otherwise.")] = (
        None
    )
    count: Annotated[
        int | None,
        typer.Option("--count", min=1, help="Frames to draw.", show_default="4 where something differs, else none"),
    ] = None
    seed: Annotated[int, typer.Option(help="Of the frames that are drawn.")] = 0
    input_shape: InputShapeOption = None


def diff_command(options: DiffOptions) -> None:
    """Say where two networks differ: layers, shapes, weights, thresholds, and the first spike on the same frames.

    Ends with 0 when they hold the same integers, whatever their names, and with 1 when not. Both run where something
    differs, or where --frames or --count asks for it.
    """
    # Imported here for --help, which should not wait.
    from pipeline.deploy.network_diff import Frames, diff

    found = diff(
        options.one,
        options.other,
        Frames(options.frames, options.count, options.seed),
        parsed_shape(options.input_shape),
    )
    for line in found.lines:
        echo(line)
    if not found.same:
        raise typer.Exit(1)
