"""A box that never moves: what a tracker has to beat."""

from __future__ import annotations

import numpy as np

from pipeline.tasks.tracking.crop import Box, Image


class FixedBox:
    """Answers with the first box, always."""

    def start(self, _: Image, box: Box) -> None:
        self._box = np.asarray(box, dtype=np.float64)

    def follow(self, _: Image) -> Box:
        return self._box

    def look(self, _: Image, box: Box) -> Box:
        return box
