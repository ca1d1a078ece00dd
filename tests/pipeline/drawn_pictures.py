"""Pictures with an object each that can be told from its surroundings, for detectors that learn in seconds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

SHAPES = ("disc", "square")


def draw_pictures(root: Path, count: int, seed: int = 7) -> None:
    """Pictures of 96 x 64 with a bright disc or a dark square each, in YOLO's layout."""
    random = np.random.default_rng(seed)
    for name in ("images", "labels"):
        (root / name).mkdir(parents=True)
    (root / "classes.txt").write_text("\n".join(SHAPES) + "\n")
    rows, columns = np.mgrid[:64, :96]
    for number in range(count):
        picture = random.integers(90, 150, (64, 96, 3), np.uint8)
        radius, x, y, kind = int(random.integers(8, 16)), *random.integers(18, [78, 46]), number % 2
        inside = np.hypot(columns - x, rows - y) < radius
        if kind:
            inside = (abs(columns - x) < radius) & (abs(rows - y) < radius)
        picture[inside] = (30, 20, 60) if kind else (250, 240, 80)
        Image.fromarray(picture).save(root / "images" / f"{number:03}.png")
        box = (x / 96, y / 64, 2 * radius / 96, 2 * radius / 64)
        (root / "labels" / f"{number:03}.txt").write_text(f"{kind} {' '.join(f'{value:.6f}' for value in box)}\n")
