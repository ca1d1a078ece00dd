"""What a picture costs a detector: operations of every layer, all of which run at every picture.

A student is counted on the spikes of its integers on the exact engine, by every connection that exists, at the borders
too (``sim.activity``); a teacher by the multiply-accumulates of its convolutions. What the host does behind the
read-outs, a scale each, decoding and suppression, is no network and left out of both.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from netx.errors import MonospikeError
from pipeline.core.operations import LayerWork, Work
from pipeline.datasets.detection import LabelledPicture
from pipeline.datasets.errors import DataError
from pipeline.models.macs import counting
from pipeline.models.pixels import to_pixels
from pipeline.tasks.detection.detector import Model, squares
from pipeline.tasks.detection.models.config import YoloxConfig
from pipeline.tasks.detection.models.spiking import INPUT, SpikingYolox
from pipeline.tasks.detection.models.yolox import Yolox
from sim import engine
from sim.activity import count

SHOWN = 32
"""Pictures that work is counted on."""

_TEACHER_BACKBONE = "backbone."
"""The attribute of the teacher that holds its backbone, whose layers are called after it."""

Squares = npt.NDArray[np.uint8]
"""Pictures as a network sees them, RGB (picture, side, side, 3)."""


def shown_squares(pictures: Sequence[LabelledPicture], side: int) -> Squares:
    """Some pictures, spread evenly, in squares of ``side`` pixels. Those that cannot be decoded are left out.

    Raises DataError where that leaves none.
    """
    chosen = np.linspace(0, len(pictures) - 1, min(SHOWN, len(pictures))).round().astype(int)
    read = []
    for index in chosen:
        try:
            read.append(pictures[index].read())
        except MonospikeError as error:
            first = error
    if not read:
        raise DataError(f"none of {len(chosen)} pictures to count operations on can be read; the last: {first}")
    return squares(read, side)[0]


def work(model: Model, shown: Squares) -> Work:
    """What a picture costs ``model``, mean over ``shown``, on its integers where it spikes.

    Raises QuantizeError where a student's values are no integers, as ``SpikingGraph.network`` does.
    """
    rows = _of_student(model.eval(), shown) if isinstance(model, SpikingYolox) else _of_teacher(model.config)
    return Work(1, rows, rows[0].macs)


def _of_student(student: SpikingYolox, shown: Squares) -> tuple[LayerWork, ...]:
    network, inputs = student.network(), {INPUT: to_pixels(shown, student.config.pixel_bits)}
    recording = engine.run(network, inputs)
    return tuple(
        LayerWork(
            layer.layer,
            student.roles[layer.layer].part == "backbone",
            layer.neurons if layer.layer in recording.spikes else 0,
            *(layer.mean(name) for name in ("spikes", "synops", "macs", "dense_macs")),
        )
        for layer in count(network, inputs, recording).layers
    )


def _of_teacher(config: YoloxConfig) -> tuple[LayerWork, ...]:
    shapes = Yolox(config).to("meta").eval()
    counter, rows = counting(shapes, nn.Conv2d)
    with counter, torch.no_grad():  # in inference mode the counter sees nothing
        shapes(torch.zeros(1, 3, config.side, config.side, device="meta"))
    return tuple(
        LayerWork(row.layer, row.layer.startswith(_TEACHER_BACKBONE), 0, 0.0, 0.0, float(row.macs), float(row.macs))
        for row in rows
    )
