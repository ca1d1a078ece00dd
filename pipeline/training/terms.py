"""Loss terms: functions of named tensors and the batch. A method of training is a list of them.

Tensors are called MODEL/NAME, such as ``student/search_features``; what models name is in ``pipeline.models``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TypeAlias

import torch
from torch import Tensor

from netx.errors import MonospikeError
from pipeline.crop import positions
from pipeline.losses import tracking_loss
from pipeline.models.config import STRIDE
from pipeline.training.batches import CropBatch
from pipeline.training.config import TrackingTerm


class TrainingError(MonospikeError):
    """A training that cannot go on."""


class NamedTensors(Mapping[str, Tensor]):
    """What all models answered. Raises TrainingError, naming what there is, for a name that nobody answered."""

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        self._tensors = tensors

    def __getitem__(self, name: str) -> Tensor:
        if name not in self._tensors:
            raise TrainingError(f"a loss names the tensor {name!r}; there are {', '.join(sorted(self._tensors))}")
        return self._tensors[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)


Term: TypeAlias = Callable[[NamedTensors, CropBatch], dict[str, Tensor]]
"""Weighted scalars by name, to be summed."""


def build_terms(configs: tuple[TrackingTerm, ...]) -> list[Term]:
    """The functions of a configuration's terms, in order."""
    return [tracking(config) for config in configs]


def tracking(config: TrackingTerm) -> Term:
    """SiamFC++'s three losses of one model, ``MODEL/class``, ``MODEL/centre`` and ``MODEL/box``."""

    def term(tensors: NamedTensors, batch: CropBatch) -> dict[str, Tensor]:
        readout = {name: tensors[f"{config.model}/{name}"] for name in ("class", "centre")}
        places = positions(readout["class"].shape[-1], STRIDE, batch.search.shape[-1])
        points = torch.tensor(places, dtype=torch.float32, device=batch.box.device)
        distances = tensors[f"{config.model}/distances"]
        losses = tracking_loss(readout, distances, batch.box, batch.same, points, config.loss)
        return {f"{config.model}/{name}": value for name, value in losses.items()}

    return term
