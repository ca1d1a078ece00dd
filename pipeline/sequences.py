"""The sequences that a configuration's ``data`` section asks for."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pipeline.config import DataConfig
from pipeline.data import Sequence, compose, open_pictures, open_sequences


def make_sequences(config: DataConfig, seed: int) -> Iterator[Sequence]:
    """Sequences composed from pictures, or read from a dataset. Raises DataError where there are none."""
    if config.dataset is not None:
        yield from (stored.read() for stored in open_sequences(config.dataset)[: config.sequences])
        return
    pictures = open_pictures(config.pictures)
    for index in range(config.sequences):
        # Training composes from seeds of its own, so it has seen none of these.
        yield compose(pictures, config.composition, derived_seed(seed, "sequence", index))


def derived_seed(seed: int, purpose: str, index: int = 0) -> int:
    """A seed for one purpose, so that no two purposes share their random numbers."""
    return int(np.random.SeedSequence([seed, *purpose.encode(), index]).generate_state(1)[0])
