"""The frames that an import is calibrated on, in floating point for the graph and in integers for the network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from netx.errors import NetworkError
from netx.types import SPIKES, Range, Shape

_WHOLE_MAX = 255
"""Whole numbers up to this magnitude are kept as they are; larger ones and fractions are scaled to 8 bits and sign."""

_MOST_SCALE = 512
"""Binary places at most: smaller values are zero, and a larger scale would leave double precision."""


@dataclass(frozen=True)
class InputFacts:
    """How one input became integers: ``round(value * scale)``, ``scale`` a power of two. error: largest rounding error
    of a value, in the value's own unit."""

    range: Range
    scale: float
    error: float


@dataclass(frozen=True)
class Calibration:
    """Frames of every input. floats: as given, (sequence, frame, ...) in the node's shape. integers: what the network
    of integers gets instead, int32, (sequence, frame, channel, height, width)."""

    floats: Mapping[str, npt.NDArray[np.float64]]
    integers: Mapping[str, npt.NDArray[np.int32]]
    facts: Mapping[str, InputFacts]


def calibrated(arrays: Mapping[str, npt.NDArray], shapes: Mapping[str, Shape]) -> Calibration:
    """Split frames into sequences and make integers of them.

    arrays: for each name in ``shapes`` (frame, ...) or (sequence, frame, ...), a frame in the input's shape or flat.
    Raises NetworkError that names an input which is missing, does not fit or is not finite.
    """
    floats, integers, facts = {}, {}, {}
    for name, shape in shapes.items():
        if name not in arrays:
            several = (
                f". The file has {len(shapes)} inputs ({', '.join(shapes)}): give an .npz with one array for each, "
                "by its name. snnTorch's exporter loses sums, and leaves an input for each summand: is this one?"
            )
            raise NetworkError(
                f"input {name!r}: there are no frames for it; there are some for {', '.join(arrays)}"
                f"{several if len(shapes) > 1 else ''}"
            )
        values = _sequences(np.asarray(arrays[name]), shape, name)
        facts[name] = _facts(values)
        floats[name] = values
        whole = np.rint(values * facts[name].scale).astype(np.int32)
        integers[name] = whole.reshape(*whole.shape[:2], *shape)
    if len({values.shape[:2] for values in floats.values()}) > 1:
        raise NetworkError("the inputs have different numbers of sequences or frames")
    return Calibration(floats, integers, facts)


def _sequences(array: npt.NDArray, shape: Shape, name: str) -> npt.NDArray[np.float64]:
    if array.dtype.kind not in "biuf" or not np.isfinite(array).all():
        raise NetworkError(f"input {name!r}: holds something else than finite numbers")
    if array.ndim >= 2 and array.size and _fits(array.shape[1:], shape):
        return array[None].astype(np.float64)
    if array.ndim >= 3 and array.size and _fits(array.shape[2:], shape):
        return array.astype(np.float64)
    raise NetworkError(f"input {name!r}: shape {array.shape} is not (frame, ...) or (sequence, frame, ...) of {shape}")


def _fits(frame: tuple[int, ...], shape: Shape) -> bool:
    """Whether a frame has the input's sizes, sizes of one left out, or all of its values in a row."""
    sizes = [size for size in frame if size > 1]
    return sizes == [size for size in shape if size > 1] or (len(sizes) <= 1 and int(np.prod(frame)) == shape.size)


def _facts(values: npt.NDArray[np.float64]) -> InputFacts:
    low, high = float(values.min()), float(values.max())
    most = max(-low, high)
    if most <= _WHOLE_MAX and (values == np.floor(values)).all():
        scale = 1.0
    else:
        scale = float(2.0 ** min(np.floor(np.log2(_WHOLE_MAX) - np.log2(most)), _MOST_SCALE))
    lowest, highest = round(low * scale), round(high * scale)
    span = SPIKES if lowest >= 0 and highest <= 1 else Range(min(lowest, 0), max(highest, 1))
    return InputFacts(span, scale, float(np.abs(np.rint(values * scale) / scale - values).max()))
