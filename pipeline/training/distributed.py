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

_BUCKET = 25 * 2**20 // 4
"""Numbers that are averaged together: 25 MiB of float32, as DistributedDataParallel's ``bucket_cap_mb``."""

_BFLOAT16 = frozenset({"avx512_bf16", "amx_bf16", "bf16"})
"""What Linux calls it, on x86-64 and on 64-bit Arm."""


@dataclass(frozen=True)
class DistributedContext:
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
        """Replace each tensor by its mean over all processes, in place; all of them have one dtype.

        In buckets, as DistributedDataParallel reduces: one exchange of many small tensors takes as long as one of a
        single tensor. Two processes' sums are the same bits in any bucket; those of more may differ in the last one, as
        gloo and NCCL divide a bucket into other parts than a tensor.
        """
        if self.world > 1:
            for bucket in _buckets(tensors):
                flat = torch.cat([tensor.flatten() for tensor in bucket])
                distributed.all_reduce(flat)
                flat /= self.world
                for tensor, mean in zip(bucket, flat.split([tensor.numel() for tensor in bucket]), strict=True):
                    tensor.copy_(mean.view_as(tensor))

    def agree(self, models: Iterable[nn.Module]) -> None:
        """Average what the processes' models have each seen for themselves: running means and variances."""
        self.average(b for model in models for b in model.buffers() if b.is_floating_point())

    def wait(self) -> None:
        """Wait for the other processes."""
        if self.world > 1:
            distributed.barrier()


def _buckets(tensors: Iterable[Tensor]) -> Iterator[list[Tensor]]:
    """The tensors in order, as many together as have ``_BUCKET`` numbers, and at least one."""
    bucket: list[Tensor] = []
    for tensor in tensors:
        if bucket and sum(other.numel() for other in bucket) + tensor.numel() > _BUCKET:
            yield bucket
            bucket = []
        bucket.append(tensor)
    if bucket:
        yield bucket


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
def distributed_context(device: str = "auto") -> Iterator[DistributedContext]:
    """What torchrun's variables and the machine's GPUs make of this process. device: auto, cpu or cuda.

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
        yield DistributedContext(where)
        return
    distributed.init_process_group("nccl" if cuda else "gloo")
    try:
        yield DistributedContext(where, rank, world)
    finally:
        # In torch 2.3 this joins gloo's threads while it holds Python's lock; one that is still letting go of a tensor
        # needs that lock, and both wait for ever. Asleep, this thread lends it.
        time.sleep(_SECONDS_TO_LET_GO)
        distributed.destroy_process_group()
