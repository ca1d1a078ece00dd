"""How studies judge detectors: on pictures with boxes, by COCO's average precision."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field

from netx.errors import MonospikeError
from pipeline.core.judging import BenchmarkSection, Figure, Form, Judge
from pipeline.core.operations import Work
from pipeline.datasets.config import DetectionData
from pipeline.datasets.detection import open_detection, open_detections
from pipeline.datasets.locations import located
from pipeline.tasks.detection.checkpoint import load_with_processing
from pipeline.tasks.detection.config import TrainingConfig
from pipeline.tasks.detection.models.config import SpikingYoloxConfig
from pipeline.tasks.detection.operations import Squares, shown_squares, work


class DetectionBenchmark(BenchmarkSection):
    """Pictures with boxes; several data sets count as one, under the classes of the model."""

    name: Literal["detection"] = "detection"
    label: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 _.-]*$", description="what tables and goals call it")
    roots: tuple[str, ...] = Field(min_length=1)
    annotations: str | None = Field(None, description="COCO's JSON file, where a single root has several")
    split: str | None = Field(None, description="part of every data set")

    @property
    def title(self) -> str:
        return self.label

    @property
    def data_name(self) -> str:
        return self.file_name

    def shown(self) -> dict[str, Any]:
        """Without what it is called."""
        return {key: value for key, value in super().shown().items() if key != "label"}

    @property
    def sets(self) -> list[DetectionData]:
        """The data sets."""
        return [DetectionData(root=root, annotations=self.annotations, split=self.split) for root in self.roots]


class DetectionJudge(Judge):
    """See ``pipeline.core.judging.Judge``."""

    benchmark_type = DetectionBenchmark
    figures = (Figure("map", "mAP"), Figure("map50", "mAP50"), Figure("map75", "mAP75"))
    part, parts = "class", "classes"
    own_losses = ("detection", "spike_rate")
    code: ClassVar[tuple[str, ...]] = tuple(
        f"pipeline.tasks.detection.{name}" for name in ("metrics.evaluate", "checkpoint", "operations")
    )
    frame = "Of a picture, all that is a network"
    scopes = "*Backbone* is what comes before the neck, *full* adds neck and heads."

    def time_steps(self, architecture: Any) -> int | None:
        return 1 if isinstance(architecture, SpikingYoloxConfig) else None

    def size(self, benchmark: DetectionBenchmark) -> int:
        """Pictures. Raises DataError or FormatError where a root holds none."""
        return sum(len(open_detection(data)) for data in benchmark.sets)

    def test_folders(self, benchmark: DetectionBenchmark) -> Iterator[Path]:
        return _folders(benchmark.sets)

    def training_folders(self, config: TrainingConfig) -> Iterator[Path]:
        return _folders([*config.data.sets, *config.validation.sets])

    def arguments(self, model: str, form: Form, benchmark: DetectionBenchmark, out: Path) -> tuple[str, ...]:
        roots = [word for root in benchmark.roots for word in ("--root", root)]
        options = (("--annotations", benchmark.annotations), ("--split", benchmark.split))
        asked = [word for option, value in options if value is not None for word in (option, value)]
        return ("evaluate", "detection", *roots, *asked, "--model", model, "--engine", form, "--out", str(out))

    def alone(self, address: str | None) -> tuple[str, ...]:
        if address is not None:
            raise MonospikeError("--address: detectors are evaluated on this machine; leave it out")
        return ()

    def finished(self, out: Path) -> int:
        """Pictures whose answers are there."""
        files = (out.parent / f"{out.stem}-answers").glob("*.jsonl")
        return sum(file.read_bytes().count(b"\n") for file in files)

    def scores(self, content: Mapping[str, Any], benchmark: DetectionBenchmark) -> dict[str, Any]:
        del benchmark
        classes = {name: row[self.main.key] for name, row in content["per_class"].items()}
        return {**{figure.key: content[figure.key] for figure in self.figures}, self.parts: classes}

    def words(self, benchmark: DetectionBenchmark) -> str:
        return (
            f"Pictures of {', '.join(Path(root).name for root in benchmark.roots)}. mAP is COCO's average precision "
            "over IoU .5 to .95 and over the classes that occur there, mAP50 and mAP75 that at one IoU."
        )

    def counting(self, benchmark: DetectionBenchmark) -> Callable[[Path], Work]:
        shown: dict[int, Squares] = {}

        def counted(checkpoint: Path) -> Work:
            model, settings = load_with_processing(checkpoint)
            side = model.config.side
            if side not in shown:
                shown[side] = shown_squares(open_detections(benchmark.sets, settings.classes).pictures, side)
            return work(model, shown[side])

        return counted


def _folders(sets: Any) -> Iterator[Path]:
    for data in sets:
        yield located(data.root)
        if data.annotations is not None:
            yield located(data.annotations)
