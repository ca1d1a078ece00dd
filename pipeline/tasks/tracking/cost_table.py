"""What each convolution of a tracker costs: sizes, multiply-accumulates, weights."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from pipeline.tasks.tracking.models.siamfcpp import Correlation, SiamFCpp


class Row(NamedTuple):
    """One layer. side: rows (and columns) of its answer. macs: multiply-accumulates of one frame."""

    layer: str
    side: int
    macs: int
    weights: int


def cost_table(model: SiamFCpp) -> tuple[list[Row], list[Row]]:
    """The convolutions and correlations of programming one template, and of one search frame.

    Counted by torch's FlopCounterMode, which takes two operations for a multiply-accumulate and none for a bias or a
    norm, on a copy of the model that holds shapes alone.
    """
    config = model.config
    shapes = SiamFCpp(config).to("meta").eval()
    counter = FlopCounterMode(display=False)
    rows: list[Row] = []
    for name, module in shapes.named_modules():
        if isinstance(module, (nn.Conv2d, Correlation)):
            _note(name, module, counter, rows)
    with counter:
        target = shapes.program(torch.zeros(1, 3, config.template, config.template, dtype=torch.uint8, device="meta"))
        template, rows[:] = list(rows), []
        shapes.respond(target, torch.zeros(1, 3, config.search, config.search, dtype=torch.uint8, device="meta"))
    return template, rows


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
