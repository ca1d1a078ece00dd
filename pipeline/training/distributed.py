"""Where a training runs: one process, or as many as torchrun starts."""

from __future__ import annotations

import ctypes
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
import torch.distributed as distributed
from torch import Tensor, nn

from netx.errors import MonospikeError

_SECONDS_TO_LET_GO = 0.5

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
"""Options of glibc's mallopt (malloc.h)."""

_MOST = 2**31 - 1

_BFLOAT16 = frozenset({"avx512_bf16", "amx_bf16", "bf16"})
"""What Linux calls it, on x86-64 and on 64-bit Arm."""


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

    @property
    def has_bfloat16(self) -> bool:
        """Whether arithmetic in bfloat16 is faster here than in float32: a processor without it is ten times slower."""
        return self.device.type != "cpu" or _processor_has_bfloat16()

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


@cache
def _processor_has_bfloat16() -> bool:
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").split()
    except OSError:
        return False
    return not _BFLOAT16.isdisjoint(flags)


def _keep_freed_memory() -> None:
    """Have glibc keep what is freed: given back, large tensors are mapped and zeroed anew at every step, which takes a
    tenth of a training's time."""
    with suppress(OSError, AttributeError):  # another C library has other ways
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_MMAP_MAX, 0)
        libc.mallopt(_M_TRIM_THRESHOLD, _MOST)


@contextmanager
def this_place(device: str = "auto") -> Iterator[Place]:
    """The place that torchrun's variables and the machine's GPUs make. device: auto, cpu or cuda.

    Raises MonospikeError where there is no GPU for this process.
    """
    rank, world = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    cuda = device == "cuda" or (device == "auto" and torch.cuda.is_available())
    local, gpus = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
    if cuda and local >= gpus:
        raise MonospikeError(
            f"process {local + 1} of this machine needs a GPU, and torch finds {gpus}: use --device cpu"
        )
    where = torch.device("cuda", local) if cuda else torch.device("cpu")
    if cuda:
        torch.cuda.set_device(where)
    else:
        _keep_freed_memory()
    if world == 1:
        yield Place(where)
        return
    distributed.init_process_group("nccl" if cuda else "gloo")
    try:
        yield Place(where, rank, world)
    finally:
        # In torch 2.3 this joins gloo's threads while it holds Python's lock; one that is still letting go of a tensor
        # needs that lock, and both wait for ever. Asleep, this thread lends it.
        time.sleep(_SECONDS_TO_LET_GO)
        distributed.destroy_process_group()
