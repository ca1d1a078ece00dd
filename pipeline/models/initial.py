"""How the layers of a spiking model start, before anything is known of what reaches them."""

from __future__ import annotations

import math

from netx import limits
from pipeline.models.config import EXPECTED_RATE, INITIAL_DEVIATION
from quantize.slayer import WEIGHT_SCALE

_ROOM = limits.ACTIVATION_MAX + limits.LOIHI_BIAS_MIN
"""Weight units that the weighted inputs of a channel may come to, beside the largest bias."""

_MEAN_MAGNITUDE = math.sqrt(2 / math.pi)
"""Of a normal variable, in standard deviations."""


def initial_deviation(fan_in: int, peak: int) -> float:
    """Standard deviation of weights, SLAYER units: half of the head-room is left for training.

    peak: largest magnitude of the layer's inputs.
    """
    return min(INITIAL_DEVIATION, _ROOM / (2 * _MEAN_MAGNITUDE * fan_in * peak * WEIGHT_SCALE))


def initial_threshold(deviation: float, fan_in: int, peak: int) -> int:
    """One standard deviation of the membranes, odd, in weight units.

    Of spikes one in seven is expected; of graded inputs the mean square is a quarter of ``peak`` squared.
    """
    square = EXPECTED_RATE if peak == 1 else peak**2 / 4
    threshold = WEIGHT_SCALE * deviation * math.sqrt(fan_in * square)
    return min(2 * round(threshold / 2) + 1, limits.THRESHOLD_MAX)
