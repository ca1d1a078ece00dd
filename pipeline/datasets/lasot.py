"""LaSOT's two splits: ``CLASS/CLASS-N/img/*.jpg``, ``groundtruth.txt``, and flags of hidden and out-of-view frames.

Fan et al., "LaSOT: A High-quality Benchmark for Large-scale Single Object Tracking", CVPR 2019.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from pipeline.datasets.annotations import facts, no_box, one_line_a_picture, read_flags, read_rows
from pipeline.datasets.images import pictures_in
from pipeline.datasets.video import Annotations, PictureFiles, Video


def lasot(root: Path) -> list[Video]:
    """The 280 sequences of the testing split (protocol II)."""
    testing = facts("lasot_testing")["sequences"]
    return [
        Video(name, root / class_ / name, partial(_read, root / class_ / name, class_))
        for class_, numbers in testing.items()
        for name in (f"{class_}-{number}" for number in numbers)
    ]


def lasot_training(root: Path) -> list[Video]:
    """Every sequence under ``root`` that is none of the testing split's: the training split (protocol II)."""
    testing = {video.name for video in lasot(root)}
    folders = sorted(file.parent for file in root.glob("*/*/groundtruth.txt"))
    return [Video(f.name, f, partial(_read, f, f.parent.name)) for f in folders if f.name not in testing]


def _read(folder: Path, label: str) -> Annotations:
    pictures = pictures_in(folder / "img")
    boxes = read_rows(folder / "groundtruth.txt")
    one_line_a_picture(folder / "groundtruth.txt", boxes, pictures)
    absent = no_box(boxes)
    for flag in ("full_occlusion", "out_of_view"):
        absent |= read_flags(folder / f"{flag}.txt", len(pictures)) == 1
    return Annotations(PictureFiles(tuple(pictures)), boxes, absent, label=label)
