"""Where two networks differ, in words: the first place, or all of it."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from netx.network import Network
from netx.nir_graph import NirGraph


def first_difference(expected: Network, got: Network) -> str | None:
    """What differs first, such as ``layer 'conv1', weight[3, 0, 1, 2] is 14, expected 12``; None when equal."""
    for kind in ("inputs", "layers"):
        one, two = getattr(expected, kind), getattr(got, kind)
        names, other_names = [item.name for item in one], [item.name for item in two]
        if names != other_names:
            return f"its {kind} are {', '.join(other_names)}, expected {', '.join(names)}"
        for item, other in zip(one, two, strict=True):
            if found := _difference(item, other, ""):
                return f"{kind[:-1]} {item.name!r}, {found}"
    return None if expected == got else f"its outputs are {', '.join(got.outputs)}, not {', '.join(expected.outputs)}"


def _difference(expected: Any, got: Any, what: str) -> str | None:
    if isinstance(expected, np.ndarray) and isinstance(got, np.ndarray):
        if expected.shape != got.shape:
            return f"{what} has shape {got.shape}, expected {expected.shape}"
        places = np.argwhere(expected != got)
        if len(places) == 0:
            return None
        place = tuple(int(i) for i in places[0])
        return f"{what}{list(place)} is {got[place]}, expected {expected[place]}"
    if dataclasses.is_dataclass(expected) and type(expected) is type(got):
        for field in dataclasses.fields(expected):
            if found := _difference(getattr(expected, field.name), getattr(got, field.name), field.name):
                return found
        return None
    if type(expected) is not type(got):
        return f"{what} is a {type(got).__name__}, expected a {type(expected).__name__}"
    return None if expected == got else f"{what} is {got}, expected {expected}"


def differences(expected: Network, got: Network) -> dict[str, list[str]]:
    """Everything that differs, in words, by the input or layer that differs, in the order of ``expected``.

    Under ``""`` stands what concerns the network as a whole. Arrays are summed up: how many of their values differ, by
    how much at most, and the first.
    """
    found: dict[str, list[str]] = {}
    for kind in ("inputs", "layers"):
        ones = {item.name: item for item in getattr(expected, kind)}
        others = {item.name: item for item in getattr(got, kind)}
        for name, item in ones.items():
            if name not in others:
                found[name] = [f"{kind[:-1]} is missing"]
                continue
            said = _all_differences(item, others[name], "")
            if kind == "layers" and expected.shape(name) != got.shape(name):
                said.insert(0, f"shape is {got.shape(name)}, expected {expected.shape(name)}")
            if said:
                found[name] = said
        found |= {name: [f"{kind[:-1]} is additional"] for name in others if name not in ones}
    if expected.outputs != got.outputs:
        found[""] = [f"outputs are {', '.join(got.outputs)}, expected {', '.join(expected.outputs)}"]
    if not found and (order := first_difference(expected, got)):
        found[""] = [order]
    return found


def graph_differences(expected: NirGraph, got: NirGraph) -> dict[str, list[str]]:
    """As ``differences`` for two NIR graphs: nodes, kinds, parameters and edges."""
    found: dict[str, list[str]] = {}
    for name, node in expected.nodes.items():
        if name not in got.nodes:
            found[name] = ["node is missing"]
            continue
        other = got.nodes[name]
        said = [f"is a {other.kind}, expected a {node.kind}"] if node.kind != other.kind else []
        for key in dict.fromkeys((*node.values, *other.values)):
            if key in node.values and key in other.values:
                said += _all_differences(node.values[key], other.values[key], key)
            else:
                said.append(f"{key} is {'missing' if key in node.values else 'additional'}")
        if said:
            found[name] = said
    found |= {name: ["node is additional"] for name in got.nodes if name not in expected.nodes}
    lost, new = set(expected.edges) - set(got.edges), set(got.edges) - set(expected.edges)
    edges = [f"edge {a} to {b} is missing" for a, b in sorted(lost)]
    edges += [f"edge {a} to {b} is additional" for a, b in sorted(new)]
    if expected.dt != got.dt:
        edges.append(f"dt is {got.dt}, expected {expected.dt}")
    return found | ({"": edges} if edges else {})


def _all_differences(expected: Any, got: Any, what: str) -> list[str]:
    if isinstance(expected, np.ndarray) and isinstance(got, np.ndarray):
        return [said] if (said := _array_difference(expected, got, what)) else []
    if dataclasses.is_dataclass(expected) and type(expected) is type(got):
        names = [field.name for field in dataclasses.fields(expected)]
        inner = {name: name if what in ("", "synapse", "neuron") else f"{what}.{name}" for name in names}
        return [
            said
            for name in names
            for said in _all_differences(getattr(expected, name), getattr(got, name), inner[name])
        ]
    said = _difference(expected, got, what)
    return [said] if said else []


def _array_difference(expected: np.ndarray, got: np.ndarray, what: str) -> str | None:
    if expected.shape != got.shape:
        return f"{what} has shape {got.shape}, expected {expected.shape}"
    differs = np.asarray(expected != got)
    if not differs.any():
        return None
    if expected.ndim == 0:
        return f"{what} is {got}, expected {expected}"
    place = tuple(int(i) for i in np.argwhere(differs)[0])
    most = np.abs(got.astype(np.float64) - expected.astype(np.float64)).max()
    return (
        f"{what}: {int(differs.sum())} of {differs.size} values differ, by up to {most:g}; the first, {what}"
        f"{list(place)}, is {got[place]}, expected {expected[place]}"
    )
