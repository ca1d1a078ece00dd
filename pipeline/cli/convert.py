"""``monospike convert``: a checkpoint of an older format says what it lacks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer


@dataclass(frozen=True)
class ConvertOptions:
    """Of ``monospike convert``."""

    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Checkpoints of monospike train.")]
    processing: Annotated[
        Path | None,
        typer.Option(
            "--processing",
            help="YAML file of the crops and post-processing that the weights were trained with; none for what "
            "trainings of that version had.",
            show_default=False,
        ),
    ] = None


def convert(options: ConvertOptions) -> None:
    """Add to checkpoints of an older format, in place, their task and the processing around the model.

    Weights stay as they are, bit by bit. A file that has both is left alone.
    """
    from pipeline.core.progress import Progress
    from pipeline.tasks.convert import convert_checkpoint

    progress = Progress()
    for file in options.files:
        progress.say(f"{file}: {convert_checkpoint(file, options.processing)}")
