"""What students are compared with: a box that never moves, and NanoTrack v2 through OpenCV, trained and not spiking.

NanoTrack's ONNX files come from github.com/HonglinChu/SiamTrackers (NanoTrack/models/nanotrackv2), Apache-2.0.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from netx.errors import FormatError, MonospikeError
from pipeline.datasets.errors import DataError
from pipeline.tasks.tracking.crop import Box, Image

BACKBONE = "*nanotrack_backbone_sim.onnx"
HEAD = "*nanotrack_head_sim.onnx"
SOURCE = "https://github.com/HonglinChu/SiamTrackers, folder NanoTrack/models/nanotrackv2"


class FixedBox:
    """Answers with the first box, always; where it is told to search, with that."""

    def start(self, _: Image, box: Box) -> None:
        self._box = np.asarray(box, dtype=np.float64)

    def step(self, _: Image) -> Box:
        return self._box

    def search(self, _: Image, box: Box) -> Box:
        return box


class NanoTrack:
    """OpenCV's TrackerNano, whose boxes are whole pixels."""

    def __init__(self, weights: Path) -> None:
        """weights: folder with v2's two ONNX files.

        Raises DataError when one is missing, FormatError when OpenCV cannot load them.
        """
        # OpenCV's type stubs leave the trackers out.
        parameters = cv2.TrackerNano_Params()  # type: ignore[attr-defined]
        parameters.backbone = str(_find(weights, BACKBONE))
        parameters.neckhead = str(_find(weights, HEAD))
        try:
            self._tracker = cv2.TrackerNano_create(parameters)  # type: ignore[attr-defined]
        except cv2.error as error:
            raise FormatError(f"{weights}: OpenCV cannot load NanoTrack from it ({error.err})") from None

    def start(self, frame: Image, box: Box) -> None:
        x, y, width, height = (round(float(value)) for value in box)
        self._tracker.init(_bgr(frame), (x, y, max(width, 1), max(height, 1)))

    def step(self, frame: Image) -> Box:
        _, box = self._tracker.update(_bgr(frame))
        return np.array(box, dtype=np.float64)

    def search(self, _: Image, __: Box) -> Box:
        raise MonospikeError("nanotrack keeps its box to itself and cannot be told where to search; let it follow")


def _bgr(frame: Image) -> Image:
    return np.ascontiguousarray(frame[..., ::-1])


def _find(folder: Path, pattern: str) -> Path:
    """The one file that fits; of several versions in a folder, v2's."""
    files = sorted(folder.glob(pattern)) if folder.is_dir() else []
    second = [file for file in files if "v2" in file.name] or files
    if len(second) != 1:
        found = ", ".join(file.name for file in second) or "nothing"
        raise DataError(f"{folder}: expected one file {pattern} of NanoTrack v2, found {found}. Get both from {SOURCE}")
    return second[0]
