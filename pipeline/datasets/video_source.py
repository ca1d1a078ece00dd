"""A video from wherever it lies: a sequence's folder, a folder of pictures, a clip's file, or a video file."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from netx.errors import FormatError
from pipeline.datasets.annotations import OTB_ORIGIN
from pipeline.datasets.clip import Clip
from pipeline.datasets.errors import DataError
from pipeline.datasets.images import RGB, pictures_in
from pipeline.datasets.otb import GROUND_TRUTHS, name_of, otb_video, target_of
from pipeline.datasets.video import Annotations, PictureFiles, Video, unannotated

_MOTION_JPEG = cv2.VideoWriter.fourcc(*"MJPG")


def open_video(path: Path) -> Video:
    """The video at ``path``; no frame is read yet.

    path: a folder in OTB's layout (``img/``, ``groundtruth_rect.txt`` if there is one, or one of its ground-truth files
    to say which target), a folder of pictures, a clip (``.npz``), or a video that OpenCV can decode. Its users count
    pixels from 1 in OTB's layout, else from 0 (``Video.origin``).

    Raises MonospikeError naming the file when it is missing, or is none of these.
    """
    if path.is_dir():
        return _folder(path).load()
    if path.match(GROUND_TRUTHS) and path.is_file():
        return _target(path.parent, path).load()
    if not path.is_file():
        raise DataError(f"{path}: there is no such sequence or video")
    if path.suffix == ".npz":
        clip = Clip.load(path)
        frames, shown = clip.stacked(), np.zeros(len(clip), np.bool_)
        return Video(clip.name, path, lambda: Annotations(frames, clip.boxes, shown, label=clip.label))
    return Video(path.stem, path, lambda: unannotated(VideoFile(path, _announced(path)))).load()


def _folder(path: Path) -> Video:
    truths = list(path.glob(GROUND_TRUTHS))
    if len(truths) == 1:  # of several nobody has said which target is meant
        return _target(path, truths[0])
    inner = path / "img"
    folder, origin = (inner, OTB_ORIGIN) if inner.is_dir() else (path, 0.0)
    return Video(name_of(path), path, lambda: unannotated(PictureFiles(tuple(pictures_in(folder))), origin))


def _target(folder: Path, ground_truth: Path) -> Video:
    return otb_video(folder, ground_truth, name_of(folder) + target_of(ground_truth))


@dataclass(frozen=True)
class VideoFile:
    """Frames of a file that OpenCV decodes, all of one size. length: their number as the header says, 0 for unknown.

    Iterating raises FormatError, naming the frame, when none can be decoded or the size changes.
    """

    path: Path
    length: int

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[RGB]:
        return _decoded(self.path)


def _capture(path: Path) -> cv2.VideoCapture:
    # FFmpeg alone: OpenCV's other readers would take a picture's name for a pattern of many.
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    if not capture.isOpened():
        raise FormatError(f"{path}: cannot be decoded as a video; give a video file or a folder of pictures")
    return capture


def _announced(path: Path) -> int:
    capture = _capture(path)
    try:
        return max(int(capture.get(cv2.CAP_PROP_FRAME_COUNT)), 0)
    finally:
        capture.release()


def _decoded(path: Path) -> Iterator[RGB]:
    """The frames of a video. Raises FormatError, naming the frame, when none can be decoded or the size changes."""
    first: tuple[int, int] | None = None
    number = -1
    for number, (frame, size) in enumerate(zip(_frames(path), _sizes(path), strict=False)):
        size = size or (frame.shape[1], frame.shape[0])
        first = first or size
        if size != first:
            change = f"{size[0]}x{size[1]} but {first[0]}x{first[1]} in frame 0"
            raise FormatError(f"{path}, frame {number}: is {change}; a tracker needs frames of one size")
        yield frame
    if number < 0:
        raise FormatError(f"{path}, frame 0: cannot be decoded; the file is damaged or in a format OpenCV lacks")


def _frames(path: Path) -> Iterator[RGB]:
    capture = _capture(path)
    try:
        while (read := _next_frame(capture, path))[0]:
            yield np.ascontiguousarray(read[1][..., ::-1])
    finally:
        capture.release()


def _sizes(path: Path) -> Iterator[tuple[int, int] | None]:
    """Width and height of each frame as its own header says, None where it has none.

    OpenCV repeats or garbles frames when the size changes and says nothing. Motion JPEG is where that can be seen: each
    of its packets is a whole picture.
    """
    capture = _capture(path)
    try:
        if int(capture.get(cv2.CAP_PROP_FOURCC)) == _MOTION_JPEG:
            capture.set(cv2.CAP_PROP_FORMAT, -1)  # packets instead of frames
            while (read := _next_frame(capture, path))[0]:
                with Image.open(io.BytesIO(read[1].tobytes())) as picture:
                    yield picture.size
    except (OSError, UnidentifiedImageError):
        pass  # a packet without a header of its own
    finally:
        capture.release()
    yield from repeat(None)


def _next_frame(capture: cv2.VideoCapture, path: Path) -> tuple[bool, npt.NDArray[np.uint8]]:
    try:
        there, frame = capture.read()
    except cv2.error as error:
        raise FormatError(f"{path}: cannot be decoded ({error.err})") from None
    return there, np.asarray(frame, dtype=np.uint8) if there else np.empty(0, np.uint8)
