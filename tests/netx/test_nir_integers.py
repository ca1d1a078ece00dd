"""Networks that no reader of NIR runs to the bit go into a .nir file and come back equal, integer by integer."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import nir
import numpy as np
import pytest

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
    Network,
    Pool,
    Recurrent,
    Shape,
    SigmaDelta,
    Upsample,
)
from netx.nir_file import read_nir, write_nir_integers
from sim.random_networks import seeded

RNG = np.random.default_rng(5)


def weights(*shape: int, most: int = 9) -> np.ndarray:
    return RNG.integers(-most, most, shape)


def branching() -> Network:
    """Memory, exponents, delays, feedback, a branch that joins again, and two outputs."""
    strided = ((1, 2), (1, 1), (1, 1))
    forward = Dense(weights(5, 48), -2, 7, RNG.integers(0, 9, (1, 48)))
    feedback = Dense(weights(5, 5), 1, None, RNG.integers(0, 9, (5, 1)))
    read = Dense(weights(2, 5), delay=RNG.integers(1, 9, (2, 1)))
    return Network(
        (Input("x", Shape(2, 5, 6), (-3, 4)), Input("y", Shape(3, 5, 6))),
        (
            Layer("a", ("x",), Conv2d(weights(4, 1, 3, 3), *strided, 2, 3), LIF(200, [1, -2, 3, 4], 2, 100, 7)),
            Layer("b", ("y",), Conv2d(weights(2, 3, 3, 3), *strided), LIF(9)),
            Layer("pool", ("a",), Pool(2, 2, (1, 0), 5), LIF(7, current_decay=4096, voltage_decay=0)),
            Layer("ab", ("a", "b"), Concat()),
            Layer("c", ("ab",), Conv2d(weights(3, 6, 2, 2)), LIF(40, [5, 6, 7], 6, 0, 4096)),
            Layer("flat", ("c",), Flatten()),
            Layer("both", ("flat", "flat"), Concat()),
            Layer("rec", ("both",), Recurrent(forward, feedback), LIF(-3, [1] * 5)),
            Layer("read", ("rec",), read, Accumulator([3, -4])),
        ),
        ("read", "pool"),
    )


def test_a_network_of_every_kind_that_nir_has_nodes_for_comes_back_equal(tmp_path: Path) -> None:
    network = branching()
    write_nir_integers(network, tmp_path / "n.nir")
    assert read_nir(tmp_path / "n.nir") == network


def has_a_node_for_all(network: Network) -> bool:
    """By NIR's own list: no sigma-delta neurons, up-sampling, resets, delays of single synapses or groups over layers
    side by side, and convolutions of frames."""
    flat = {layer.name for layer in network.layers if isinstance(layer.synapse, (Flatten, Dense, Recurrent))}
    joined: set[str] = set()
    for layer in network.layers:
        synapse = layer.synapse
        if isinstance(synapse, Upsample):
            return False
        if isinstance(synapse, Concat):
            joined.add(layer.name)
            flat |= {layer.name} if flat.intersection(layer.inputs) else set()
        if isinstance(synapse, Conv2d) and synapse.groups > 1 and layer.inputs[0] in joined:
            return False
        if isinstance(synapse, (Conv2d, Pool)) and layer.inputs[0] in flat:
            return False
        denses = [synapse.forward, synapse.feedback] if isinstance(synapse, Recurrent) else [synapse]
        if any(isinstance(dense, Dense) and min(dense.delay.shape) > 1 for dense in denses):
            return False
        if not isinstance(layer.neuron, (LIF, Accumulator, type(None))):
            return False
        if isinstance(layer.neuron, LIF) and layer.neuron.reset_interval is not None:
            return False
    return True


def test_random_networks_come_back_equal_unless_they_have_what_nir_has_not(tmp_path: Path) -> None:
    drawn = [seeded(seed).network for seed in range(120)]
    possible = [has_a_node_for_all(network) for network in drawn]
    assert sum(possible) > 20
    for network, can in zip(drawn, possible, strict=True):
        if can:
            write_nir_integers(network, tmp_path / "n.nir")
            assert read_nir(tmp_path / "n.nir") == network
        else:
            with pytest.raises(FormatError, match="no NIR node"):
                write_nir_integers(network, tmp_path / "refused.nir")
    assert not (tmp_path / "refused.nir").exists()


def test_the_nodes_say_in_nirs_terms_what_the_network_does(tmp_path: Path) -> None:
    write_nir_integers(branching(), tmp_path / "n.nir")
    graph = nir.read(tmp_path / "n.nir", type_check=False)
    neuron = graph.nodes["neuron_a"]
    assert isinstance(neuron, nir.CubaLIF)
    # dt / tau is the decay, and a spike's first effect on the voltage is its weight.
    assert np.allclose(1e-4 / neuron.tau_syn * 4096, 100)
    assert np.allclose(1e-4 / neuron.tau_mem * 4096, 7)
    assert np.allclose(1e-4 / neuron.tau_syn * neuron.w_in * 1e-4 / neuron.tau_mem * neuron.r, 1)
    # The bias of 1 at exponent 2 is 4 / 64 of a weight unit a step.
    assert np.allclose((1e-4 / neuron.tau_mem * neuron.v_leak)[:, 0, 0], np.array([1, -2, 3, 4]) * 4 / 64)
    assert set(neuron.v_threshold.flat) == {200}
    assert ("neuron_rec", "feedback_rec") in graph.edges
    assert sorted(name for name, node in graph.nodes.items() if isinstance(node, nir.Output)) == [
        "output_pool",
        "output_read",
    ]


@pytest.mark.parametrize(
    ("layer", "complaint"),
    [
        (Layer("y", ("x",), Conv2d([[[[2]]]]), SigmaDelta(4)), "layer 'y': SigmaDelta neurons have no NIR node"),
        (Layer("y", ("x",), Conv2d([[[[2]]]]), LIF(4, reset_interval=3)), "layer 'y': reset intervals"),
        (Layer("y", ("x",), Conv2d([[[[2]]]]), LIF(4, refractory=3)), "layer 'y': reset intervals"),
        (Layer("y", ("x", "z"), Correlation(2), LIF(4)), "layer 'y': a Correlation has no NIR node"),
    ],
)
def test_what_has_no_node_is_refused_by_name_and_leaves_no_file(layer: Layer, complaint: str, tmp_path: Path) -> None:
    inputs = (Input("x", Shape(1, 3, 3)), Input("z", Shape(1, 2, 2)))
    network = Network(inputs[: len(layer.inputs)], (layer,), ("y",))
    with pytest.raises(FormatError, match=f"n\\.nir: .*{complaint}"):
        write_nir_integers(network, tmp_path / "n.nir")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("place", "index", "value", "complaint"),
    [
        ("metadata/layer_a/weight", (0, 0, 0, 0), 9, "synapse_a/weight"),
        ("metadata/layer_a/threshold", (), 201, "neuron_a/v_threshold"),
        ("metadata/layer_rec/feedback/weight", (0, 0), 120, "feedback_rec/weight"),
        ("nodes/neuron_rec/v_threshold", (1,), 0, "neuron_rec/v_threshold"),
        ("nodes/delay_synapse_rec_0/delay", (0,), np.nan, "delay_synapse_rec_0/delay"),
        ("metadata/layer_c/current_decay", (), 5000, "current decay: expected an integer in 0..4096"),
        ("metadata/monospike_version", (), 3, "version 3"),
    ],
)
def test_nodes_and_integers_that_do_not_agree_are_refused_with_the_place(
    place: str, index: tuple[int, ...], value: float, complaint: str, tmp_path: Path
) -> None:
    write_nir_integers(branching(), tmp_path / "n.nir")
    with h5py.File(tmp_path / "n.nir", "r+") as file:
        file["node"][place][index] = value
    with pytest.raises(FormatError, match=f"n\\.nir: .*{complaint}"):
        read_nir(tmp_path / "n.nir")


def changed(path: Path, change: dict[str, Any]) -> Path:
    """The file of a small network that remembers, with other values in the metadata of its graph."""
    layer = Layer("c", ("x",), Conv2d([[[[2]]]], padding=1), LIF(1, voltage_decay=9))
    write_nir_integers(Network((Input("x", Shape(1, 1, 1)),), (layer,), ("c",)), path)
    with h5py.File(path, "a") as file:
        for place, value in change.items():
            if place in file["node/metadata"]:
                del file[f"node/metadata/{place}"]
            file[f"node/metadata/{place}"] = value
    return path


def test_a_padding_that_makes_more_neurons_than_there_are_in_any_file_is_refused(tmp_path: Path) -> None:
    path = changed(tmp_path / "n.nir", {"layer_c/padding": np.array([6000, 6000])})
    with pytest.raises(FormatError, match="has 144024001 neurons, more than 8388608"):
        read_nir(path)


def test_wires_that_double_at_each_step_are_refused(tmp_path: Path) -> None:
    names = ["c", *(f"d{index}" for index in range(40))]
    change: dict[str, Any] = {"layers": ",".join(names), "outputs": names[-1]}
    for before, name in pairwise(names):
        change |= {f"layer_{name}/reads": f"{before},{before}", f"layer_{name}/synapse": "Concat"}
    with pytest.raises(FormatError, match="reads more than 4096 layers"):
        read_nir(changed(tmp_path / "n.nir", change))
