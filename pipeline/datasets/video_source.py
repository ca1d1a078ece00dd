"""What ``monospike track`` follows an object through: a sequence's folder, a folder of pictures, or a video file."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from netx.errors import FormatError
from pipeline.datasets.annotations import pictures_in
from pipeline.datasets.errors import DataError
from pipeline.datasets.images import RGB
from pipeline.datasets.otb import GROUND_TRUTHS, name_of, otb_video
from pipeline.datasets.sequence import Sequence
from pipeline.datasets.video import Boxes, Video

_MOTION_JPEG = cv2.VideoWriter.fourcc(*"MJPG")


@dataclass(frozen=True, eq=False)
class Footage:
    """Frames to follow an object through, read one at a time.

    frames: makes an iterator over them, uint8 RGB, (height, width, 3), all of one size. length: their number; of a
    video what its header says, 0 where that says nothing. truth: true boxes (frame, 4), NaN where there is none; None
    where nobody has drawn any.
    """

    name: str
    frames: Callable[[], Iterator[RGB]]
    length: int
    truth: Boxes | None = None


def open_footage(path: Path) -> Footage:
    """The footage at ``path``; no frame is read yet.

    path: a folder in OTB's layout (``img/``, ``groundtruth_rect.txt`` if there is one, or one of its ground-truth files
    to say which target), a folder of pictures, a composed sequence (``.npz``), or a video that OpenCV can decode.

    Raises MonospikeError naming the file when it is missing, or is none of these.
    """
    if path.is_dir():
        return _folder(path)
    if path.match(GROUND_TRUTHS) and path.is_file():
        return _annotated(path.parent, path)
    if not path.is_file():
        raise DataError(f"{path}: there is no such sequence or video")
    if path.suffix == ".npz":
        sequence = Sequence.load(path)
        return Footage(sequence.name, lambda: iter(sequence.frames), len(sequence), sequence.boxes)
    return Footage(path.stem, lambda: _decoded(path), _announced(path))


def _folder(path: Path) -> Footage:
    truths = list(path.glob(GROUND_TRUTHS))
    if len(truths) == 1:  # of several nobody has said which target is meant
        return _annotated(path, truths[0])
    pictures = tuple(pictures_in(path / "img" if (path / "img").is_dir() else path))
    nobody = np.full((len(pictures), 4), np.nan)
    video = Video(name_of(path), pictures, nobody, np.ones(len(pictures), dtype=np.bool_))
    return Footage(video.name, video.frames, len(pictures))


def _annotated(folder: Path, ground_truth: Path) -> Footage:
    target = ground_truth.stem.removeprefix("groundtruth_rect")
    video = otb_video(folder, ground_truth, name_of(folder) + target)
    return Footage(video.name, video.frames, len(video), video.boxes)


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
