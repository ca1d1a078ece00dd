"""The batches of a training, each drawn from (seed, rank, step) alone, by processes of their own where wanted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from netx.errors import MonospikeError
from pipeline.datasets.training_sources import Mixture
from pipeline.tasks.tracking.models.config import STRIDE
from pipeline.tasks.tracking.predictor import Geometry
from pipeline.tasks.tracking.sampling import Crops, draw_crops
from pipeline.tasks.tracking.training_config import TrainingConfig


class CropBatch(NamedTuple):
    """template, search: RGB, uint8, (pair, 3, side, side). box: float32 (pair, 4), x, y, width, height in search-crop
    pixels. same: bool (pair,), False where the template shows another target."""

    template: Tensor
    search: Tensor
    box: Tensor
    same: Tensor

    def to(self, device: torch.device) -> CropBatch:
        """The batch on another device."""
        return CropBatch(*(tensor.to(device, non_blocking=True) for tensor in self))


def as_batch(crops: Crops) -> CropBatch:
    """Crops as tensors, channels before rows."""
    return CropBatch(
        torch.from_numpy(np.ascontiguousarray(crops.template.transpose(0, 3, 1, 2))),
        torch.from_numpy(np.ascontiguousarray(crops.search.transpose(0, 3, 1, 2))),
        torch.tensor(crops.box, dtype=torch.float32),
        torch.tensor(crops.same),
    )


class _Steps(Dataset[CropBatch | MonospikeError]):
    """Batch by step, or what kept it from being made. A step's batch depends on nothing that was drawn before."""

    def __init__(self, config: TrainingConfig, rank: int) -> None:
        self._config, self._rank = config, rank
        self._sources = Mixture(config.data, config.seed)

    def __len__(self) -> int:
        return self._config.train.steps

    def __getitem__(self, step: int) -> CropBatch | MonospikeError:
        cv2.setNumThreads(1)  # one process prepares one batch
        try:
            return self._drawn(step)
        except MonospikeError as error:
            return error  # raised here, it would reach the user with a process's traceback in it

    def _drawn(self, step: int) -> CropBatch:
        config, architecture = self._config, next(iter(self._config.models.values())).architecture
        small = config.train.search
        side = small.side if small and step < small.until * config.train.steps else architecture.search
        crops = draw_crops(
            lambda random: self._sources.pick(step, random),
            config.train.batch,
            Geometry(architecture.template, side, STRIDE, 8),
            config.tracker.context,
            config.train.pairs,
            np.random.default_rng([config.seed, self._rank, step]),
        )
        return as_batch(crops)


def batches(config: TrainingConfig, first: int, rank: int = 0) -> Iterator[CropBatch]:
    """The batches of steps ``first`` and on, for the process ``rank`` of several.

    Raises DataError at once where a root is missing or bad, and FormatError at the step that meets a bad picture.
    """
    return _good(_prepared(_Steps(config, rank), range(first, config.train.steps), config.train.workers))


def _prepared(steps: _Steps, order: range, workers: int) -> Iterator[CropBatch | MonospikeError]:
    if not workers:
        return (steps[step] for step in order)
    # Forked, the processes share what is opened already.
    return iter(
        DataLoader(
            steps,
            batch_size=None,
            sampler=order,
            num_workers=workers,
            multiprocessing_context="fork",
            pin_memory=torch.cuda.is_available(),
        )
    )


def _good(items: Iterator[CropBatch | MonospikeError]) -> Iterator[CropBatch]:
    for item in items:
        if isinstance(item, MonospikeError):
            raise item
        yield item
