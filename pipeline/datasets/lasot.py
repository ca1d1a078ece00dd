"""LaSOT's two splits: ``CLASS/CLASS-N/img/*.jpg``, ``groundtruth.txt``, and flags of hidden and out-of-view frames.

Fan et al., "LaSOT: A High-quality Benchmark for Large-scale Single Object Tracking", CVPR 2019.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from pipeline.datasets.annotations import facts, no_box, one_line_a_picture, pictures_in, read_flags, read_rows
from pipeline.datasets.video import Entry, Video


def lasot(root: Path) -> list[Entry]:
    """The 280 sequences of the testing split (protocol II)."""
    testing = facts("lasot_testing")["sequences"]
    return [
        Entry(name, root / class_ / name, partial(_video, root / class_ / name, name))
        for class_, numbers in testing.items()
        for name in (f"{class_}-{number}" for number in numbers)
    ]


def lasot_training(root: Path) -> list[Entry]:
    """Every sequence under ``root`` that is none of the testing split's: the training split (protocol II)."""
    testing = {entry.name for entry in lasot(root)}
    folders = sorted(file.parent for file in root.glob("*/*/groundtruth.txt"))
    return [Entry(f.name, f, partial(_video, f, f.name)) for f in folders if f.name not in testing]


def _video(folder: Path, name: str) -> Video:
    pictures = pictures_in(folder / "img")
    boxes = read_rows(folder / "groundtruth.txt")
    one_line_a_picture(folder / "groundtruth.txt", boxes, pictures)
    absent = no_box(boxes)
    for flag in ("full_occlusion", "out_of_view"):
        absent |= read_flags(folder / f"{flag}.txt", len(pictures)) == 1
    return Video(name, tuple(pictures), boxes, absent)
