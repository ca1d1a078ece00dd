"""lava-dl's SLAYER, imported without the notes it prints about toolboxes and without what nothing here uses."""

from __future__ import annotations

import contextlib
import importlib
import io
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from netx.errors import MonospikeError

__all__ = ["slayer"]

_LATER = ("lava.lib.dl.slayer.object_detection", "torch.utils.cpp_extension", "matplotlib.pyplot")
"""What ``lava/lib/dl/slayer/__init__.py`` (lava-dl 0.6.0) imports and takes two thirds of its seconds: torchvision's
models, a compiler for CUDA and a plotting library. Each is imported when something of it is first asked for."""


@contextlib.contextmanager
def _later(*names: str) -> Iterator[None]:
    """Meanwhile whoever imports one of these modules has one that is loaded at its first use; then all is as before."""
    absent = [name for name in names if name not in sys.modules]
    sys.modules.update((name, _Later(name)) for name in absent)
    try:
        yield
    finally:
        for name in absent:
            if isinstance(sys.modules.get(name), _Later):
                del sys.modules[name]


class _Later(ModuleType):
    """A module in whose place the true one answers, once it is asked for anything but its function ``load``."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if isinstance(sys.modules.get(self.__name__), _Later):
            del sys.modules[self.__name__]
        return getattr(importlib.import_module(self.__name__), name)

    def load(self, *arguments: Any, **options: Any) -> Any:
        """``torch.utils.cpp_extension.load``, which SLAYER imports by name and calls where there is CUDA."""
        return importlib.import_module(self.__name__).load(*arguments, **options)


try:
    with _later(*_LATER), contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        from lava.lib.dl import slayer
except ModuleNotFoundError as missing:
    raise MonospikeError(
        f"the student is built from lava-dl's SLAYER blocks, and {missing.name!r} is not installed: "
        "use Python 3.10 and install monospike with its extra 'lava'"
    ) from None
