"""UAV123: ``anno/UAV123/NAME.txt`` and ``data_seq/UAV123/FOLDER/%06d.jpg``; NaN where the object is out of view.

Mueller, Smith, Ghanem, "A Benchmark and Simulator for UAV Tracking", ECCV 2016.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from pipeline.datasets.annotations import facts, no_box, one_line_a_picture, read_rows
from pipeline.datasets.errors import DataError
from pipeline.datasets.video import Annotations, PictureFiles, Video

PICTURES = "data_seq/UAV123"
ANNOTATIONS = "anno/UAV123"


def uav123(root: Path) -> list[Video]:
    """The 123 sequences in order of name; some are parts of one folder, from a first to a last picture."""
    return [
        Video(name, root / ANNOTATIONS / f"{name}.txt", partial(_read, root, name, folder, first, last))
        for name, (folder, first, last) in sorted(facts("uav123")["sequences"].items())
    ]


def _read(root: Path, name: str, folder: str, first: int, last: int) -> Annotations:
    ground_truth = root / ANNOTATIONS / f"{name}.txt"
    boxes = read_rows(ground_truth)
    pictures = [root / PICTURES / folder / f"{number:06}.jpg" for number in range(first, last + 1)]
    for index in (0, -1):
        if not pictures[index].is_file():
            raise DataError(f"sequence {name!r}: {pictures[index]} is missing; its frames are {first} to {last}")
    one_line_a_picture(ground_truth, boxes, pictures)
    return Annotations(PictureFiles(tuple(pictures)), boxes, no_box(boxes))
