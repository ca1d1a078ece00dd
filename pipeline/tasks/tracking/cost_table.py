"""What each convolution of a tracker costs: sizes, multiply-accumulates, weights."""

from __future__ import annotations

import torch
from torch import nn

from pipeline.models.macs import Row, counting
from pipeline.tasks.tracking.models.siamfcpp import Correlation, SiamFCpp


def cost_table(model: SiamFCpp) -> tuple[list[Row], list[Row]]:
    """The convolutions and correlations of programming one template, and of one search frame.

    Counted on a copy of the model that holds shapes alone, as ``pipeline.models.macs`` says.
    """
    config = model.config
    shapes = SiamFCpp(config).to("meta").eval()
    counter, rows = counting(shapes, nn.Conv2d, Correlation)
    with counter:
        target = shapes.program(torch.zeros(1, 3, config.template, config.template, dtype=torch.uint8, device="meta"))
        template, rows[:] = list(rows), []
        shapes.respond(target, torch.zeros(1, 3, config.search, config.search, dtype=torch.uint8, device="meta"))
    return template, rows
