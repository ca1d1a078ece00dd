"""What models are judged on is never trained on."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

from pipeline.core.config import ConfigError
from pipeline.datasets.catalog import find_benchmark, root_of
from pipeline.datasets.locations import located
from pipeline.experiments.study.config import BenchmarkEntry
from pipeline.experiments.study.plan import Training
from pipeline.tasks.tracking.config import TrainingConfig


def refuse_test_data(trainings: Sequence[Training], benchmark: BenchmarkEntry) -> None:
    """Raises ConfigError, naming run and folder, when a training or its validation reads from the benchmark's folder,
    or from one that holds it, by links too."""
    judged = root_of(find_benchmark(benchmark.name), benchmark.root).resolve()
    reached = cache(_reached)  # trainings share their folders
    for training in trainings:
        for folder in _folders(training.config):
            read = folder.resolve()
            inside = read == judged or read in judged.parents or judged in read.parents
            if inside or reached(read).meets(reached(judged)):
                raise ConfigError(
                    f"{training.name}: reads {folder}, where {benchmark.name} lies ({judged}), on which models are "
                    "judged; train and validate on something else"
                )


class _Reach(NamedTuple):
    """What can be read from a folder: real folders, and real files that links lead to."""

    folders: set[Path]
    files: set[Path]

    def meets(self, other: _Reach) -> bool:
        """Whether both lead to one place."""
        common = self.folders & other.folders or self.files & other.files
        return bool(common or self._links_into(other.folders) or other._links_into(self.folders))

    def _links_into(self, folders: set[Path]) -> bool:
        return any(file.parent in folders for file in self.files)


def _reached(start: Path) -> _Reach:
    reach, open_ = _Reach(set(), set()), [start]
    while open_:
        place = open_.pop()
        if place in reach.folders:  # links may lead in circles
            continue
        if not place.is_dir():
            reach.files.add(place)
            continue
        reach.folders.add(place)
        with os.scandir(place) as entries:
            for entry in entries:
                if entry.is_symlink():
                    open_.append(Path(os.path.realpath(entry.path)))  # of a circle, too
                elif entry.is_dir():
                    open_.append(Path(entry.path))
    return reach


def _folders(config: TrainingConfig) -> Iterator[Path]:
    for source in config.data:
        for key in ("root", "annotations"):
            if hasattr(source, key):
                yield located(getattr(source, key))
        if getattr(source, "pictures", "builtin") != "builtin":
            yield located(source.pictures)  # type: ignore[union-attr]
    for folder in (config.validation.root, config.validation.pictures):
        if folder not in (None, "builtin"):
            yield located(folder)
