"""The sequences that a configuration's ``data`` section asks for."""

from __future__ import annotations

import numpy as np


def derived_seed(seed: int, purpose: str, index: int = 0) -> int:
    """A seed for one purpose, so that no two purposes share their random numbers."""
    return int(np.random.SeedSequence([seed, *purpose.encode(), index]).generate_state(1)[0])
