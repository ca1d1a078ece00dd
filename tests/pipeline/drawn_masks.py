"""Masks for tests of scores, made of whole numbers alone: the same on every machine and of every version of numpy."""

from __future__ import annotations

import numpy as np

from pipeline.datasets.label_masks import LabelMask

Sequence = list[LabelMask]


def blot(height: int, width: int, x: int, y: int, radius: int, rough: int, salt: int) -> np.ndarray:
    """Roughly a disk: its rim is torn by ``rough`` square pixels."""
    rows, columns = np.mgrid[:height, :width]
    torn = ((columns * 7 + rows * 13 + salt * 29) ^ (rows * columns)) % 17 * rough
    return (columns - x) ** 2 + (rows - y) ** 2 + torn < radius * radius


def pair(height: int, width: int, frames: int, objects: int) -> tuple[Sequence, Sequence]:
    """True masks and what was found: objects drift away from where they were found, lie over each other, leave the
    picture, and one is not found in some frames."""
    true, found = [], []
    for t in range(frames):
        masks = np.zeros((2, height, width), np.uint8)
        for index in range(1, objects + 1):
            x, y = width * index // (objects + 1) + 3 * t * index, height // 2 + (7 * index - 9) * t
            radius = height // (4 + index)
            masks[0][blot(height, width, x, y, radius, 2 * index, t)] = index
            if (t + index) % 4:
                off = t * index // 2
                masks[1][blot(height, width, x + off, y - off, radius + t % 3, 3, t + 5)] = index
        true.append(masks[0])
        found.append(masks[1])
    return true, found


def set_of_pairs() -> dict[str, tuple[Sequence, Sequence]]:
    """Sequences of several sizes, tolerances 2, 3, 5 and 8, and objects; in one an object appears later, in another one
    is found that is not there."""
    pairs = {
        "a": pair(120, 160, 8, 1),
        "b": pair(256, 256, 7, 3),
        "c": pair(480, 854, 5, 2),
        "late": pair(301, 473, 9, 2),
        "more": pair(120, 160, 6, 2),
    }
    for t in range(4):
        true, found = (masks[t] for masks in pairs["late"])
        true[true == 2] = 0
        if t != 2:
            found[found == 2] = 0
    pairs["more"][1][3][5:40, 5:60] = 9
    return pairs
