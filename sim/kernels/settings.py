"""The settings under which floating-point sums of integers are exact."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def exact_arithmetic() -> Iterator[None]:
    """Rule out every short cut that torch may take through fewer bits or through another algorithm than plain sums.

    NNPACK convolves by Winograd and Fourier transforms, whose factors are no integers; TF32 and bfloat16 have 11 and 8
    bits where float32 has 24. Gradients are off.
    """
    precision = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        with (
            torch.inference_mode(),
            torch.backends.nnpack.flags(enabled=False),
            torch.autocast("cpu", enabled=False),
            torch.autocast("cuda", enabled=False),
        ):
            yield
    finally:
        torch.set_float32_matmul_precision(precision)
