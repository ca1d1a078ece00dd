"""Files for SANA-FE: every connection, threshold and place is ours, and what has to come out is what our engine says.

The connections are written out one by one here by other code; ``make oracles`` runs the files in SANA-FE itself.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from netx import (
    LIF,
    Accumulator,
    Concat,
    Conv2d,
    Correlation,
    Dense,
    Flatten,
    FormatError,
    Input,
    Layer,
    MonospikeError,
    Network,
    Pool,
    Range,
    Recurrent,
    Shape,
    Sigma,
    Upsample,
)
from sim import engine
from sim.costs import count_operations
from sim.hardware import load_chip
from sim.mapping import Mapping, map_network
from sim.mapping.placement import place
from sim.mapping.traffic import messages, rates
from sim.sanafe import Exported, write_sanafe

CHIP = load_chip("loihi1_sanafe")


def chain() -> tuple[Network, dict[str, np.ndarray]]:
    """Ties everywhere: small weights and thresholds; strides, groups, dilation, a pool and a bias exponent."""
    rng = np.random.default_rng(1)
    layers = (
        Layer("null", ("x",), Conv2d(rng.integers(-2, 4, (4, 2, 3, 2)), (1, 2), (1, 0), (1, 2)), LIF(2, [0, 1, 3, 0])),
        Layer("grouped", ("null",), Conv2d(rng.integers(-2, 4, (4, 2, 2, 2)), groups=2), LIF(1, [64, -64, 32, 0], 0)),
        Layer("pool", ("grouped",), Pool(2, 2, 1, weight=2), LIF(1)),
        Layer("flat", ("pool",), Flatten()),
        Layer("out", ("flat",), Dense(rng.integers(-3, 4, (5, 4 * 4 * 2)), 1), LIF(2)),
        Layer("read", ("out",), Dense(rng.integers(-3, 4, (3, 5))), Accumulator([1, 2, 3])),
    )
    network = Network((Input("x", Shape(2, 7, 9)),), layers, ("read",))
    return network, {"x": rng.integers(0, 2, (3, 2, 7, 9))}


def branches() -> tuple[Network, dict[str, np.ndarray]]:
    """Pixels and spikes come in; ways of different lengths meet; one neuron fires at all times."""
    rng = np.random.default_rng(2)
    layers = (
        Layer("pixels", ("image",), Conv2d(rng.integers(-9, 12, (3, 1, 3, 3)), padding=1), LIF(20)),
        Layer("long", ("pixels",), Conv2d(rng.integers(-2, 4, (2, 3, 3, 3)), padding=1), LIF(3)),
        Layer("both", ("long", "pixels", "events"), Concat()),
        Layer("end", ("both",), Conv2d(rng.integers(-2, 4, (2, 6, 1, 1))), LIF(2, [0, 3])),
        Layer("apart", ("both",), Upsample(2, zeros=True, trailing=1)),
        Layer("near", ("apart", "apart"), Concat()),
        Layer("wider", ("near",), Upsample((1, 2))),
        Layer("up", ("wider",), Conv2d(rng.integers(-2, 4, (1, 12, 3, 3)), stride=4), LIF(2)),
        Layer("flat", ("end",), Flatten()),
        Layer("one", ("flat",), Dense(rng.integers(-2, 3, (70, 2 * 25)), -1 + 1), LIF(-1)),
    )
    inputs = (Input("image", Shape(1, 5, 5), Range(-8, 7)), Input("events", Shape(1, 5, 5)))
    frames = {"image": rng.integers(-8, 8, (4, 1, 5, 5)), "events": rng.integers(0, 2, (4, 1, 5, 5))}
    return Network(inputs, layers, ("one", "end", "up")), frames


NETWORKS = {"chain": chain, "branches": branches}


def exported(name: str, folder: Path) -> tuple[Network, dict[str, np.ndarray], Mapping, Exported]:
    network, frames = NETWORKS[name]()
    mapping = map_network(network, CHIP, "loihi1_sanafe")
    return network, frames, mapping, write_sanafe(network, mapping, CHIP, frames, folder)


def by_hand(network: Network, layer: Layer, values: np.ndarray) -> np.ndarray:
    """The activation of one frame from the connections in a file: an independent sum, neuron by neuron."""
    source, shape = values, network.shape(layer.name)
    synapse = layer.synapse
    out = np.zeros(shape, np.int64)
    for c, y, x in np.ndindex(*shape):
        if isinstance(synapse, Dense):
            out[c, y, x] = sum(int(w) * int(v) for w, v in zip(synapse.weight[c], source.ravel(), strict=True))
            out[c, y, x] <<= synapse.weight_exponent
            continue
        pool = isinstance(synapse, Pool)
        kernel, padding, stride = synapse.kernel, synapse.padding, synapse.stride
        dilation, ins = ((1, 1), 1) if pool else (synapse.dilation, synapse.weight.shape[1])
        first = c if pool else c // (shape.channel // synapse.groups) * ins
        for d, r, q in np.ndindex(ins, *kernel):
            row, column = y * stride[0] + r * dilation[0] - padding[0], x * stride[1] + q * dilation[1] - padding[1]
            if 0 <= row < source.shape[1] and 0 <= column < source.shape[2]:
                weight = synapse.weight if pool else synapse.weight[c, d, r, q]
                out[c, y, x] += int(weight) * int(source[first + d, row, column])
    return out


@pytest.mark.parametrize("name", list(NETWORKS))
def test_the_connections_in_the_file_give_the_same_sums(name: str, tmp_path: Path) -> None:
    network, frames, _, written = exported(name, tmp_path / "out")
    text = (tmp_path / "out" / "network.yaml").read_text()
    recording = engine.run(network, frames)
    spikes = {**frames, **recording.spikes}
    values = {key: np.asarray(value)[1] for key, value in spikes.items()}
    sums = {layer.name: np.zeros(network.shape(layer.name).size, np.int64) for layer in network.layers}
    for line in re.findall(r"    - (\w+)\.(\d+) -> l_(\w+)\.(\d+): \{weight: (-?\d+)\}", text):
        source, before, target, after, weight = line
        sums[target][int(after)] += int(weight) * int(values[source.partition("_")[2]].ravel()[int(before)])
    for layer in network.layers:
        if layer.neuron is None:
            values[layer.name] = (
                np.concatenate([values[one] for one in layer.inputs])
                if isinstance(layer.synapse, Concat)
                else layer.synapse.upsampled(values[layer.inputs[0]])
                if isinstance(layer.synapse, Upsample)
                else values[layer.inputs[0]].reshape(-1, 1, 1)
            )
        elif layer.name in written.played:
            assert not sums[layer.name].any()
        else:
            np.testing.assert_array_equal(sums[layer.name], by_hand(network, layer, values[layer.inputs[0]]).ravel())


def test_neurons_have_our_thresholds_biases_and_places(tmp_path: Path) -> None:
    network, _, mapping, _ = exported("chain", tmp_path / "out")
    content = yaml.safe_load((tmp_path / "out" / "network.yaml").read_text())
    groups = {group["name"]: group for group in content["network"]["groups"]}
    assert list(groups) == ["in_x", "l_null", "l_grouped", "l_pool", "l_out", "l_read"]
    first, second = groups["l_grouped"]["neurons"][:2]
    size = network.shape("grouped").height * network.shape("grouped").width
    # A bias of 64 at exponent 0 is one weight unit; the threshold lies half of 1/64 above ours.
    assert list(first) == [f"0..{size - 1}"]
    assert first[f"0..{size - 1}"]["bias"] == 1.0
    assert second[f"{size}..{2 * size - 1}"]["bias"] == -1.0
    assert first[f"0..{size - 1}"]["threshold"] == 1 + 1 / 128
    places = {key: value for line in content["mappings"] for key, value in line.items()}
    for core, site in zip(mapping.cores, mapping.placement, strict=True):
        tile, number = divmod(site, 4)
        there = f"{tile % 8 * 4 + tile // 8}.{number}"  # down the columns of a mesh of 8 x 4
        flat = np.arange(network.shape(core.layer).size).reshape(network.shape(core.layer))[core.box.slices]
        assert {str(places[f"l_{core.layer}.{n}"]["core"]) for n in flat.ravel()} == {there}
    assert str(places["in_x.0"]["core"]) == "32.0"  # beside the chip
    assert {places[f"l_out.{n}"]["synapse"] for n in range(5)} == {"dense_synapse"}


def test_what_has_to_come_out_is_the_engines_a_step_later_for_each_layer(tmp_path: Path) -> None:
    network, frames, _, written = exported("chain", tmp_path / "out")
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    recording = engine.run(network, frames)
    assert written.steps == 3 + 5
    for name, spikes in recording.spikes.items():
        found = manifest["groups"][f"l_{name}"]
        depth = network.depth(name)
        flat = spikes.reshape(3, -1)
        assert found["spikes"][depth : depth + 3] == flat.sum(axis=1).tolist()
        assert found["places"][depth : depth + 3] == [int(np.nonzero(row)[0].sum() + row.sum()) for row in flat]
    assert manifest["groups"]["l_read"]["spikes"] == [0] * 8


def test_messages_are_those_that_planning_counts(tmp_path: Path) -> None:
    network, frames = chain()
    network = network.subnetwork(("pool",))
    mapping = map_network(network, CHIP, "loihi1_sanafe")
    held = {"x": np.repeat(frames["x"][:1], 8, axis=0)}
    write_sanafe(network, mapping, CHIP, held, tmp_path / "out")
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert CHIP.mesh is not None
    assert CHIP.packing is not None
    counts = count_operations(network, held, engine.run(network, held), mapping, CHIP.mesh, CHIP.packing).counts
    to_the_host = int(engine.run(network, held).spikes["pool"][0].sum())
    assert manifest["messages"][6] == int(counts["messages_out"][0].sum()) - to_the_host > 0


def test_a_placement_is_kept(tmp_path: Path) -> None:
    network, frames, mapping, _ = exported("branches", tmp_path / "one")
    assert CHIP.mesh is not None
    assert CHIP.packing is not None
    moved = mapping.placed(site + 17 for site in mapping.placement)
    better = place(mapping, messages(network, mapping, rates(network), CHIP.packing), CHIP.mesh, 0)
    for other in (moved, better):
        write_sanafe(network, other, CHIP, frames, tmp_path / "one")
        content = yaml.safe_load((tmp_path / "one" / "network.yaml").read_text())
        places = {key: str(value["core"]) for line in content["mappings"] for key, value in line.items()}
        tile, number = divmod(other.placement[-1], 4)
        last = other.cores[-1]
        neuron = np.arange(network.shape(last.layer).size).reshape(network.shape(last.layer))[last.box.slices].flat[0]
        assert places[f"l_{last.layer}.{neuron}"] == f"{tile % 8 * 4 + tile // 8}.{number}"


def test_a_chip_of_ones_own_is_text_wherever_it_stands(tmp_path: Path) -> None:
    network, frames = chain()
    mapping = map_network(network, CHIP, "mine")
    odd = CHIP.model_copy(update={"title": "mine: [}\n  evil: é"})
    write_sanafe(network, mapping, odd, frames, tmp_path / "out")
    content = yaml.safe_load((tmp_path / "out" / "architecture.yaml").read_text())
    assert list(content) == ["architecture"]
    soma = content["architecture"]["tile"][0]["core"][0]["soma"][0]["attributes"]
    assert soma["energy_access_neuron"] == 51.2e-12
    assert content["architecture"]["attributes"]["latency_sync"] == {1: 6e-7, 2: 1e-6, 4: 1.4e-6, 29: 1.8e-6}


def one(layer: Layer, source: Input | None = None) -> Network:
    return Network((source or Input("x", Shape(4, 1, 1)),), (layer,), (layer.name,))


@pytest.mark.parametrize(
    ("network", "why"),
    [
        (one(Layer("a", ("x",), Dense(np.ones((2, 4), int)), LIF(1, voltage_decay=7))), "'a' remembers"),
        (one(Layer("a", ("x",), Dense(np.ones((2, 4), int)), LIF(1, refractory=1))), "'a' remembers"),
        (one(Layer("a", ("x",), Dense(np.ones((2, 4), int), delay=[[1], [0]]), LIF(1))), "'a' has delays"),
        (one(Layer("a", ("x",), Dense(np.ones((2, 4), int), -1), LIF(1))), "'a' has a weight exponent of -1"),
        (one(Layer("a", ("x",), Dense(np.ones((2, 4), int)), Sigma())), "'a' has Sigma neurons"),
        (one(Layer("a", ("x",), Recurrent(Dense([[1, 1, 1, 1]]), Dense([[1]])), LIF(1))), "'a' is a Recurrent"),
        (one(Layer("a", ("x",), Dense(np.full((1, 4), 255), 7), LIF(1, [32767]))), "'a' has sums of up to 163327"),
    ],
)  # fmt: skip
def test_what_it_cannot_run_is_refused_by_name(network: Network, why: str, tmp_path: Path) -> None:
    mapping = replace(map_network(network, CHIP, "chip"), violations=(), chips=1)
    frames = {"x": np.zeros((1, 4, 1, 1), int)}
    with pytest.raises(FormatError, match=re.escape(why)):
        write_sanafe(network, mapping, CHIP, frames, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_trackers_come_programmed_and_other_folders_are_left_alone(tmp_path: Path) -> None:
    layers = (
        Layer("t", ("template",), Conv2d([[[[1]]]]), LIF(0)),
        Layer("s", ("search",), Conv2d([[[[1]]]]), LIF(0)),
        Layer("match", ("s", "t"), Correlation(2), LIF(3)),
    )
    network = Network((Input("template", Shape(1, 2, 2)), Input("search", Shape(1, 4, 4))), layers, ("match",))
    searching = network.programmed({"t": np.ones((1, 2, 2), int)})
    mapping = map_network(searching, CHIP, "chip")
    frames = {"search": np.ones((1, 1, 4, 4), int)}
    assert write_sanafe(searching, mapping, CHIP, frames, tmp_path / "out").steps == 3
    both = {**frames, "template": np.ones((1, 1, 2, 2), int)}
    with pytest.raises(FormatError, match="'match' is a Correlation"):
        write_sanafe(network, mapping, CHIP, both, tmp_path / "out")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes").write_text("mine")
    with pytest.raises(FormatError, match="holds something else"):
        write_sanafe(searching, mapping, CHIP, frames, tmp_path / "mine")
    with pytest.raises(MonospikeError, match="2 chips"):
        write_sanafe(searching, replace(mapping, chips=2), CHIP, frames, tmp_path / "out")


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", list(NETWORKS))
def test_the_files_run_there_with_the_same_spikes_and_messages_says_today(name: str, tmp_path: Path) -> None:
    python = os.environ.get("SANAFE_PYTHON")
    if python is None:
        pytest.skip("SANAFE_PYTHON does not name a Python that has sanafe 2.2.9")
    _, _, _, written = exported(name, tmp_path / "out")
    command = [python, str(tmp_path / "out" / "check.py"), "simple"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=800)
    assert done.returncode == 0, done.stdout + done.stderr
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert f"identical: {written.spikes} spikes, {written.messages} messages, {written.steps} steps" in done.stdout
    # And a check that fails where anything differs.
    manifest["messages"][-1] += 1
    manifest["groups"][next(iter(manifest["groups"]))]["places"][0] += 1
    (tmp_path / "out" / "manifest.json").write_text(json.dumps(manifest))
    done = subprocess.run(command, capture_output=True, text=True, timeout=800)
    assert done.returncode == 1
    assert "step 0: spikes, and the sum of their places" in done.stdout
    assert "messages, expected" in done.stdout
