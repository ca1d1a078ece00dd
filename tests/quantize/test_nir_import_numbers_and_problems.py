"""What an import makes of the numbers of a graph: decays, weights and time steps as integers, and what is refused."""

from functools import partial
from pathlib import Path

import graphs_to_import
import h5py
import nir
import numpy as np
import pytest
from graphs_to_import import DT, Nodes, chain, conv2d, cuba, imported, lif, threshold

from netx import Dense
from netx.nir_graph import read_graph
from quantize.nir_import import NirImportError, import_graph

RNG = np.random.default_rng(11)
dyadic, spikes = partial(graphs_to_import.dyadic, RNG), partial(graphs_to_import.spikes, RNG)


def test_decays_are_rounded_to_twelve_bits_and_both_sides_are_reported(tmp_path: Path) -> None:
    node = cuba((3,), 3e-4, 7e-4)
    node.tau_mem = np.array([7e-4, 7e-4, 9e-4])
    [layer] = imported(chain((4,), nir.Linear(dyadic(3, 4)), node), spikes(20, 4), tmp_path).layers
    assert layer.rounded.decays == (round(4096 / 3), round(4096 / 7))
    assert [(state, pytest.approx(low), pytest.approx(high)) for state, low, high in layer.decays] == [
        ("current", 4096 / 3, 4096 / 3),
        ("voltage", 4096 / 9, 4096 / 7),
    ]
    [note] = [note for note in layer.rounded.notes if "voltage decays" in note]
    # The third neuron's own decay is 4096 / 9 = 455.1: what it gets is 28.5 % more.
    assert note == "neurons have voltage decays of 455 to 585 of 4096; all get 585, which is up to 28.5% off"


def test_weights_are_even_8_bit_integers_times_a_power_of_two_that_fills_them(tmp_path: Path) -> None:
    weight = RNG.normal(size=(5, 9))
    [layer] = (result := imported(chain((9,), nir.Linear(weight), threshold(5)), spikes(20, 9), tmp_path)).layers
    synapse = result.network.layers[-1].synapse
    assert isinstance(synapse, Dense)
    assert np.array_equal(synapse.weight, 2 * np.rint(weight * 2.0**layer.rounded.exponent))
    assert 64 <= np.abs(synapse.weight).max() // 2 <= 127
    rms = np.sqrt(np.mean((synapse.weight / 2.0 ** (layer.rounded.exponent + 1) - weight) ** 2) / np.mean(weight**2))
    assert layer.rounded.weight_error == pytest.approx(rms)


def test_weights_give_way_where_24_bits_would_overflow(tmp_path: Path) -> None:
    graph = chain((4000,), nir.Linear(np.full((2, 4000), 1.0)), lif((2,), tau=50 * DT, v_threshold=100.0))
    result = imported(graph, spikes(3, 4000), tmp_path)
    [layer] = result.layers
    assert layer.rounded.headroom.proven
    assert layer.rounded.headroom.worst_case > 131071 // 4


def test_the_time_step_is_the_users_then_the_files_then_snntorchs(tmp_path: Path) -> None:
    graph = chain((4,), nir.Linear(dyadic(3, 4)), lif((3,), tau=0.01))
    result = imported(graph, spikes(20, 4), tmp_path)
    assert (result.dt, result.layers[0].rounded.decays[1]) == (1e-4, 41)
    graph.metadata = {"dt": 1e-3}
    result = imported(graph, spikes(20, 4), tmp_path)
    assert (result.dt, result.dt_source, result.layers[0].rounded.decays[1]) == (1e-3, "from the file's metadata", 410)
    result = imported(graph, spikes(20, 4), tmp_path, dt=2e-3)
    assert (result.dt, result.dt_source, result.layers[0].rounded.decays[1]) == (2e-3, "as asked for", 819)


def test_all_that_cannot_be_done_is_listed_at_once_by_name(tmp_path: Path) -> None:
    nodes: Nodes = {
        "input": nir.Input(np.array([4])),
        "fast": lif((4,), tau=1e-5),
        "leak": nir.LI(np.full(4, 0.1), np.ones(4), np.zeros(4)),
        "late": nir.Delay(np.full(4, -1.0)),
        "a": nir.Linear(dyadic(4, 4)),
        "b": lif((4,)),
        "c": nir.Linear(dyadic(4, 4)),
        "d": lif((4,)),
        "after": nir.Linear(dyadic(3, 4)),
        "wrong": nir.Linear(dyadic(3, 9)),
        "end": threshold(3),
    }
    edges = [("input", "fast"), ("input", "leak"), ("leak", "after"), ("after", "end"), ("input", "late")]
    edges += [("input", "a"), ("a", "b"), ("b", "c"), ("c", "d"), ("d", "a"), ("input", "wrong")]
    path = tmp_path / "g.nir"
    nir.write(path, nir.NIRGraph(nodes, edges, type_check=False))
    import h5py

    with h5py.File(path, "r+") as file:
        strange = file.create_group("node/nodes/odd")
        strange["type"] = "Izhikevich"
    with pytest.raises(NirImportError) as error:
        import_graph(read_graph(path), {"x": spikes(5, 4)})
    said = {problem.node: problem for problem in error.value.problems}
    assert set(said) >= {"odd", "fast", "after", "late", "wrong"}
    assert said["odd"].kind == "Izhikevich"
    assert "shorter than the time step" in said["fast"].reason
    assert "sends no spikes" in said["after"].reason
    assert "below 0" in said["late"].reason
    assert "expect 9 values" in said["wrong"].reason
    assert any("loop over several layers" in problem.reason for problem in error.value.problems)


def test_a_graph_whose_input_leads_nowhere_is_a_problem(tmp_path: Path) -> None:
    nodes: Nodes = {"input": nir.Input(np.array([4])), "a": nir.Linear(dyadic(4, 4)), "b": lif((4,))}
    graph = nir.NIRGraph(nodes, [("a", "b"), ("b", "a")], type_check=False)
    with pytest.raises(NirImportError, match="no input leads to an output"):
        imported(graph, spikes(5, 4), tmp_path)


def test_a_padding_that_makes_more_values_than_four_chips_hold_is_refused(tmp_path: Path) -> None:
    graph = chain((1, 3, 3), conv2d(dyadic(1, 1, 2, 2), padding=(2000, 2000)))
    with pytest.raises(NirImportError, match=r"Conv2d 'n0': makes .*: 16016004 values, more than 4194304"):
        imported(graph, spikes(2, 1, 3, 3), tmp_path)


def test_a_pooling_whose_padding_is_text_is_refused(tmp_path: Path) -> None:
    pool = nir.SumPool2d(kernel_size=np.array([2, 2]), stride=np.array([2, 2]), padding=np.array([0, 0]))
    pool.padding = "same"
    with pytest.raises(NirImportError, match="SumPool2d 'n0': its padding is text"):
        imported(chain((1, 4, 4), pool), spikes(2, 1, 4, 4), tmp_path)


def test_a_loop_without_neurons_is_a_problem(tmp_path: Path) -> None:
    nodes: Nodes = {"input": nir.Input(np.array([4])), "a": nir.Linear(dyadic(4, 4)), "b": nir.Linear(dyadic(4, 4))}
    graph = nir.NIRGraph(nodes, [("input", "a"), ("a", "b"), ("b", "a")], type_check=False)
    with pytest.raises(NirImportError, match=r"loop without neurons, which has no time step: [ab], [ab]"):
        imported(graph, spikes(5, 4), tmp_path)


EXTREME = {
    "a delay beyond 64 bits": (
        (1,),
        [nir.Delay(np.array([1e15])), nir.Linear(np.ones((1, 1))), threshold(1)],
        "a delay of 2147483647 steps",
    ),
    "a dilation with the same size": (
        (1, 1, 1),
        [conv2d(np.ones((1, 1, 3, 3)), padding="same", dilation=12000), threshold(1, 1, 1)],
        "without dilation it would have 576048001 weights",
    ),
    "a dilation before another convolution": (
        (1, 1, 1),
        [conv2d(np.ones((1, 1, 3, 3)), padding=12000, dilation=12000), conv2d(np.ones((1, 1, 1, 1))), threshold(1)],
        "without dilation it would have 576048001 weights",
    ),
    "a padding before a matrix": (
        (1, 1, 1),
        [
            conv2d(np.ones((1, 1, 1, 1)), padding=32768, stride=32768),
            nir.Flatten(np.array([1, 3, 3]), 0, -1),
            nir.Linear(np.ones((1, 9))),
            threshold(1),
        ],
        "as a matrix, with its padding, it would have 4295098369 weights",
    ),
    "weights too small to scale": (
        (1,),
        [nir.Linear(np.full((1, 1), 1e-310)), threshold(1)],
        "beyond double precision",
    ),
    "weights too large to join": (
        (1,),
        [nir.Linear(np.full((1, 1), 1e200)), nir.Linear(np.full((1, 1), 1e200)), threshold(1)],
        "beyond double precision",
    ),
}


@pytest.mark.parametrize("name", EXTREME)
def test_numbers_that_nothing_can_be_made_of_are_a_problem_of_their_node(name: str, tmp_path: Path) -> None:
    shape, nodes, reason = EXTREME[name]
    with pytest.raises(NirImportError, match=reason):
        imported(chain(shape, *nodes), np.ones((1, 3, *shape)), tmp_path)


def test_weights_without_axes_are_a_problem_where_the_graph_has_no_input(tmp_path: Path) -> None:
    nodes = {"conv": conv2d(np.ones((1, 1, 1, 1))), "output": nir.Output(np.array([1, 9, 9]))}
    nir.write(tmp_path / "g.nir", nir.NIRGraph(nodes, [("conv", "output")], type_check=False))
    with h5py.File(tmp_path / "g.nir", "a") as file:
        del file["node/nodes/conv/weight"]
        file["node/nodes/conv/weight"] = np.ones(3)
    with pytest.raises(NirImportError, match="its weights have the shape"):
        import_graph(read_graph(tmp_path / "g.nir"), {"x": np.ones((2, 1, 9, 9))})


def test_frames_too_small_to_be_scaled_are_zeros_and_weights_say_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(NirImportError, match="leaves no head-room"):
        imported(chain((1,), nir.Linear(np.ones((1, 1))), threshold(1)), np.full((1, 3, 1), 1e-310), tmp_path)
