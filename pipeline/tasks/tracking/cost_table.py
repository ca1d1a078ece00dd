"""What each convolution of a tracker costs: sizes, multiply-accumulates, weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from pipeline.tasks.tracking.models.siamfcpp import Correlation, SiamFCpp


class Row(NamedTuple):
    """One layer. side: rows (and columns) of its answer. macs: multiply-accumulates of one frame."""

    layer: str
    side: int
    macs: int
    weights: int


def cost_table(model: SiamFCpp) -> tuple[list[Row], list[Row]]:
    """The convolutions and correlations of programming one template, and of one search frame.

    Counted by running a copy of the model that holds shapes alone. Biases and norms are left out, as is usual.
    """
    config = model.config
    shapes = SiamFCpp(config).to("meta").eval()
    rows: list[Row] = []
    for name, module in shapes.named_modules():
        if isinstance(module, (nn.Conv2d, Correlation)):
            module.register_forward_hook(_counting(name, rows))
    target = shapes.program(torch.zeros(1, 3, config.template, config.template, dtype=torch.uint8, device="meta"))
    template, rows[:] = list(rows), []
    shapes.respond(target, torch.zeros(1, 3, config.search, config.search, dtype=torch.uint8, device="meta"))
    return template, rows


def _counting(name: str, rows: list[Row]) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], Any]:
    def count(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        if isinstance(module, nn.Conv2d):
            weights, taps = module.weight.numel(), module.weight[0].numel()
        else:
            weights, taps = 0, inputs[1].shape[-2] * inputs[1].shape[-1]
        rows.append(Row(name, output.shape[-1], output.numel() * taps, weights))

    return count
