"""What models are judged on is never trained on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from pipeline.benchmarks import find_benchmark
from pipeline.config import ConfigError
from pipeline.study.config import BenchmarkEntry
from pipeline.study.plan import Training
from pipeline.training.config import TrainingConfig


def refuse_test_data(trainings: Sequence[Training], benchmark: BenchmarkEntry) -> None:
    """Raises ConfigError, naming run and folder, when a training or its validation reads from the benchmark's folder,
    or from one that holds it."""
    root = Path(benchmark.root) if benchmark.root is not None else find_benchmark(benchmark.name).root
    assert root is not None, "a benchmark without a root cannot be opened"
    judged = root.resolve()
    for training in trainings:
        for folder in _folders(training.config):
            read = folder.resolve()
            if read == judged or read in judged.parents or judged in read.parents:
                raise ConfigError(
                    f"{training.name}: reads {folder}, where {benchmark.name} lies ({judged}), on which models are "
                    "judged; train and validate on something else"
                )


def _folders(config: TrainingConfig) -> Iterator[Path]:
    for source in config.data:
        for key in ("root", "annotations"):
            if hasattr(source, key):
                yield Path(getattr(source, key))
        if getattr(source, "pictures", "builtin") != "builtin":
            yield Path(source.pictures)  # type: ignore[union-attr]
    for place in (config.validation.root, config.validation.pictures):
        if place not in (None, "builtin"):
            yield Path(place)
