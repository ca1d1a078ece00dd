"""SANA-FE's architecture file of one of our chips, with room beside the mesh for what comes from outside."""

from __future__ import annotations

from typing import Any

from netx import MonospikeError
from sim.hardware import Chip, Mesh

CONV, DENSE, LIF_SOMA, INPUTS = "conv_synapse", "dense_synapse", "lif", "inputs"
"""The units of a core, as the network file names them."""

_LINK_BUFFER = 16
"""Messages that a link holds (SANA-FE 2.2.9 ``examples/loihi.yaml``); it matters to its detailed timing alone."""

_UNITS = {"messages_in": "axon_in", "messages_out": "axon_out", "neurons": "access", "soma_updates": "update"}
_UNITS |= {"spikes": "spike", "convolution_synops": CONV, "dense_synops": DENSE}
_UNITS |= {"hops_east_west": "east", "hops_north_south": "north"}


def architecture(chip: Chip, inputs_a_core: int, outside: int) -> dict[str, Any]:
    """What the file holds. inputs_a_core: neurons of a core that may play spikes back. outside: columns of tiles beside
    the chip's own, whose cores send what comes from outside, at no cost but the way.

    Energies and latencies that the chip's file does not have are zero. Raises MonospikeError for a chip without a mesh.
    """
    mesh = mesh_of(chip)
    cost = _costs(chip)
    tiles = mesh.columns * mesh.rows
    own = _tile(f"tile[0..{tiles - 1}]", cost, mesh.cores_per_tile, inputs_a_core, chip)
    beside = _tile(f"outside[0..{outside * mesh.rows - 1}]", cost, mesh.cores_per_tile, inputs_a_core, chip)
    beside["core"][0]["axon_out"][0]["attributes"] = {"energy_message_out": 0.0, "latency_message_out": 0.0}
    attributes: dict[str, Any] = {"topology": "mesh", "width": mesh.columns + outside, "height": mesh.rows}
    attributes["link_buffer_size"] = _LINK_BUFFER
    if chip.mapped is not None and chip.mapped.barrier:
        table = {one.tiles: _scaled(chip.latencies[one.latency].nanoseconds, -9) for one in chip.mapped.barrier}
        attributes |= {"sync_model": "table", "latency_sync": table}
    else:
        attributes |= {"sync_model": "fixed", "latency_sync": 0.0}
    return {"architecture": {"name": "chip", "attributes": attributes, "tile": [own, *([beside] if outside else [])]}}


def mesh_of(chip: Chip) -> Mesh:
    """The chip's mesh. Raises MonospikeError when its file has none."""
    if chip.mesh is None:
        raise MonospikeError(f"{chip.title}: its file has no mesh, onto which a network could be mapped")
    return chip.mesh


def place(site: int, mesh: Mesh) -> str:
    """Tile and core of a site there: tiles are counted down the columns, where we count along the rows."""
    tile, core = divmod(site, mesh.cores_per_tile)
    return f"{tile % mesh.columns * mesh.rows + tile // mesh.columns}.{core}"


def place_outside(number: int, mesh: Mesh) -> str:
    """Tile and core of the core ``number`` beside the chip's own."""
    tile, core = divmod(number, mesh.cores_per_tile)
    return f"{mesh.columns * mesh.rows + tile}.{core}"


def _costs(chip: Chip) -> dict[str, tuple[float, float]]:
    """Joules and seconds of each operation."""
    found = dict.fromkeys(_UNITS.values(), (0.0, 0.0))
    for priced in chip.mapped.operations if chip.mapped is not None else ():
        if priced.count in _UNITS:
            joules = _scaled(chip.energies[priced.energy].picojoules, -12) if priced.energy else 0.0
            seconds = _scaled(chip.latencies[priced.latency].nanoseconds, -9) if priced.latency else 0.0
            found[_UNITS[priced.count]] = (joules, seconds)
    for name, axis in (("hop_east_west", "east"), ("hop_north_south", "north")):
        if name in chip.latencies:
            found[axis] = (found[axis][0], _scaled(chip.latencies[name].nanoseconds, -9))
    return found


def _tile(name: str, cost: dict[str, tuple[float, float]], cores: int, inputs: int, chip: Chip) -> dict[str, Any]:
    hops: dict[str, float] = {}
    for side, axis in (("north", "north"), ("south", "north"), ("east", "east"), ("west", "east")):
        hops |= {f"energy_{side}_hop": cost[axis][0], f"latency_{side}_hop": cost[axis][1]}
    soma: dict[str, float] = {}
    for of, key in (("access_neuron", "access"), ("update_neuron", "update"), ("spike_out", "spike")):
        soma |= {f"energy_{of}": cost[key][0], f"latency_{of}": cost[key][1]}
    sent = {"energy_message_out": cost["axon_out"][0], "latency_message_out": cost["axon_out"][1]}
    assert chip.limits is not None
    core = {
        "name": f"core[0..{cores - 1}]",
        "attributes": {
            "buffer_position": "soma",
            "buffer_inside_unit": False,
            "max_neurons_supported": max(chip.limits.neurons.value, inputs),
        },
        "axon_in": [_unit("axon_in", energy_message_in=cost["axon_in"][0], latency_message_in=cost["axon_in"][1])],
        "soma": [
            _unit(LIF_SOMA, model="leaky_integrate_fire", **soma),
            _unit(f"{INPUTS}[0..{inputs - 1}]", model="input", **dict.fromkeys(soma, 0.0)),
        ],
        "dendrite": [_unit("dendrite", model="accumulator", energy_update=0.0, latency_update=0.0)],
        "synapse": [
            _unit(one, model="current_based", energy_process_spike=cost[one][0], latency_process_spike=cost[one][1])
            for one in (CONV, DENSE)
        ],
        "axon_out": [_unit("axon_out", **sent)],
    }
    return {"name": name, "attributes": hops, "core": [core]}


def _scaled(value: float, power: int) -> float:
    """``value`` times ten to the ``power``, rounded once."""
    return float(f"{value!r}e{power}") if "e" not in repr(value) else value * 10.0**power


def _unit(name: str, **attributes: Any) -> dict[str, Any]:
    return {"name": name, "attributes": attributes}
