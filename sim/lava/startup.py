"""What lets Lava start sooner and touches nothing that it computes. Imported by the processes that run Lava only."""

from __future__ import annotations

import importlib
import sys
import warnings
from types import ModuleType
from typing import Any

from lava.magma.compiler.compiler_graphs import ProcGroupDiGraphs

_UNUSED = ("lava.lib.dl.slayer.neuron.rf", "lava.lib.dl.netx.sequential_modules")
"""Modules of lava-dl 0.6.0 through which its netx imports torch: the parameters of resonate-and-fire neurons, which no
network of ours has, and a training wrapper."""


def remember_models() -> None:
    """Have Lava search for the process models of each class once.

    lava-nc 0.10.0 (``magma/compiler/compiler_graphs.py``, ``_find_proc_models``) runs every file that lies beside the
    class, for every process anew; in a network of 16 layers that was 3 of the 9 seconds until it ran.
    """
    search = ProcGroupDiGraphs._find_proc_models
    found: dict[type, list[Any]] = {}

    def remembered(proc: Any) -> list[Any]:
        kind = type(proc)
        if kind not in found:
            with warnings.catch_warnings():
                # One of the files asks for torch, and is passed over.
                warnings.filterwarnings("ignore", message="Cannot import module")
                found[kind] = search(proc)
        return list(found[kind])

    ProcGroupDiGraphs._find_proc_models = staticmethod(remembered)


def netx_network() -> Any:
    """lava-dl's loader of ``.net`` files, imported without torch.

    Torch takes seconds to import, and a process that holds it takes three times as long to fork, which Lava does
    for every process of a network.
    """
    sys.modules.setdefault("torch", None)  # type: ignore[arg-type]
    for name in _UNUSED:
        sys.modules.setdefault(name, _empty(name))
    return importlib.import_module("lava.lib.dl.netx.hdf5").Network


def _empty(name: str) -> ModuleType:
    module = ModuleType(name)
    # Lava asks where its files lie, when it looks there for process models.
    module.__file__ = f"{importlib.import_module('lava.lib.dl').__path__[0]}/netx/{name.rpartition('.')[2]}.py"
    vars(module)["neuron_params"] = None
    return module
