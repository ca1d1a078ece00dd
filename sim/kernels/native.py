"""Functions compiled for this machine by numba, and the threads they run on.

A kernel is compiled when it is first called and kept on disk, where numba puts it: beside the package, or where that
is read-only in the user's cache folder (``NUMBA_CACHE_DIR`` names another). A cache that cannot be written or read is
said once, and the kernel compiled for this process alone. Where numba is not installed ``available`` is False, and
torch computes the same bits.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import cached_property, lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "boundscheck": False, "no_cfunc_wrapper": True}
"""A kernel lets other threads run, and does not look for divisions by zero, of which it has none."""

INLINE: Any = _OPTIONS | {"no_cpython_wrapper": True, "_nrt": False}
"""Of the functions that only kernels call: without the entry from Python and without counting references."""

_WORTH_A_THREAD = 1 << 15
"""Elementary steps; fewer take less time than to hand them over."""


@lru_cache(maxsize=1)
def available() -> bool:
    """Whether numba is installed. It is imported when the first kernel is called, not before."""
    return find_spec("numba") is not None


def cache_folder() -> Path:
    """Where numba keeps the compiled kernels. Raises RuntimeError where it can nowhere."""
    import numba

    place = numba.njit(cache=True)(_say_once).stats.cache_path
    if place is None:
        raise RuntimeError("numba keeps nothing here")
    return Path(place)


class Kernel:
    """A compiled function. signature: numba's types of its arguments; others are refused."""

    def __init__(self, function: Callable[..., None], signature: str) -> None:
        self._function, self._signature = function, signature

    def __call__(self, *arguments: Any) -> None:
        """Compile the function where that has not been done, and run it."""
        self._compiled(*arguments)

    @cached_property
    def _compiled(self) -> Callable[..., None]:
        import numba

        with _said_while_it_compiles():
            try:
                return numba.njit(self._signature, cache=True, **_OPTIONS)(self._function)
            except Exception as error:  # numba gives a damaged or locked cache no type of its own
                # What is wrong with the function itself is raised here again.
                compiled = numba.njit(self._signature, **_OPTIONS)(self._function)
                _say_once("compiled kernels cannot be kept on disk, and are compiled by each process", f" ({error})")
                return compiled


def kernel(signature: str) -> Callable[[Callable[..., None]], Kernel]:
    """Make a ``Kernel`` of a function."""
    return lambda function: Kernel(function, signature)


_said: set[str] = set()


def _say_once(text: str, because: str = "") -> None:
    """Tell the user, on the error stream, once a process, whatever the reason."""
    if text not in _said:
        _said.add(text)
        print(f"monospike: {text}{because}", file=sys.stderr, flush=True)


@contextmanager
def _said_while_it_compiles() -> Iterator[None]:
    """Say that something compiles when it does, rather than comes from the cache."""
    from numba.core import event

    class Listener(event.Listener):
        def on_start(self, _event: Any) -> None:
            _say_once("compiling kernels for this machine, which takes seconds and is kept for the next time")

        def on_end(self, _event: Any) -> None:
            pass

    with event.install_listener("numba:compile", Listener()):
        yield


def spread(work: Callable[[int, int], object], count: int, each: int = 1) -> None:
    """Call ``work(first, end)`` for parts of ``range(count)``, on as many threads as torch uses.

    each: about how many elementary steps one of ``count`` takes.
    """
    threads = min(torch.get_num_threads(), count, count * each // _WORTH_A_THREAD)
    if threads <= 1:
        work(0, count)
        return
    ends = [count * part // threads for part in range(threads + 1)]
    waiting: list[Future[object]] = [_pool().submit(work, ends[i], ends[i + 1]) for i in range(1, threads)]
    work(0, ends[1])
    for future in waiting:
        future.result()


@lru_cache(maxsize=1)
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max(os.cpu_count() or 1, 1), thread_name_prefix="monospike")


# A forked child has none of its parent's threads.
os.register_at_fork(after_in_child=_pool.cache_clear)
