"""GOT-10k: ``SPLIT/list.txt``, ``SPLIT/NAME/*.jpg``, ``groundtruth.txt`` and ``cover.label``.

Huang, Zhao, Huang, "GOT-10k: A Large High-Diversity Benchmark for Generic Object Tracking in the Wild", TPAMI 2019.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from pipeline.datasets.annotations import no_box, one_line_a_picture, pictures_in, read_flags, read_rows
from pipeline.datasets.video import Entry, Video
from pipeline.datasets.vot import listed


def got10k(split: str, root: Path) -> list[Entry]:
    """The sequences that the split's list names. split: ``train``, ``val`` or ``test``."""
    folder = root / split
    names = listed(folder / "list.txt")
    return [
        Entry(name, folder / name, partial(_video, folder / name, name, withheld=split == "test")) for name in names
    ]


def _video(folder: Path, name: str, withheld: bool) -> Video:
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
    return Video(name, tuple(pictures), boxes, absent)
