"""``monospike detect``: a detector on pictures or a video."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from netx.files import check_places
from pipeline.cli.options import open_detector


@dataclass(frozen=True)
class DetectOptions:
    """Arguments and options of ``detect``."""

    source: Annotated[
        Path,
        typer.Argument(
            metavar="PICTURE|FOLDER|VIDEO", help="A picture, a folder of them, or a video OpenCV can decode."
        ),
    ]
    model: Annotated[str, typer.Option("--model", help="A packaged model, or a .safetensors file.")]
    engine: Annotated[str, typer.Option("--engine", help="float or integer: the form of a student.")] = "float"
    least: Annotated[float, typer.Option("--score", min=0, max=1, help="Least score of what is drawn and written.")] = (
        0.3
    )
    out: Annotated[Path, typer.Option("--out", help="Folder for the pictures and the JSON.")] = Path("runs/detect")


def detect(options: DetectOptions) -> None:
    """Find objects, draw their boxes, and write them as COCO's JSON.

    Leaves detections.json in --out, and a PNG for each picture or a GIF of a video. A picture that cannot be read costs
    the others nothing. Interrupted, it still writes what it has come to; in both cases it ends with 1.
    """
    from pipeline.core.progress import Progress
    from pipeline.model_zoo.names import checkpoint_path
    from pipeline.tasks.detection.detect import JSON_NAME
    from pipeline.tasks.detection.detect import detect as find_objects

    progress = Progress()
    check_places(options.out / JSON_NAME)
    checkpoint = checkpoint_path(options.model)
    detector = open_detector(checkpoint, options.engine)
    result = find_objects(options.source, detector, options.least, options.out, progress)
    count = sum(map(len, result.found.values()))
    progress.say(
        f"objects: {count}, pictures: {len(result.images)}; {JSON_NAME} and what is drawn are in {options.out}"
    )
    if result.failed:
        progress.say(f"{len(result.failed)} pictures could not be read")
    if result.failed or not result.whole:
        raise typer.Exit(1)
