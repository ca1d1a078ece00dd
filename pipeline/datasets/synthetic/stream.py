"""The clips that training draws from: a window that slides along an endless, seeded line of composed clips."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence as ManyOf

import numpy as np
import numpy.typing as npt

from pipeline.datasets.clip import Clip
from pipeline.datasets.synthetic.compose import compose
from pipeline.datasets.synthetic.composition import CompositionSpec


class ClipStream:
    """Clip i is composed from (seed, i) alone, so the window of any step can be made again."""

    def __init__(
        self, pictures: ManyOf[npt.NDArray[np.uint8]], spec: CompositionSpec, seed: int, size: int, fresh: int
    ) -> None:
        """size: clips in the window. fresh: clips by which it moves on at each step."""
        self._pictures, self._spec, self._seed, self._size, self._fresh = pictures, spec, seed, size, fresh
        self._clips: deque[Clip] = deque(maxlen=size)
        self._next = 0

    def window(self, step: int) -> ManyOf[Clip]:
        """The clips to draw step ``step`` from; steps may only go forward."""
        first = step * self._fresh
        self._next = max(self._next, first)
        while self._next < first + self._size:
            clip_seed = int(np.random.SeedSequence([self._seed, self._next]).generate_state(1)[0])
            self._clips.append(compose(self._pictures, self._spec, clip_seed))
            self._next += 1
        return self._clips
