"""GOT-10k: ``SPLIT/list.txt``, ``SPLIT/NAME/*.jpg``, ``groundtruth.txt`` and ``cover.label``.

Huang, Zhao, Huang, "GOT-10k: A Large High-Diversity Benchmark for Generic Object Tracking in the Wild", TPAMI 2019.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from pipeline.datasets.annotations import no_box, one_line_a_picture, read_flags, read_rows
from pipeline.datasets.images import pictures_in
from pipeline.datasets.video import Annotations, PictureFiles, Video
from pipeline.datasets.vot import listed


def got10k(split: str, root: Path) -> list[Video]:
    """The sequences that the split's list names. split: ``train``, ``val`` or ``test``."""
    folder = root / split
    names = listed(folder / "list.txt")
    return [Video(name, folder / name, partial(_read, folder / name, withheld=split == "test")) for name in names]


def _read(folder: Path, withheld: bool) -> Annotations:
    """withheld: only the first frame's box is public, and there are no labels (the test split)."""
    pictures = pictures_in(folder)
    boxes = read_rows(folder / "groundtruth.txt")
    if withheld and len(boxes) == 1:
        boxes = np.concatenate([boxes, np.full((len(pictures) - 1, 4), np.nan)])
    one_line_a_picture(folder / "groundtruth.txt", boxes, pictures)
    absent = no_box(boxes)
    if not withheld:
        # Cover 0: nothing of the object is visible; the toolkit leaves these frames out (experiments/got10k.py).
        absent |= read_flags(folder / "cover.label", len(pictures)) == 0
    return Annotations(PictureFiles(tuple(pictures)), boxes, absent)
