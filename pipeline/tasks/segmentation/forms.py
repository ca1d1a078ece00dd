"""A model as a segmenter, in either form."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeAlias

import torch

from netx import Network
from netx.errors import MonospikeError
from pipeline.datasets.images import RGB
from pipeline.datasets.label_masks import LabelMask
from pipeline.tasks.segmentation.config import SegmenterProcessing
from pipeline.tasks.segmentation.models.memory import MemoryNetwork
from pipeline.tasks.segmentation.models.spiking import SpikingStm, in_integers
from pipeline.tasks.segmentation.models.stm import Stm
from pipeline.tasks.segmentation.predictions import OpenSegmenter
from pipeline.tasks.segmentation.segmenter import MemorySegmenter

Model: TypeAlias = Stm | SpikingStm


class RealValued:
    """A segmenter of a student that runs on its real-valued weights while it works."""

    def __init__(self, student: SpikingStm, segmenter: MemorySegmenter) -> None:
        self._student, self._segmenter = student, segmenter

    @property
    def most_objects(self) -> int | None:
        """As the segmenter's."""
        return self._segmenter.most_objects

    def start(self, frame: RGB, mask: LabelMask) -> None:
        """See ``OpenSegmenter``."""
        with self._student.float_weights():
            self._segmenter.start(frame, mask)

    def step(self, frame: RGB) -> LabelMask:
        """See ``OpenSegmenter``."""
        with self._student.float_weights():
            return self._segmenter.step(frame)


def in_torch(
    model: Model, processing: SegmenterProcessing, real_valued: bool, device: torch.device | None = None
) -> OpenSegmenter:
    """A model in torch as it stands, or a student on its real-valued weights."""
    network: MemoryNetwork = model.at_work() if isinstance(model, SpikingStm) else model
    segmenter = MemorySegmenter(network, model.config, processing, device)
    return RealValued(model, segmenter) if real_valued and isinstance(model, SpikingStm) else segmenter


def integer_segmenter(
    student: SpikingStm, processing: SegmenterProcessing, network: Network | None = None
) -> MemorySegmenter:
    """A student as its networks of integers on the exact engine. network: as of ``in_integers``."""
    return MemorySegmenter(student.at_work(in_integers(student, network)), student.config, processing)


def segmenter(model: Model, processing: SegmenterProcessing, form: str) -> OpenSegmenter:
    """A model as ``float`` or ``integer``. Raises MonospikeError where there is no such form of it."""
    if form not in ("float", "integer"):
        raise MonospikeError(f"there is no engine {form!r}; the engines are float, integer")
    if form == "float":
        return in_torch(model.eval(), processing, real_valued=True)
    if isinstance(model, SpikingStm):
        return integer_segmenter(model.eval(), processing)
    raise MonospikeError("a teacher has no integers; use --engine float, or a student that learned from it")


@contextmanager
def counted_spikes(model: Model) -> Iterator[dict[str, tuple[float, int]]]:
    """Spikes, and neurons times frames, of each layer that spikes, by name, of all that the model does in the block."""
    counts: dict[str, tuple[float, int]] = {}

    def watch(name: str):  # type: ignore[no-untyped-def]
        def note(_: object, __: object, answer: tuple[torch.Tensor, torch.Tensor]) -> None:
            spikes, neurons = counts.get(name, (0.0, 0))
            counts[name] = spikes + float(answer[0].sum()), neurons + answer[0].numel()

        return note

    neurons = model.neurons if isinstance(model, SpikingStm) else {}
    hooks = [neuron.register_forward_hook(watch(name)) for name, neuron in neurons.items()]
    try:
        yield counts
    finally:
        for hook in hooks:
            hook.remove()
