"""What models are judged on is never trained on."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

from pipeline.core.config import ConfigError
from pipeline.core.judging import BenchmarkSection, Judge
from pipeline.experiments.study.plan import Training


def refuse_test_data(trainings: Sequence[Training], judge: Judge, benchmark: BenchmarkSection) -> None:
    """Raises ConfigError, naming run and folder, when a training or its validation reads from the benchmark's folders,
    or from one that holds them, by links too."""
    reached = cache(_reached)  # trainings share their folders
    for judged in (folder.resolve() for folder in judge.test_folders(benchmark)):
        for training in trainings:
            for folder in judge.training_folders(training.config):
                read = folder.resolve()
                inside = read == judged or read in judged.parents or judged in read.parents
                if inside or reached(read).meets(reached(judged)):
                    raise ConfigError(
                        f"{training.name}: reads {folder}, where {benchmark.title} lies ({judged}), on which models "
                        "are judged; train and validate on something else"
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
