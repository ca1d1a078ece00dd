"""The pictures that a deployment is evaluated on, as files of its own."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from netx.errors import FormatError, MonospikeError
from netx.npz import npz_bytes, read_npz
from pipeline.core.progress import Progress
from pipeline.datasets.detection import DetectionSet, LabelledPicture, open_detection
from pipeline.tasks.detection.config import SampleData

LABELS = "labels.npz"
"""Of all pictures, one after the other, as ``LabelledPicture`` has them; ``counts`` says how many objects each has."""

_OF_OBJECTS = ("boxes", "classes", "difficult", "crowd", "areas")


@dataclass(frozen=True, eq=False)
class Sample:
    """A picture with its objects. names: of the classes, by the index that its objects have."""

    picture: LabelledPicture
    names: tuple[str, ...]


def write_samples(config: SampleData, seed: int, folder: Path, progress: Progress) -> str:
    """Copy pictures and what is known of them into ``folder``; returns what that is, in a line.

    Raises DataError or FormatError where they are missing, or one of those that were drawn is damaged.
    """
    found = open_detection(config)
    pictures = found.pictures
    if config.pictures is not None and config.pictures < len(pictures):
        drawn = np.random.default_rng(seed).permutation(len(pictures))[: config.pictures]
        pictures = tuple(pictures[index] for index in sorted(drawn))
    files = []
    with progress.task("pictures", len(pictures)) as bar:
        for number, picture in enumerate(pictures, start=1):
            picture.read()  # a damaged one is told now
            files.append(f"{number:05}{picture.file.suffix.lower()}")
            shutil.copyfile(picture.file, folder / files[-1])
            bar.advance()
    labels = {name: np.concatenate([getattr(one, name) for one in pictures]) for name in _OF_OBJECTS}
    about: dict[str, Any] = {
        "names": found.classes,
        "files": files,
        "ids": [one.id for one in pictures],
        "sizes": [one.size for one in pictures],
        "counts": [len(one) for one in pictures],
    }
    (folder / LABELS).write_bytes(npz_bytes({**about, **labels}))
    bad = f", {len(found.issues)} things are wrong in the data, the first: {found.issues[0]}" if found.issues else ""
    return f"{len(pictures)} pictures, {len(labels['classes'])} objects{bad}"


def read_samples(folder: Path) -> list[Sample]:
    """What ``write_samples`` left. Raises FormatError where a file is damaged."""
    values = read_npz(folder / LABELS)
    try:
        ends = np.cumsum(values["counts"])[:-1]
        parts: dict[str, list[Any]] = {name: np.split(values[name], ends) for name in _OF_OBJECTS}
        names = tuple(map(str, values["names"]))
        return [
            Sample(
                LabelledPicture(
                    int(values["ids"][index]),
                    folder / str(file),
                    (int(values["sizes"][index][0]), int(values["sizes"][index][1])),
                    **{name: parts[name][index] for name in _OF_OBJECTS},
                ),
                names,
            )
            for index, file in enumerate(values["files"])
        ]
    except (KeyError, IndexError, ValueError, TypeError) as error:
        raise FormatError(f"{folder / LABELS}: is no list of pictures ({error}); run again with --from data") from None


def as_set(samples: Sequence[Sample], classes: tuple[str, ...]) -> DetectionSet:
    """The samples with classes by a model's names. Raises MonospikeError, naming it, for a class the model has not."""
    indices = {name: index for index, name in enumerate(classes)}
    pictures = []
    for sample in samples:
        known = [sample.names[index] for index in sample.picture.classes]
        if unknown := next((name for name in known if name not in indices), None):
            raise MonospikeError(
                f"{sample.picture.file.name}: shows a {unknown!r}, and the model knows {', '.join(classes)}; give "
                "data.classes those that it is to be asked for"
            )
        own = np.array([indices[name] for name in known], dtype=np.int64)
        pictures.append(replace(sample.picture, classes=own))
    return DetectionSet(classes, tuple(pictures))
