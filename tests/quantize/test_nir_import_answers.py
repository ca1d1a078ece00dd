"""Graphs that others wrote become networks of integers that do the same.

Where every number of a graph is a small multiple of a power of two nothing has to be rounded, and all spikes are equal
to those of the float reference, which runs the graph node by node. Where states decay they differ by what rounding may
do.
"""

from functools import partial
from pathlib import Path

import graphs_to_import
import h5py
import nir
import numpy as np
import pytest
from graphs_to_import import DT, Nodes, both, chain, conv2d, cuba, imported, integrate, lif, pool, threshold

from netx import LIF, Conv2d, Dense, NetworkError, Recurrent
from netx.nir_graph import read_graph
from quantize.nir_import import Imported, NirImportError, import_graph, run_float

RNG = np.random.default_rng(11)
dyadic, spikes = partial(graphs_to_import.dyadic, RNG), partial(graphs_to_import.spikes, RNG)
FIXTURES = Path(__file__).parents[1] / "fixtures" / "nir"


def check_equal(result: Imported) -> None:
    """All spikes and read-outs are equal, and neither always nor never 1."""
    for node, (expected, got) in both(result).items():
        assert np.array_equal(expected, got), node
        assert expected.min() < expected.max(), node


GRAPHS: dict[str, tuple[tuple[int, ...], list[nir.NIRNode]]] = {
    "Linear and Threshold": ((9,), [nir.Linear(dyadic(5, 9)), threshold(5)]),
    "Affine and LIF": ((9,), [nir.Affine(dyadic(5, 9), dyadic(5)), lif((5,))]),
    "Scale in front": ((9,), [nir.Scale(dyadic(9) + 0.5), nir.Linear(dyadic(5, 9)), threshold(5)]),
    "Scale behind": ((9,), [nir.Linear(dyadic(5, 9)), nir.Scale(np.array([1, 2, 0.5, 4, 0.25])), lif((5,))]),
    "no weights at all": ((6,), [threshold(6), integrate((6,), v_threshold=1.5)]),
    "Conv2d": ((2, 6, 7), [conv2d(dyadic(3, 2, 3, 2), stride=(1, 2), padding=(1, 0)), lif((3, 6, 3))]),
    "Conv2d in groups": ((4, 6, 6), [conv2d(dyadic(6, 2, 2, 2), groups=2, dilation=2), lif((6, 4, 4))]),
    "Conv2d same": ((2, 6, 6), [conv2d(dyadic(3, 2, 4, 3), padding="same"), lif((3, 6, 6))]),
    "Conv1d": (
        (2, 11),
        [nir.Conv1d(11, dyadic(3, 2, 4), 2, 1, 1, 1, dyadic(3)), threshold(3, 5)],
    ),
    "SumPool2d, Flatten and Affine": (
        (2, 6, 6),
        [
            conv2d(dyadic(3, 2, 3, 3), padding=1),
            integrate((3, 6, 6), v_threshold=2.0),
            pool(nir.SumPool2d, 2),
            conv2d(dyadic(4, 3, 3, 3), padding=1),
            integrate((4, 3, 3), v_threshold=3.0),
            pool(nir.SumPool2d, 3),
            nir.Flatten(np.array([4, 1, 1]), 0, -1),
            nir.Affine(dyadic(5, 4), dyadic(5)),
            integrate((5,), v_threshold=2.0),
        ],
    ),
    "AvgPool2d": ((2, 6, 6), [pool(nir.AvgPool2d, 2), conv2d(dyadic(4, 2, 2, 2)), lif((4, 2, 2))]),
    "pooling that leaves a row and a column, and padding behind it": (
        (2, 9, 8),
        [
            conv2d(dyadic(3, 2, 3, 3), padding=1),
            integrate((3, 9, 8), v_threshold=2.0),
            pool(nir.AvgPool2d, 2),
            conv2d(dyadic(4, 3, 3, 3), padding=1),
            integrate((4, 4, 4)),
        ],
    ),
    "pooling right before neurons": ((2, 6, 6), [conv2d(dyadic(4, 2, 3, 3)), pool(nir.SumPool2d, 2), lif((4, 2, 2))]),
    "IF that is reset below zero": ((6,), [nir.Linear(dyadic(5, 6) + 0.5), integrate((5,), v_reset=0.0, r=2.0)]),
    "a linear output": ((6,), [threshold(6), nir.Affine(dyadic(3, 6), dyadic(3))]),
    "I": ((6,), [nir.Linear(dyadic(3, 6)), nir.I(np.full(3, 0.5))]),
}  # fmt: skip


@pytest.mark.parametrize("name", GRAPHS)
def test_a_graph_of_small_multiples_does_exactly_what_it_did(name: str, tmp_path: Path) -> None:
    shape, nodes = GRAPHS[name]
    check_equal(imported(chain(shape, *nodes), spikes(2, 30, *shape), tmp_path))


def test_what_a_pooling_leaves_unread_is_cut_off_by_relays_so_that_a_convolution_stays_one(tmp_path: Path) -> None:
    """As a matrix the second layer would have 64 times 144 weights."""
    shape, nodes = GRAPHS["pooling that leaves a row and a column, and padding behind it"]
    result = imported(chain(shape, *nodes), spikes(20, *shape), tmp_path)
    relay, last = result.network.layers[-2:]
    assert result.network.shape(relay.name) == (3, 8, 8)
    assert isinstance(last.synapse, Conv2d)
    assert last.synapse.stride == (2, 2)
    assert [layer.node for layer in result.layers] == ["n1", "n4"]
    assert any(note.startswith("192 neurons more, in n1.8x8, pass on spikes") for note in result.notes)


@pytest.mark.parametrize(
    ("size", "dilation", "kept"), [((3, 3), 2, (2, 2)), ((3, 3), 3, (3, 3)), ((2, 3), 2, (2, 2)), ((2, 3), 3, (1, 3))]
)
def test_same_padding_keeps_a_kernel_dilated_where_both_sides_get_as_much(
    size: tuple[int, int], dilation: int, kept: tuple[int, int], tmp_path: Path
) -> None:
    graph = chain((2, 9, 9), conv2d(dyadic(3, 2, *size), padding="same", dilation=dilation), lif((3, 9, 9)))
    result = imported(graph, spikes(2, 10, 2, 9, 9), tmp_path)
    synapse = result.network.layers[-1].synapse
    assert isinstance(synapse, Conv2d)
    assert synapse.dilation == kept
    holes = size[0] if kept[0] > 1 else (size[0] - 1) * dilation + 1 + (size[0] - 1) * dilation % 2
    assert synapse.weight.shape == (3, 2, holes, size[1])
    check_equal(result)


def test_dilated_convolutions_that_add_up_stay_dilated(tmp_path: Path) -> None:
    shape = np.array([2, 6, 6])
    nodes: Nodes = {"input": nir.Input(shape), "a": lif((2, 6, 6), v_threshold=0.5)}
    nodes |= {name: conv2d(dyadic(3, 2, 3, 3), padding=2, dilation=2) for name in ("one", "two")}
    nodes |= {"out": lif((3, 6, 6)), "output": nir.Output(np.array([3, 6, 6]))}
    edges = [("input", "a"), ("a", "one"), ("input", "two"), ("one", "out"), ("two", "out"), ("out", "output")]
    result = imported(nir.NIRGraph(nodes, edges, type_check=False), spikes(1, 20, 2, 6, 6), tmp_path)
    synapse = result.network.layers[-1].synapse
    assert isinstance(synapse, Conv2d)
    assert (synapse.dilation, synapse.kernel) == ((2, 2), (3, 3))
    check_equal(result)


@pytest.mark.parametrize("stored", [(1, 20), None])
def test_a_convolution_of_lines_over_one_channel(stored: tuple[int, ...] | None, tmp_path: Path) -> None:
    """Audio or an ECG: the one in front is its channel, and no batch."""
    graph = chain((1, 20), nir.Conv1d(20, dyadic(4, 1, 3), 1, 1, 1, 1, dyadic(4)), lif((4, 20)))
    graph.nodes["input"].input_type = {"input": None if stored is None else np.array(stored)}
    nir.write(tmp_path / "g.nir", chain((1, 20), *list(graph.nodes.values())[1:-1]))
    if stored is None:
        with h5py.File(tmp_path / "g.nir", "a") as file:
            del file["node/nodes/input/shape"]
    result = import_graph(read_graph(tmp_path / "g.nir"), {"x": spikes(30, 1, 20)})
    assert result.network.inputs[0].shape == (1, 1, 20)
    check_equal(result)


@pytest.mark.parametrize(
    ("bias", "tau", "at", "leak"),
    [(0.5, DT, 0.55, 0.0), (0.25, 2 * DT, 0.55, 0.0), (0.1, 100 * DT, 0.05, 0.0), (0.0, 100 * DT, 1.0, 1.2)],
)
def test_biases_are_mantissas_of_13_bits(bias: float, tau: float, at: float, leak: float, tmp_path: Path) -> None:
    graph = chain((6,), nir.Affine(dyadic(5, 6), np.full(5, bias)), lif((5,), tau=tau, v_threshold=at, v_leak=leak))
    result = imported(graph, spikes(1, 60, 6), tmp_path)
    neuron = result.network.layers[-1].neuron
    assert isinstance(neuron, LIF)
    assert neuron.bias.any()
    assert np.abs(neuron.bias).max() <= 4095
    [(expected, got)] = both(result).values()
    assert (expected == got).mean() > 0.97


def test_a_bias_beyond_13_bits_at_any_scale_is_said_with_what_to_do(tmp_path: Path) -> None:
    graph = chain((6,), nir.Affine(np.full((5, 6), 2.0**-9), np.full(5, 40.0)), threshold(5, at=40.005))
    [layer] = imported(graph, spikes(20, 6), tmp_path).layers
    [note] = layer.rounded.notes
    assert "bits, and the chip has 13 (map refuses it)" in note


def test_an_output_that_does_not_spike_and_frames_for_two_inputs_are_said(tmp_path: Path) -> None:
    result = imported(chain((6,), nir.Linear(dyadic(3, 6))), spikes(20, 6), tmp_path)
    assert any(note.startswith("nothing spikes behind the Linear n0") for note in result.notes)
    nodes: Nodes = {"input": nir.Input(np.array([4])), "input_c": nir.Input(np.array([4]))}
    nodes |= {"a": nir.Linear(dyadic(5, 4)), "b": nir.Linear(dyadic(5, 4)), "out": integrate((5,))}
    edges = [("input", "a"), ("input_c", "b"), ("a", "out"), ("b", "out")]
    with pytest.raises(NetworkError, match=r"2 inputs \(input, input_c\): give an \.npz with one array for each"):
        imported(nir.NIRGraph(nodes, edges, type_check=False), spikes(20, 4), tmp_path)


def test_thresholds_that_differ_cost_memoryless_neurons_nothing(tmp_path: Path) -> None:
    at = np.array([0.5, -0.25, 1.0, 2.0, 0.125])
    graph = chain((9,), nir.Linear(dyadic(5, 9)), nir.Threshold(at))
    check_equal(imported(graph, spikes(1, 60, 9), tmp_path))


def test_values_of_a_delay_arrive_later_each_by_its_own_steps(tmp_path: Path) -> None:
    late = np.array([0, 1, 2, 5, 0, 60]) * DT
    graph = chain((6,), nir.Delay(late), nir.Linear(dyadic(5, 6)), nir.Delay(np.full(5, 2 * DT)), integrate((5,)))
    result = imported(graph, spikes(1, 90, 6), tmp_path)
    synapse = result.network.layers[-1].synapse
    assert isinstance(synapse, Dense)
    assert synapse.delay.tolist() == [[2, 3, 4, 7, 2, 62]]
    check_equal(result)


def test_delays_beyond_62_steps_are_a_problem(tmp_path: Path) -> None:
    with pytest.raises(NirImportError, match="Threshold 'n2': a delay of 63 steps is longer than the 62"):
        imported(
            chain((3,), nir.Delay(np.full(3, 63 * DT)), nir.Linear(dyadic(2, 3)), threshold(2)), spikes(5, 3), tmp_path
        )


def recurrent(hidden: nir.NIRNode, weight: np.ndarray, bias: np.ndarray) -> nir.NIRGraph:
    """The recurrent layer that snnTorch writes: a graph within the graph."""
    size = np.array([len(weight)])
    nodes = {"input": nir.Input(size), "lif": hidden, "w_rec": nir.Affine(weight, bias), "output": nir.Output(size)}
    return nir.NIRGraph(nodes, [("input", "lif"), ("lif", "w_rec"), ("w_rec", "lif"), ("lif", "output")])


def test_feedback_within_a_nested_graph_takes_one_step(tmp_path: Path) -> None:
    inner = recurrent(integrate((8,), v_threshold=2.0), dyadic(8, 8), dyadic(8))
    nodes = [nir.Affine(dyadic(8, 5), dyadic(8)), inner, nir.Linear(dyadic(3, 8)), integrate((3,), v_threshold=2.0)]
    result = imported(chain((5,), *nodes), spikes(3, 40, 5), tmp_path)
    assert isinstance(result.network.layer("n1_lif").synapse, Recurrent)
    check_equal(result)


def test_layers_that_read_several_others_and_a_short_cut_get_them_side_by_side(tmp_path: Path) -> None:
    shape = np.array([2, 6, 6])
    nodes: Nodes = {
        "input": nir.Input(shape),
        "a": conv2d(dyadic(3, 2, 3, 3), padding=1),
        "a.fire": lif((3, 6, 6)),
        "b": conv2d(dyadic(4, 3, 3, 3), padding=1),
        "short": conv2d(dyadic(4, 2, 1, 1)),
        "both": lif((4, 6, 6), v_threshold=2.0),
        "flat": nir.Flatten(np.array([4, 6, 6]), 0, -1),
        "flat.a": nir.Flatten(np.array([3, 6, 6]), 0, -1),
        "one": nir.Linear(dyadic(3, 144)),
        "two": nir.Linear(dyadic(3, 108)),
        "sum": threshold(3),
        "output": nir.Output(np.array([3])),
        "early": nir.Output(np.array([3, 6, 6])),
    }
    edges = [("input", "a"), ("a", "a.fire"), ("a.fire", "b"), ("b", "both"), ("input", "short"), ("short", "both")]
    edges += [("both", "flat"), ("flat", "one"), ("one", "sum"), ("a.fire", "flat.a"), ("flat.a", "two")]
    edges += [("two", "sum"), ("sum", "output"), ("a.fire", "early")]
    result = imported(nir.NIRGraph(nodes, edges, type_check=False), spikes(1, 40, 2, 6, 6), tmp_path)
    assert isinstance(result.network.layer("both").synapse, Conv2d)
    assert sorted(result.outputs.values()) == ["a.fire", "sum"]
    check_equal(result)


def test_several_inputs_have_frames_of_their_own_names(tmp_path: Path) -> None:
    nodes: Nodes = {"left": nir.Input(np.array([4])), "right": nir.Input(np.array([3]))}
    nodes |= {"a": nir.Linear(dyadic(5, 4)), "b": nir.Linear(dyadic(5, 3)), "out": integrate((5,))}
    edges = [("left", "a"), ("right", "b"), ("a", "out"), ("b", "out")]
    graph = nir.NIRGraph(nodes, edges, type_check=False)
    check_equal(imported(graph, {"left": spikes(20, 4), "right": spikes(20, 3)}, tmp_path))
    with pytest.raises(NetworkError, match="input 'right': there are no frames for it"):
        imported(graph, {"left": spikes(20, 4), "wrong": spikes(20, 3)}, tmp_path)


def test_frames_of_fractions_are_scaled_to_8_bits_and_the_scale_is_folded_in(tmp_path: Path) -> None:
    frames = RNG.integers(0, 128, (20, 6)) / 128
    result = imported(chain((6,), nir.Linear(dyadic(4, 6)), integrate((4,))), frames, tmp_path)
    assert (result.calibration.facts["input"].scale, result.calibration.facts["input"].error) == (256.0, 0.0)
    check_equal(result)


PARAMETERS = {
    "tau": lif((4,), tau=7 * DT, v_threshold=1e3),
    "r": lif((4,), tau=7 * DT, r=3.7, v_threshold=1e3),
    "r of each neuron": lif((4,), tau=7 * DT, r=[1, 2.5, -1, 0.3], v_threshold=1e3),
    "v_leak": lif((4,), tau=7 * DT, v_leak=[0.5, -0.5, 2, 0], v_threshold=1e3),
    "Cuba": cuba((4,), 3 * DT, 9 * DT, v_threshold=1e3),
    "Cuba with w_in and r": cuba((4,), 3 * DT, 9 * DT, w_in=2.3, r=[1, 1.5, 0.2, 3], v_threshold=1e3),
    "Cuba with v_leak": cuba((4,), 3 * DT, 9 * DT, v_leak=0.7, v_threshold=1e3),
}


@pytest.mark.parametrize("name", PARAMETERS)
def test_each_parameter_is_folded_into_the_voltage_that_it_had(name: str, tmp_path: Path) -> None:
    """Without a spike, v over time: what rounding may do is a unit's 64th a step, times how long the state keeps it."""
    node = PARAMETERS[name]
    kind = {"LIF": nir.LI, "CubaLIF": nir.CubaLI}[type(node).__name__]
    values = {k: v for k, v in vars(node).items() if k in kind.__dataclass_fields__ and not k.endswith("_type")}
    values.pop("metadata", None)
    graph = chain((6,), nir.Linear(dyadic(4, 6)), kind(**values))
    result = imported(graph, spikes(1, 120, 6), tmp_path)
    [(expected, got)] = both(result).values()
    [layer] = result.layers
    unit = np.abs(layer.rounded.voltage_unit)
    current, voltage = (decay / 4096 for decay in layer.rounded.decays)
    decays = 2 / 4096 / min(current, voltage) * np.abs(expected).max() * unit
    assert (np.abs(expected - got)[0] * unit <= (1 / 64 + 1 / 64 / current + 1) / voltage + decays + unit * 0.02).all()
    assert np.abs(expected - got).max() < 0.03 * np.abs(expected).max()
    assert expected.std() > 0


def test_a_reset_other_than_zero_and_thresholds_that_differ_leave_the_rates_as_they_were(tmp_path: Path) -> None:
    node = lif((5,), tau=6 * DT, r=6.0, v_reset=[-0.5, 0.25, 0, -1, 0.1], v_threshold=[1, 1.5, 0.75, 1, 2])
    graph = chain((20,), nir.Affine(RNG.normal(0.1, 0.3, (5, 20)), np.full(5, 0.1)), node)
    result = imported(graph, spikes(4, 2000, 20), tmp_path)
    [(expected, got)] = both(result).values()
    assert expected.mean() > 0.05
    assert np.abs(expected.mean(axis=(0, 1)) - got.mean(axis=(0, 1))).max() < 0.01
    assert any("start at their reset" in note for note in result.layers[0].rounded.notes)


def test_what_no_input_leads_to_is_left_out_and_said(tmp_path: Path) -> None:
    nodes: Nodes = {"input": nir.Input(np.array([4])), "a": nir.Linear(dyadic(3, 4)), "b": threshold(3)}
    nodes |= {"lost": nir.Linear(dyadic(3, 3)), "lost.too": lif((3,))}
    edges = [("input", "a"), ("a", "b"), ("lost", "lost.too"), ("lost.too", "b")]
    result = imported(nir.NIRGraph(nodes, edges, type_check=False), spikes(20, 4), tmp_path)
    assert "no input leads to lost, lost.too: left out" in result.notes
    check_equal(result)


@pytest.mark.parametrize("peer", ["snntorch_conv", "snntorch_recurrent", "sinabs_conv"])
def test_the_float_reference_does_what_the_peer_that_wrote_the_file_does(peer: str) -> None:
    with np.load(FIXTURES / f"{peer}.npz") as file:
        arrays = dict(file)
    frames = arrays.pop("frames")
    result = import_graph(read_graph(FIXTURES / f"{peer}.nir"), {"frames": frames})
    run = run_float(result.graph, result.calibration.floats, result.dt, tuple(arrays))
    for node, expected in arrays.items():
        assert expected.any(), node
        assert np.array_equal(run.values[node], expected), node


@pytest.mark.parametrize(
    ("peer", "least"), [("snntorch_conv", 0.97), ("snntorch_recurrent", 0.9), ("sinabs_conv", 0.98)]
)
def test_files_of_peers_keep_their_spikes_and_rates_as_integers(peer: str, least: float) -> None:
    with np.load(FIXTURES / f"{peer}.npz") as file:
        arrays = dict(file)
    result = import_graph(read_graph(FIXTURES / f"{peer}.nir"), {"frames": arrays.pop("frames")})
    pairs = both(result)
    for node, (expected, got) in pairs.items():
        assert np.array_equal(expected, arrays[node])
        assert abs(expected.mean() - got.mean()) < 0.025, node
    same = sum(int((expected == got).sum()) for expected, got in pairs.values())
    assert same / sum(expected.size for expected, _ in pairs.values()) > least
