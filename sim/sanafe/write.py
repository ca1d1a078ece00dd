"""Writes a mapped network for SANA-FE: architecture, network with its input, what has to come out, and a check."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import numpy.typing as npt
import yaml

from netx import LIF, Accumulator, FormatError, MonospikeError, Network, channel_bias, limits
from netx.files import write_whole
from netx.fingerprint import fingerprint, tool
from sim import engine, mapping
from sim.frames import checked_frames
from sim.hardware import Chip, Mesh
from sim.sanafe.architecture import CONV, DENSE, INPUTS, LIF_SOMA, architecture, mesh_of, place, place_outside
from sim.sanafe.connections import Edges, layer_edges, problems, wiring

ARCHITECTURE, NETWORK, MANIFEST, CHECK = "architecture.yaml", "network.yaml", "manifest.json", "check.py"

_VERSION = 1
_OUTSIDE_A_CORE = 1024
"""Inputs that one core beside the chip sends; as many as SANA-FE's Loihi has."""

_NEVER = 1e9
"""A threshold that no voltage reaches: a read-out."""

_HALF = 0.5 / (1 << limits.STATE_SHIFT)
"""Half of the finest step of a voltage, in weight units. That much higher, a threshold means the same whether it has to
be exceeded or only reached."""


@dataclass(frozen=True)
class Exported:
    """What was written.

    steps: to run, the frames and as many more as the network is deep. spikes, messages: that have to come out. played:
    layers that read numbers, which messages there do not carry; their spikes are played back on their own cores.
    """

    steps: int
    spikes: int
    messages: int
    played: tuple[str, ...]


@dataclass(frozen=True)
class _Group:
    """A layer or an input there.

    sites: where each neuron sits, as tile and core; cores: a number for each of those. fired: 0 or 1, (step, neuron).
    sends: whether its spikes are played back.
    """

    name: str
    key: str
    sites: list[str]
    cores: npt.NDArray[np.int64]
    fired: npt.NDArray[np.uint8]
    sends: bool
    outside: bool = False


def write_sanafe(
    network: Network, mapped: mapping.Mapping, chip: Chip, frames: Mapping[str, npt.ArrayLike], path: Path
) -> Exported:
    """Write the folder ``path`` for SANA-FE 2.2.9; it appears whole or not at all.

    frames: as the engine takes them; one enters at each step. mapped: of this network on this chip, without violations.
    Raises FormatError that lists, layer by layer, what SANA-FE cannot run, and for a folder with something else in it;
    MonospikeError for a mapping that does not fit, or one of several chips.
    """
    path = Path(path)
    if path.suffix in (".yaml", ".yml", ".net", ".nir") or path.is_file():
        raise FormatError(f"{path}: what SANA-FE reads are several files: name a folder")
    if path.is_dir() and any(path.iterdir()) and not _own(path):
        raise FormatError(f"{path}: holds something else than files for SANA-FE: choose another folder")
    played = _played(network)
    # What is played back reads no numbers there.
    named = {f"layer {name!r}" for name in played}
    broken = [one for one in mapped.violations if one.rule != "graded spikes" or one.where not in named]
    if broken or mapped.chips != 1:
        why = "; ".join(map(str, broken)) or f"it takes {mapped.chips} chips, and SANA-FE has one"
        raise MonospikeError(f"{path}: the network does not fit on {chip.title}: {why}")
    if found := list(problems(network, played)):
        raise FormatError(f"{path}: SANA-FE cannot run this network: {'; '.join(found)}")
    groups = _groups(network, mapped, mesh_of(chip), played, frames)
    wires = wiring(network)
    edges = {
        layer.name: list(layer_edges(network, layer, wires[layer.inputs[0]]))
        for layer in network.layers
        if layer.neuron is not None and layer.name not in played
    }
    manifest = _manifest(network, chip, groups, edges)
    outside = sum(len(set(group.sites)) for group in groups.values() if group.outside)
    columns = -(-outside // (mesh_of(chip).cores_per_tile * mesh_of(chip).rows))
    most = max((_most_on_a_core(group) for group in groups.values() if group.sends), default=1)
    try:
        with write_whole(path) as temporary:
            temporary.mkdir()
            with (temporary / ARCHITECTURE).open("w", encoding="ascii") as file:
                file.write(_comment(chip, network))
                yaml.safe_dump(architecture(chip, most, columns), file, sort_keys=False, width=120)
            with (temporary / NETWORK).open("w", encoding="ascii") as file:
                _write_network(file, network, groups, edges)
            text = Path(__file__).with_name("check.py.j2").read_text(encoding="utf-8")
            (temporary / CHECK).write_text(text, encoding="utf-8")
            (temporary / MANIFEST).write_text(json.dumps(manifest) + "\n", encoding="utf-8")
    except OSError as error:
        raise FormatError(f"{path}: cannot be written ({error.strerror or error})") from None
    spikes = sum(sum(group["spikes"]) for group in manifest["groups"].values())
    return Exported(manifest["steps"], spikes, sum(manifest["messages"]), tuple(sorted(played)))


def _own(path: Path) -> bool:
    try:
        return "monospike_sanafe" in json.loads((path / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError):
        return False


def _played(network: Network) -> frozenset[str]:
    """The layers of spiking neurons that read an input of numbers."""
    graded = {source.name for source in network.inputs if not source.range.binary}
    wires = wiring(network)
    return frozenset(
        layer.name
        for layer in network.layers
        if isinstance(layer.neuron, LIF) and graded.intersection(wires[layer.inputs[0]].sources)
    )


def _groups(
    network: Network, mapped: mapping.Mapping, mesh: Mesh, played: frozenset[str], frames: Mapping[str, npt.ArrayLike]
) -> dict[str, _Group]:
    """Everything that has neurons there, with what each does at every step; a synapse takes one, as in Lava."""
    depth = max(network.depth(layer.name) for layer in network.layers)
    longer = {}
    for source in network.inputs:
        values = checked_frames(network, frames)[source.name]
        idle = min(max(0, source.range.low), source.range.high)
        longer[source.name] = np.concatenate([values, np.full((depth, *source.shape), idle, np.int32)])
    trace = engine.trace(network, longer, pipelined=True)
    groups: dict[str, _Group] = {}
    used = 0
    sites_of = dict(zip(mapped.cores, mapped.placement, strict=True))
    for source in network.inputs:
        if source.range.binary:
            cores = np.arange(source.shape.size) // _OUTSIDE_A_CORE + used
            used = int(cores.max()) + 1
            sites = [place_outside(int(core), mesh) for core in cores]
            fired = longer[source.name].reshape(len(longer[source.name]), -1).astype(np.uint8)
            groups[source.name] = _Group(source.name, f"in_{source.name}", sites, -1 - cores, fired, True, True)
    for layer in network.layers:
        if layer.neuron is None:
            continue
        shape = network.shape(layer.name)
        numbers = np.full(shape, -1, np.int64)
        for core, site in sites_of.items():
            if core.layer == layer.name:
                numbers[core.box.slices] = site
        flat = numbers.ravel()
        if (flat < 0).any():
            raise MonospikeError(f"layer {layer.name!r}: the mapping puts {int((flat < 0).sum())} neurons on no core")
        output = trace[layer.name].output.reshape(len(trace[layer.name].output), -1)
        fired = np.zeros_like(output, np.uint8) if isinstance(layer.neuron, Accumulator) else output.astype(np.uint8)
        sites = [place(int(site), mesh) for site in flat]
        groups[layer.name] = _Group(layer.name, f"l_{layer.name}", sites, flat, fired, layer.name in played)
    return groups


def _manifest(
    network: Network, chip: Chip, groups: Mapping[str, _Group], edges: Mapping[str, list[Edges]]
) -> dict[str, Any]:
    """What has to come out: spikes and their places of every layer, and messages, at each step."""
    readers: dict[str, list[npt.NDArray[np.int64]]] = {name: [] for name in groups}
    for name, parts in edges.items():
        for part in parts:
            readers[part.source].append(np.stack([part.before, groups[name].cores[part.after]], axis=1))
    steps = len(next(iter(groups.values())).fired)
    messages = np.zeros(steps, np.int64)
    for name, group in groups.items():
        if readers[name] and not group.outside:
            pairs = np.unique(np.concatenate(readers[name]), axis=0)
            messages += group.fired.astype(np.int64) @ np.bincount(pairs[:, 0], minlength=group.fired.shape[1])
    return {
        "monospike_sanafe": _VERSION,
        "fingerprint": fingerprint(network),
        "tool": tool(),
        "chip": chip.title,
        "steps": steps,
        "outside": [group.key for group in groups.values() if group.outside],
        "played": [group.key for group in groups.values() if group.sends and not group.outside],
        "groups": {
            group.key: {
                "name": name,
                "spikes": group.fired.sum(axis=1, dtype=np.int64).tolist(),
                "places": (group.fired @ np.arange(1, group.fired.shape[1] + 1)).tolist(),
            }
            for name, group in groups.items()
        },
        "messages": messages.tolist(),
    }


def _write_network(
    file: TextIO, network: Network, groups: Mapping[str, _Group], edges: Mapping[str, list[Edges]]
) -> None:
    file.write("network:\n  name: network\n  groups:\n")
    for group in groups.values():
        file.write(f"    - name: {group.key}\n      attributes: [log_spikes: true]\n      neurons:\n")
        for line in _neurons(network, group):
            file.write(f"        - {line}\n")
    file.write("  edges:\n" if any(edges.values()) else "  edges: []\n")
    for name, parts in edges.items():
        into = groups[name].key
        for part in parts:
            source = groups[part.source].key
            for before, after, weight in zip(
                part.before.tolist(), part.after.tolist(), part.weights.tolist(), strict=True
            ):
                file.write(f"    - {source}.{before} -> {into}.{after}: {{weight: {weight}}}\n")
    file.write("mappings:\n")
    for group in groups.values():
        dense = group.name in edges and type(network.layer(group.name).synapse).__name__ == "Dense"
        here: dict[str, int] = {}
        for neuron, site in enumerate(group.sites):
            number = here[site] = here.get(site, -1) + 1
            unit = f"soma: '{INPUTS}[{number}]'" if group.sends else f"soma: {LIF_SOMA}"
            unit += "" if group.sends else f", synapse: {DENSE if dense else CONV}"
            file.write(f"  - {group.key}.{neuron}: {{core: {site}, {unit}}}\n")


def _neurons(network: Network, group: _Group) -> Iterator[str]:
    if group.sends:
        for place, train in enumerate(group.fired.T.tolist()):
            yield f"{place}: {{spikes: [{','.join(map(str, train))}]}}"
        return
    neuron, shape = network.layer(group.name).neuron, network.shape(group.name)
    assert neuron is not None
    threshold = neuron.threshold + _HALF if isinstance(neuron, LIF) else _NEVER
    size = shape.height * shape.width
    for channel, bias in enumerate(channel_bias(neuron, shape).tolist()):
        first, last = channel * size, (channel + 1) * size - 1
        which = f"{first}..{last}" if last > first else f"{first}"
        values = f"threshold: {threshold!r}, bias: {bias / (1 << limits.STATE_SHIFT)!r}"
        yield f"{which}: {{{values}, reset: 0.0, leak_decay: 0.0, input_decay: 0.0}}"


def _most_on_a_core(group: _Group) -> int:
    return int(np.unique(group.cores, return_counts=True)[1].max())


def _comment(chip: Chip, network: Network) -> str:
    """The head of the architecture: text of the chip's file as one line of printable ASCII."""
    title = "".join(sign if sign.isascii() and sign.isprintable() else "_" for sign in chip.title)
    return (
        f"# {title}\n# For the network {fingerprint(network)}, written by {tool()}.\n"
        "# What the chip's file has no energy or latency for is zero here. Tiles called outside are none of the\n"
        "# chip's: they send what comes from elsewhere.\n"
    )
