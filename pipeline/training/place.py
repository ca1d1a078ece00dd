"""Where a training runs: one process, or as many as torchrun starts."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as distributed
from torch import Tensor, nn


@dataclass(frozen=True)
class Place:
    """The process's device, its number and the number of processes."""

    device: torch.device
    rank: int = 0
    world: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process writes files and talks to the user."""
        return self.rank == 0

    def average(self, tensors: Iterable[Tensor]) -> None:
        """Replace each tensor by its mean over all processes, in place."""
        if self.world > 1:
            for tensor in tensors:
                distributed.all_reduce(tensor)
                tensor /= self.world

    def agree(self, models: Iterable[nn.Module]) -> None:
        """Average what the processes' models have each seen for themselves: running means and variances."""
        self.average(b for model in models for b in model.buffers() if b.is_floating_point())

    def wait(self) -> None:
        """Wait for the other processes."""
        if self.world > 1:
            distributed.barrier()


@contextmanager
def this_place(device: str = "auto") -> Iterator[Place]:
    """The place that torchrun's variables and the machine's GPUs make. device: auto, cpu or cuda."""
    rank, world = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    cuda = device == "cuda" or (device == "auto" and torch.cuda.is_available())
    where = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0"))) if cuda else torch.device("cpu")
    if cuda:
        torch.cuda.set_device(where)
    if world == 1:
        yield Place(where)
        return
    distributed.init_process_group("nccl" if cuda else "gloo")
    try:
        yield Place(where, rank, world)
    finally:
        distributed.destroy_process_group()
