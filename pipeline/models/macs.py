"""What each layer of a real-valued model multiplies and adds, counted while it runs on shapes alone."""

from __future__ import annotations

from typing import Any, NamedTuple

from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode


class Row(NamedTuple):
    """One layer. side: columns of its answer. macs: multiply-accumulates of one frame."""

    layer: str
    side: int
    macs: int
    weights: int


def counting(model: nn.Module, *kinds: type[nn.Module]) -> tuple[FlopCounterMode, list[Row]]:
    """A counter to run ``model`` within, and the rows that it then gets: one for each call of a module of ``kinds``.

    Counted by torch's FlopCounterMode, which takes two operations for a multiply-accumulate and none for a bias or a
    norm. model: on torch's device ``meta``, where nothing is computed; it keeps what counts it.
    """
    counter = FlopCounterMode(display=False)
    rows: list[Row] = []
    for name, module in model.named_modules():
        if isinstance(module, kinds):
            _note(name, module, counter, rows)
    return counter, rows


def _note(name: str, module: nn.Module, counter: FlopCounterMode, rows: list[Row]) -> None:
    """Have each call of ``module`` add a row: two calls of one module are two rows of its name."""
    before = 0

    def begin(*_: Any) -> None:
        nonlocal before
        before = counter.get_total_flops()

    def end(_: nn.Module, __: tuple[Tensor, ...], output: Tensor) -> None:
        weights = module.weight.numel() if isinstance(module, nn.Conv2d) else 0
        rows.append(Row(name, output.shape[-1], (counter.get_total_flops() - before) // 2, weights))

    module.register_forward_pre_hook(begin)
    module.register_forward_hook(end)
