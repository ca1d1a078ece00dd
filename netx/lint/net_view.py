"""A ``.net`` file as its groups say it, whether or not it makes a network."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from netx.hdf5 import Group, Refuse
from netx.lint.raw import Raw

WEIGHTED = ("conv", "dense", "dense_rec")
"""Kinds of layers that lava-dl's loader gives synapses to."""


@dataclass(frozen=True)
class NetLayer:
    """One group ``layer/<index>``.

    kind: its type. before: the kind of the layer before it that has neurons, or ``input``, or empty. flattened: whether
    a flatten stands between the two. source: the shape that the one before says it has. last: whether it is the last.
    """

    index: int
    kind: str
    raw: Raw
    neuron: Raw | None
    before: str
    flattened: bool
    source: tuple[int, ...] | None
    last: bool

    @property
    def dense(self) -> bool:
        """Whether it is a full connection, with feedback or without."""
        return self.kind in ("dense", "dense_rec")

    @property
    def neuron_type(self) -> str | None:
        """The type that its neurons say, None where it has none."""
        return self.neuron.text("type") if self.neuron is not None else None

    @property
    def binary(self) -> bool:
        """Whether its neurons are those that lava-dl's loader makes a LIF of."""
        return self.neuron_type in ("CUBA", "LOIHI")

    @property
    def out(self) -> int | None:
        """How many channels, or flat neurons, its weights have."""
        weight = self.raw.numbers("weight")
        if weight is None or weight.ndim == 0 or 0 in weight.shape:
            return None
        if self.dense and weight.ndim == 1:
            shape = stored_shape(self.raw)
            return math.prod(shape) if shape and min(shape) > 0 else None
        return int(weight.shape[0])


@dataclass(frozen=True)
class NetFile:
    """What ``layer`` holds. names: of its members. layers: those that are numbered from 0 without a gap."""

    root: Raw
    names: tuple[str, ...]
    layers: tuple[NetLayer, ...]


def net_view(root: Group, refuse: Refuse) -> NetFile:
    """The whole file; ``refuse`` gets what cannot be read."""
    whole = Raw(root, refuse)
    groups = whole.member("layer")
    names = tuple(groups.names()) if groups else ()
    layers: list[NetLayer] = []
    before, flattened, source = "", False, None
    for index in range(len(names)):
        raw = groups.member(str(index)) if groups else None
        if raw is None:
            break
        kind = raw.text("type") or ""
        neuron = raw.member("neuron")
        layers.append(NetLayer(index, kind, raw, neuron, before, flattened, source, index == len(names) - 1))
        flattened = kind == "flatten"
        if not flattened:
            before, source = kind, stored_shape(raw)
    return NetFile(whole, names, tuple(layers))


def stored_shape(raw: Raw) -> tuple[int, ...] | None:
    """The dataset ``shape``, as whole numbers; None where there is no such."""
    values = raw.numbers("shape")
    if values is None or values.size == 0 or values.size > 3:
        return None
    if not np.isfinite(values).all() or (values != np.floor(values)).any() or (np.abs(values) > 2**31).any():
        return None
    return tuple(int(n) for n in values.ravel())


def pair(raw: Raw, name: str) -> tuple[int, int] | None:
    """The dataset ``name`` of one or two whole numbers, as (height, width); None where there is no such."""
    values = raw.numbers(name)
    if values is None or values.size not in (1, 2) or not np.isfinite(values).all():
        return None
    rows, columns = (values.ravel().tolist() * 2)[:2] if values.size == 1 else values.ravel().tolist()
    if abs(rows) > 2**31 or abs(columns) > 2**31:
        return None
    return int(rows), int(columns)
