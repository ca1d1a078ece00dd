"""The batches of a training, each drawn from its step alone, by processes of their own where wanted."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import torch
from torch.utils.data import DataLoader, Dataset

from netx.errors import MonospikeError
from pipeline.core.task import Batch, Batches


class _Steps(Dataset[Batch | MonospikeError]):
    """Batch by step, or what kept it from being made. A step's batch depends on nothing that was drawn before."""

    def __init__(self, source: Batches) -> None:
        self._source = source

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, step: int) -> Batch | MonospikeError:
        cv2.setNumThreads(1)  # one process prepares one batch
        try:
            return self._source[step]
        except MonospikeError as error:
            return error  # raised here, it would reach the user with a process's traceback in it


def batches(source: Batches, first: int, workers: int) -> Iterator[Batch]:
    """The batches of steps ``first`` and on.

    workers: processes that prepare them; none for this one. Raises what ``source`` raises at the step that meets it.
    """
    return _good(_prepared(_Steps(source), range(first, len(source)), workers))


def _prepared(steps: _Steps, order: range, workers: int) -> Iterator[Batch | MonospikeError]:
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


def _good(items: Iterator[Batch | MonospikeError]) -> Iterator[Batch]:
    for item in items:
        if isinstance(item, MonospikeError):
            raise item
        yield item
