"""Pictures with all their objects for detectors, from Pascal VOC, COCO and YOLO, in one form.

The readers of the layouts (``voc``, ``coco``, ``yolo``) say what stands in the files; here classes become indices, boxes
become corners, and what is wrong is collected, so that one bad annotation does not cost the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pipeline.core.boxes import Boxes, Values
from pipeline.datasets.annotations import Flags
from pipeline.datasets.images import RGB, read_frame


@dataclass(frozen=True, eq=False)
class LabelledPicture:
    """A picture file and the objects in it.

    id: of the picture, unique in its set and at least 0: COCO's own, else counted from 1. size: width and height in
        pixels.
    boxes: float64 (object, 4), x1, y1, x2, y2 in pixels, edges continuous: column i spans [i, i + 1), so the box of the
        first pixel alone is (0, 0, 1, 1); x1 < x2, y1 < y2. classes: int64 (object,), indices into the set's names.
    difficult: bool (object,), in VOC neither found nor missed. crowd: bool (object,), COCO's boxes of many objects.
        Neither is trained on.
    areas: float64 (object,), square pixels: of the outline where the file says it (COCO), else of the box.
    """

    id: int
    file: Path
    size: tuple[int, int]
    boxes: Boxes
    classes: npt.NDArray[np.int64]
    difficult: Flags
    crowd: Flags
    areas: Values

    def __len__(self) -> int:
        """Number of objects."""
        return len(self.classes)

    def read(self) -> RGB:
        """The picture, RGB uint8 (height, width, 3). Raises FormatError naming the file."""
        return read_frame(self.file)


@dataclass(frozen=True, eq=False)
class DetectionSet:
    """Pictures and the names of their classes.

    classes: names by index. pictures: in the order of their files, those without objects too, since what is found in
    them is wrong. issues: what was wrong and left out or mended, each with its file and, where there is one, its line.
    """

    classes: tuple[str, ...]
    pictures: tuple[LabelledPicture, ...]
    issues: tuple[str, ...] = ()

    def __len__(self) -> int:
        """Number of pictures."""
        return len(self.pictures)
