"""Options of ``monospike evaluate``, for every task together."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from netx.errors import MonospikeError
from pipeline.cli.options import AddressOption, ConfigOption, JobsOption, TrackerOption, WeightsOption


@dataclass(frozen=True)
class EvaluateOptions:
    """Of ``monospike evaluate``."""

    benchmark: Annotated[
        str,
        typer.Argument(
            metavar="BENCHMARK",
            help="otb100, uav123, lasot, vot2018, got10k-train, -val or -test, shared-test, or folder (OTB layout); "
            "or detection: pictures with boxes in Pascal VOC's, COCO's or YOLO's layout; "
            "or davis16, davis17, youtube-vos, masks (NAME/img/, NAME/mask/): videos with masks.",
        ),
    ]
    out: Annotated[Path, typer.Option("--out", help="JSON file of the scores; a page of the same name lies beside it.")]
    roots: Annotated[
        list[Path] | None,
        typer.Option("--root", help="Where the benchmark lies; several of detection count as one.", show_default=False),
    ] = None
    tracker: TrackerOption = "demo"
    engine: Annotated[str, typer.Option("--engine", help="float or integer: the form of a student.")] = "float"
    absent: Annotated[
        str | None,
        typer.Option("--absent", help="Frames without the object: drop or failure.", show_default="the usual one"),
    ] = None
    starts: Annotated[
        int,
        typer.Option("--starts", min=1, help="Frames to start a sequence from: the first, or as many, spread evenly."),
    ] = 1
    single_frame: Annotated[
        int,
        typer.Option(
            "--single-frame",
            min=0,
            metavar="N",
            help="Do not follow: from each start search N frames, each around a box near the true one.",
        ),
    ] = 0
    model: Annotated[
        str | None,
        typer.Option("--model", help="A detector or segmenter: a packaged model, a .safetensors file, or still."),
    ] = None
    annotations: Annotated[
        Path | None, typer.Option("--annotations", help="For detection: COCO's JSON file, where the root has several.")
    ] = None
    split: Annotated[
        str | None, typer.Option("--split", help="Of pictures or masks: which part of the data set, such as val.")
    ] = None
    looks: Annotated[int | None, typer.Option("--looks", min=0, hidden=True)] = None
    weights: WeightsOption = None
    config: ConfigOption = None
    jobs: JobsOption = None
    address: AddressOption = None

    @property
    def root(self) -> Path | None:
        """Where the benchmark lies, None where that was not said. Raises MonospikeError where it was said twice."""
        if self.roots is None or len(self.roots) < 2:
            return self.roots[0] if self.roots else None
        raise MonospikeError(f"--root: {self.benchmark!r} lies in one place; only detection takes several")
