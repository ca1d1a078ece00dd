"""Where training clips come from: composed, videos, pictures with boxes, or photographs alone."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from pipeline.datasets.catalog import find_benchmark, open_benchmark
from pipeline.datasets.clip import Clip, _usable
from pipeline.datasets.config import (
    CocoSource,
    ComposedSource,
    PhotoSource,
    SourceConfig,
    VideoSource,
    VidSource,
    VocSource,
)
from pipeline.datasets.errors import DataError
from pipeline.datasets.images import read_frame
from pipeline.datasets.pictures import Pictures, open_pictures
from pipeline.datasets.synthetic.stream import ClipStream

Image = npt.NDArray[np.uint8]

CACHED = 192
"""Pictures kept decoded by each process, about a megabyte each."""


REGION = (0.15, 0.6)
"""Longer side of a region that stands for an object, in shorter sides of its photograph. Ours."""


class Source(Protocol):
    """Draws clips."""

    def pick(self, step: int, random: np.random.Generator) -> Clip:
        """A clip for step ``step``; steps may only go forward."""


_read = lru_cache(CACHED)(read_frame)


class Frames(Sequence[Image]):
    """Picture files as frames, read when asked for; the process keeps the latest ones."""

    def __init__(self, files: Sequence[Path]) -> None:
        self._files = files

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, index):  # type: ignore[no-untyped-def]
        return _read(self._files[index])


@dataclass(frozen=True, eq=False)
class FileClip:
    """A clip whose frames are files."""

    frames: Frames
    boxes: npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class PictureClip:
    """A clip of one picture that is at hand."""

    frames: Sequence[Image]
    boxes: npt.NDArray[np.float64]


class Composed:
    """The window of composed clips that belongs to each step."""

    def __init__(self, config: ComposedSource, seed: int) -> None:
        pictures = open_pictures(config.pictures)
        self._stream = ClipStream(pictures, config.composition, seed, config.clips, config.fresh_clips)

    def pick(self, step: int, random: np.random.Generator) -> Clip:
        window = self._stream.window(step)
        return window[int(random.integers(len(window)))]


class Stored:
    """Clips on disk, each as likely as the others."""

    def __init__(self, clips: Sequence[Clip]) -> None:
        self.clips = clips

    def pick(self, step: int, random: np.random.Generator) -> Clip:  # noqa: ARG002
        return self.clips[int(random.integers(len(self.clips)))]


class Photos:
    """Random regions of photographs."""

    def __init__(self, pictures: Pictures) -> None:
        self._pictures = pictures

    def pick(self, step: int, random: np.random.Generator) -> Clip:  # noqa: ARG002
        picture = self._pictures[int(random.integers(len(self._pictures)))]
        height, width = picture.shape[:2]
        longer = min(height, width) * np.exp(random.uniform(*np.log(REGION)))
        aspect = np.exp(random.uniform(-np.log(2), np.log(2)))
        size = longer * np.array([aspect, 1.0]) / max(aspect, 1.0)
        corner = random.random(2) * (np.array([width, height]) - size)
        return PictureClip([picture], np.concatenate([corner, size])[None])


def open_source(config: SourceConfig, seed: int) -> Source:
    """The source of a configuration. Raises DataError or FormatError that say what is missing and where."""
    if isinstance(config, ComposedSource):
        return Composed(config, seed)
    if isinstance(config, PhotoSource):
        return Photos(open_pictures(config.root))
    clips = list(_clips(config))
    if not clips:
        raise DataError(f"{config.root}: holds no object that can be trained on")
    return Stored(clips)


def _clips(config: VideoSource | VocSource | CocoSource | VidSource) -> Iterator[Clip]:
    if isinstance(config, VideoSource):
        return _videos(config)
    if isinstance(config, VocSource):
        return _voc(config)
    return _coco(config) if isinstance(config, CocoSource) else _vid(config)


def _videos(config: VideoSource) -> Iterator[Clip]:
    for entry in open_benchmark(find_benchmark(config.layout), Path(config.root)):
        video = entry.load()
        usable = ~video.absent & _usable(video.boxes, video.size())
        if usable.sum() >= 2:
            files = [picture for picture, good in zip(video.pictures, usable, strict=True) if good]
            yield FileClip(Frames(files), video.boxes[usable])


def _voc(config: VocSource) -> Iterator[Clip]:
    files = sorted(Path(config.root).glob("**/Annotations/*.xml"))
    if not files:
        raise DataError(f"{config.root}: holds no Annotations/*.xml in Pascal VOC's layout")
    for file in files:
        tree = _xml(file)
        picture = file.parents[1] / "JPEGImages" / (tree.findtext("filename") or "")
        if not picture.is_file():
            picture = file.parents[1] / "JPEGImages" / f"{file.stem}.jpg"
        boxes = np.array([box for _, box in _objects(tree, file)]).reshape(-1, 4)
        for box in boxes[_usable(boxes, _size(tree, file))]:
            yield FileClip(Frames([picture]), box[None])


def _vid(config: VidSource) -> Iterator[Clip]:
    annotations, pictures = Path(config.root) / "Annotations/VID/train", Path(config.root) / "Data/VID/train"
    folders = sorted({file.parent for file in annotations.glob("**/*.xml")})
    if not folders:
        raise DataError(
            f"{annotations}: holds no *.xml. To have ImageNet-VID, register at https://image-net.org, download "
            "ILSVRC2015_VID.tar.gz and unpack it so that ROOT/Annotations/VID/train and ROOT/Data/VID/train are there"
        )
    for folder in folders:
        tracks: dict[str, list[tuple[Path, npt.NDArray[np.float64]]]] = defaultdict(list)
        for file in sorted(folder.glob("*.xml")):
            tree = _xml(file)
            for track, box in _objects(tree, file):
                if _usable(box[None], _size(tree, file))[0]:
                    tracks[track].append((pictures / folder.relative_to(annotations) / f"{file.stem}.JPEG", box))
        for shown in tracks.values():
            files, boxes = zip(*shown, strict=True)
            yield FileClip(Frames(files), np.array(boxes))


def _coco(config: CocoSource) -> Iterator[Clip]:
    path = Path(config.annotations)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        pictures = {picture["id"]: picture for picture in content["images"]}
        for thing in content["annotations"]:
            picture = pictures[thing["image_id"]]
            boxes = np.array(thing["bbox"], dtype=np.float64).reshape(1, 4)
            if not thing.get("iscrowd") and _usable(boxes, (picture["width"], picture["height"]))[0]:
                yield FileClip(Frames([Path(config.root) / picture["file_name"]]), boxes)
    except OSError as error:
        raise DataError(
            f"{path}: cannot be read ({error.strerror}). To have COCO, download annotations_trainval2017.zip and "
            "train2017.zip from https://cocodataset.org"
        ) from None
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise DataError(f"{path}: is no COCO file of boxes ({type(error).__name__}: {error})") from None


def _xml(file: Path) -> ElementTree.Element:
    try:
        return ElementTree.parse(file).getroot()
    except (OSError, ElementTree.ParseError, LookupError, ValueError) as error:  # the last two of its encoding
        raise DataError(f"{file}: is no annotation in XML ({error})") from None


def _size(tree: ElementTree.Element, file: Path) -> tuple[float, float]:
    sides = [tree.findtext(f"size/{key}") or "0" for key in ("width", "height")]
    try:
        width, height = map(float, sides)
    except ValueError:
        raise DataError(f"{file}: the size of its picture is no number, but {sides}") from None
    return width, height


def _objects(tree: ElementTree.Element, file: Path) -> Iterator[tuple[str, npt.NDArray[np.float64]]]:
    """(track, box) of every object; corners count pixels from 1 and belong to the box."""
    for thing in tree.iter("object"):
        corners = [thing.findtext(f"bndbox/{key}") or "" for key in ("xmin", "ymin", "xmax", "ymax")]
        try:
            left, top, right, bottom = map(float, corners)
        except ValueError:
            raise DataError(f"{file}: an object has no box, but {corners}") from None
        yield thing.findtext("trackid") or "", np.array([left - 1, top - 1, right - left + 1, bottom - top + 1])


class Mixture:
    """Several sources, each drawn from as often as its weight says."""

    def __init__(self, configs: Sequence[SourceConfig], seed: int) -> None:
        weights = np.array([config.weight for config in configs])
        self._shares = weights / weights.sum()
        self._sources = [open_source(config, seed) for config in configs]

    def pick(self, step: int, random: np.random.Generator) -> Clip:
        """A clip for step ``step``; steps may only go forward."""
        return self._sources[int(random.choice(len(self._sources), p=self._shares))].pick(step, random)
