"""How studies judge trackers: on sequences, by overlap, beside a box that never moves."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from math import exp
from pathlib import Path
from statistics import fmean
from typing import Any, ClassVar

from pydantic import Field, model_validator

from pipeline.core.config import say_deprecated
from pipeline.core.judging import BenchmarkSection, Figure, Form, Judge, Still
from pipeline.core.operations import Work
from pipeline.datasets.catalog import find_benchmark, open_benchmark, root_of
from pipeline.datasets.locations import located
from pipeline.tasks.tracking.checkpoint import load_with_processing
from pipeline.tasks.tracking.config import TrackerConfig, TrainingConfig
from pipeline.tasks.tracking.metrics.evaluate import open_runs
from pipeline.tasks.tracking.metrics.multi_start import sequence_of
from pipeline.tasks.tracking.metrics.single_frame import RESIZED, SHIFT
from pipeline.tasks.tracking.models.config import SiameseConfig, SpikingConfig
from pipeline.tasks.tracking.operations import View, views, work

_SHOWN = ("name", "root", "starts", "single_frame", "forms")
"""In this order scores of finished studies say what they were shown."""


class TrackingBenchmark(BenchmarkSection):
    """Sequences that trackers follow, or search frame by frame."""

    root: str | None = None
    starts: int = Field(1, ge=1, description="frames from which each sequence is followed")
    single_frame: int = Field(0, ge=0, description="frames to search from each start, in place of following")
    looks: int = Field(0, ge=0, exclude=True, description="what single_frame was called; goes with the next release")

    @model_validator(mode="after")
    def _renamed(self) -> TrackingBenchmark:
        if not self.looks:
            return self
        say_deprecated("looks", "single_frame")
        return self.model_copy(update={"single_frame": self.single_frame or self.looks, "looks": 0})

    @property
    def title(self) -> str:
        starts = [f"{self.starts} starts"] if self.starts > 1 else []
        return ", ".join([self.name, *starts, *([f"{self.single_frame} single frames"] if self.single_frame else [])])

    def shown(self) -> dict[str, Any]:
        values = super().shown()
        return {key: values[key] for key in _SHOWN}


class TrackingJudge(Judge):
    """See ``pipeline.core.judging.Judge``."""

    benchmark_type = TrackingBenchmark
    usual_benchmarks = ({"name": "shared-test"},)
    figures = (Figure("mean_iou", "mean IoU"), Figure("success", "success"), Figure("precision", "precision"))
    part, parts = "sequence", "sequences"
    own_losses = ("tracking", "spike_rate")
    still = Still("fixed", "a box that never moves")
    code: ClassVar[tuple[str, ...]] = tuple(
        f"pipeline.tasks.tracking.{name}" for name in ("metrics.evaluate", "trackers", "operations")
    )
    frame = "Of the search branch, which runs at every frame"
    scopes = "*Backbone* is the five convolutions, *full* adds neck, correlation and head."

    def time_steps(self, architecture: Any) -> int | None:
        return architecture.time_steps if isinstance(architecture, SpikingConfig) else None

    def size(self, benchmark: TrackingBenchmark) -> int:
        """Sequences, from each of their starts. Raises DataError also where a benchmark allows one start only."""
        named = find_benchmark(benchmark.name)
        return len(open_runs(named, benchmark.root, benchmark.starts, benchmark.single_frame))

    def test_folders(self, benchmark: TrackingBenchmark) -> tuple[Path, ...]:
        return (root_of(find_benchmark(benchmark.name), benchmark.root),)

    def training_folders(self, config: TrainingConfig) -> Iterator[Path]:
        for source in config.data:
            for key in ("root", "annotations"):
                if hasattr(source, key):
                    yield located(getattr(source, key))
            if getattr(source, "pictures", "builtin") != "builtin":
                yield located(source.pictures)  # type: ignore[union-attr]
        for folder in (config.validation.root, config.validation.pictures):
            if folder not in (None, "builtin"):
                yield located(folder)

    def arguments(self, model: str, form: Form, benchmark: TrackingBenchmark, out: Path) -> tuple[str, ...]:
        root = () if benchmark.root is None else ("--root", benchmark.root)
        how = [("--starts", benchmark.starts, 1), ("--single-frame", benchmark.single_frame, 0)]
        asked = [word for option, value, usual in how if value != usual for word in (option, str(value))]
        return ("evaluate", benchmark.name, *root, *asked, "--tracker", model, "--engine", form, "--out", str(out))

    def alone(self, address: str | None) -> tuple[str, ...]:
        return ("--jobs", "0") if address is None else ("--address", address)

    def finished(self, out: Path) -> int:
        """Sequences whose boxes are there."""
        return len(list((out.parent / f"{out.stem}-boxes").glob("*/*.txt")))

    def scores(self, content: Mapping[str, Any], benchmark: TrackingBenchmark) -> dict[str, Any]:
        runs = {run: row["mean_iou"] for run, row in content["sequences"].items()}
        sequences = runs if benchmark.starts == 1 else _by_sequence(runs)
        return {**{figure.key: content[figure.key] for figure in self.figures}, self.parts: sequences}

    def words(self, benchmark: TrackingBenchmark) -> str:
        if benchmark.single_frame:
            return (
                f"Single-frame evaluation: from each of {benchmark.starts} frames of a sequence a template is taken, "
                f"and {benchmark.single_frame} frames of the whole sequence are searched for it, each around a box "
                f"near the true one: up to {SHIFT:g} target size off along each axis, and larger or smaller by a "
                f"factor of up to {exp(RESIZED):.2f}. No error reaches the next frame."
            )
        if benchmark.starts == 1:
            return "Each sequence is followed once, from its first frame."
        return (
            f"Each sequence is followed from {benchmark.starts} frames spread evenly from its first to its last, "
            "always to the end that is farther away, forwards or backwards in time. Scores are means over these runs, "
            "so that a single loss of the object decides less."
        )

    def counting(self, benchmark: TrackingBenchmark) -> Callable[[Path], Work]:
        shown: dict[str, list[View]] = {}

        def counted(checkpoint: Path) -> Work:
            model, settings = load_with_processing(checkpoint)
            return work(model, _shown(shown, benchmark, model.config, settings))

        return counted


def _shown(
    kept: dict[str, list[View]], benchmark: TrackingBenchmark, config: SiameseConfig, settings: TrackerConfig
) -> list[View]:
    """The same frames for all models that read the same crops."""
    crops = settings.model_dump(include=set(settings.trained_with))
    key = json.dumps([config.template, config.search, crops], sort_keys=True)
    if key not in kept:
        videos = open_benchmark(find_benchmark(benchmark.name), benchmark.root)
        kept[key] = views(videos, config, settings)
    return kept[key]


def _by_sequence(runs: Mapping[str, float | None]) -> dict[str, float | None]:
    """Means over the runs of a sequence that have a value."""
    values: dict[str, list[float]] = {}
    for run, value in runs.items():
        values.setdefault(sequence_of(run), []).extend([] if value is None else [value])
    return {name: fmean(known) if known else None for name, known in values.items()}
