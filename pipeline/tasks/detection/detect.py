"""A detector at work on a picture, a folder of pictures or a video: boxes drawn, and COCO's JSON."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from PIL import Image

from netx.errors import MonospikeError
from netx.files import write_whole
from pipeline.core.files import write_json
from pipeline.core.progress import Progress
from pipeline.datasets.errors import DataError
from pipeline.datasets.images import RGB, SUFFIXES, in_order, read_frame
from pipeline.datasets.video_source import open_video
from pipeline.report.animation import LARGEST, Animation
from pipeline.report.detected import with_objects
from pipeline.tasks.detection.coco_json import annotated
from pipeline.tasks.detection.predictions import Detections, OpenDetector

JSON_NAME = "detections.json"


@dataclass
class Found:
    """images: COCO's entries. found: by their ids. failed: why, by the picture's name. whole: nobody interrupted it."""

    images: list[dict[str, Any]] = field(default_factory=list)
    found: dict[int, Detections] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    whole: bool = False


def detect(source: Path, detector: OpenDetector, least: float, out: Path, progress: Progress) -> Found:
    """Find objects with a score of at least ``least``, and leave ``detections.json`` in ``out`` and what is drawn: a
    PNG for each picture, or an animated GIF of a video.

    A picture that cannot be read costs the others nothing. Interrupted (Ctrl-C), it writes what it has come to; before
    the first picture there is nothing to write, and KeyboardInterrupt passes. Raises MonospikeError where the source is
    missing or none, or nothing of it can be read.
    """
    if source.is_dir() or source.suffix.lower() in SUFFIXES:
        result = _detect_pictures(pictures_of(source), detector, least, out, progress)
    else:
        result = _detect_video(source, detector, least, out, progress)
    if not result.images and not result.whole:
        raise KeyboardInterrupt
    if not result.images:
        raise DataError(f"{source}: nothing could be read; the first: {next(iter(result.failed.values()))}")
    write_json(out / JSON_NAME, annotated(result.images, detector.classes, result.found))
    return result


def pictures_of(source: Path) -> list[Path]:
    """A picture, or those of a folder, by name. Raises DataError where there is none."""
    if not source.exists():
        raise DataError(f"{source}: there is no such picture or folder")
    if not source.is_dir():
        return [source]
    files = in_order(file for file in source.iterdir() if file.suffix.lower() in SUFFIXES and file.is_file())
    if not files:
        raise DataError(f"{source}: holds no picture; these are looked for: {' '.join(SUFFIXES)}")
    return files


def _detect_pictures(
    files: Sequence[Path], detector: OpenDetector, least: float, out: Path, progress: Progress
) -> Found:
    result = Found()
    stems = [file.stem for file in files]
    with progress.task("pictures", len(files)) as task, suppress(KeyboardInterrupt):
        for file in files:
            try:
                frame = read_frame(file)
                answer = _answer(detector, frame, least)
            except MonospikeError as error:
                result.failed[file.name] = " ".join(str(error).split())
                progress.say(f"  {result.failed[file.name]}")
            else:
                name = file.stem if stems.count(file.stem) == 1 else file.name  # a.jpg beside a.png
                with write_whole(out / f"{name}.png") as temporary:
                    _drawn(frame, answer, detector.classes).save(temporary)
                _note(result, frame, answer, {"file_name": file.name})
            task.advance()
        result.whole = True
    return result


def _detect_video(source: Path, detector: OpenDetector, least: float, out: Path, progress: Progress) -> Found:
    video, animation, result = open_video(source), Animation(), Found()
    with progress.task("frames", len(video)) as task, suppress(KeyboardInterrupt):
        for number, frame in enumerate(video.frames()):
            answer = _answer(detector, frame, least)
            animation.add_drawn(partial(_frame, frame, answer, detector.classes))
            _note(result, frame, answer, {"file_name": source.name, "frame": number})
            task.advance()
        result.whole = True
    if result.images:
        with write_whole(out / f"{video.name}.gif") as temporary:
            temporary.write_bytes(animation.gif())
    return result


def _answer(detector: OpenDetector, frame: RGB, least: float) -> Detections:
    answer = detector.step(frame)
    sure = answer.scores >= least
    return Detections(answer.boxes[sure], answer.scores[sure], answer.classes[sure])


def _note(result: Found, frame: RGB, answer: Detections, entry: dict[str, Any]) -> None:
    key = len(result.images) + 1
    result.images.append({"id": key, **entry, "width": frame.shape[1], "height": frame.shape[0]})
    result.found[key] = answer


def _drawn(frame: RGB, answer: Detections, classes: Sequence[str], longest: int | None = None) -> Image.Image:
    chosen = answer.classes.tolist()
    texts = [f"{classes[index]} {score:.2f}" for index, score in zip(chosen, answer.scores, strict=True)]
    return with_objects(frame, answer.boxes, chosen, texts, longest)


def _frame(frame: RGB, answer: Detections, classes: Sequence[str], _: int) -> Image.Image:
    return _drawn(frame, answer, classes, LARGEST)
