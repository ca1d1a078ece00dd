"""Files of seven frameworks are read as they ran there.

Every case is two layers of four neurons over diagonal weights, all inputs one in 16 steps, with the parameters that the
framework's exporter wrote. The spikes of the second layer were computed by the framework: spikingjelly 2.0.0, norse
1.1.0, snnTorch 1.0.0, sinabs 3.1.3, rockpool 3.1.0, mlx-snn 0.5.0 and spyx 1.0.0, on the CPU. ``tests/peers`` asks the
frameworks themselves about larger networks.
"""

from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest
import torch

from netx import LIF
from netx.nir_graph import read_graph
from quantize.nir_import import NO_CHOICES, WRITERS, Choices, Imported, NirImportError, Writer, import_graph, run_float
from sim import engine

STEPS = 16
WEIGHTS = (np.array([0.3, 0.45, 0.7, 1.3]), np.array([0.8, 1.2, 0.6, 0.55]))
UNTIED = (np.array([0.31, 0.47, 0.73, 1.29]), np.array([0.83, 1.17, 0.61, 0.57]))
"""For integrators that keep what exceeds the threshold: with the others, float32 decides what is a tie."""
ONES = np.ones((STEPS, 4))


def full(value: float) -> np.ndarray:
    return np.full(4, value, np.float32)


def node(kind: str, **values: float) -> nir.NIRNode:
    given = {"v_threshold": 1.0, **({} if kind == "IF" else {"v_leak": 0.0}), **values}
    return getattr(nir, kind)(**{name: full(value) for name, value in given.items()})


def chain(*nodes: nir.NIRNode, size: int = 4) -> nir.NIRGraph:
    named: dict[str, Any] = {"input": nir.Input(np.array([size])), **{f"n{i}": one for i, one in enumerate(nodes)}}
    named["output"] = nir.Output(np.array([size]))
    return nir.NIRGraph(named, list(pairwise(named)), type_check=False)


def two_layers(neuron: nir.NIRNode, scale: float = 1.0, pair: tuple[np.ndarray, np.ndarray] = WEIGHTS) -> nir.NIRGraph:
    one, two = (nir.Linear(np.diag(scale * weights).astype(np.float32)) for weights in pair)
    return chain(one, neuron, two, neuron)


def imported(
    folder: Path,
    graph: nir.NIRGraph,
    frames: np.ndarray = ONES,
    dt: float | None = None,
    writer: Writer | None = None,
    choices: Choices = NO_CHOICES,
) -> Imported:
    nir.write(folder / "g.nir", graph)
    return import_graph(read_graph(folder / "g.nir"), {"x": frames}, dt, writer, choices)


def reference(result: Imported) -> np.ndarray:
    """Of the last layer, (frame, neuron)."""
    last = result.layers[-1].node
    floats = result.calibration.floats
    run = run_float(result.graph, floats, result.dt, (last,), rules=result.rules)
    return run.values[last][0].reshape(floats["input"].shape[1], -1)


def integers(result: Imported) -> np.ndarray:
    last = result.network.outputs[0]
    run = engine.run(result.network, {"input": result.calibration.integers["input"][0]})
    return run.spikes[last].reshape(len(run.spikes[last]), -1)


def trains(*spikes: str) -> np.ndarray:
    """One string of digits for each neuron."""
    return np.array([[int(digit) for digit in train] for train in spikes]).T


SYNAPTIC = {"tau_syn": 2.5e-4, "tau_mem": 5e-4, "r": 5.0}
ZERO = Choices(reset="zero")
SINGLE_ZERO = Choices(reset="zero", several=False)

CASES: dict[str, tuple[Writer, Choices, nir.NIRGraph, float, tuple[str, str, str, str]]] = {
    "spikingjelly IFNode": (
        "spikingjelly", NO_CHOICES, two_layers(node("IF", r=1e4)), 1e-4,
        ("0000000100000001", "0010010010010010", "0001000100010001", "0101010101010101"),
    ),
    "spikingjelly IFNode, v_reset 0.2, dt 1e-3": (
        "spikingjelly", NO_CHOICES, two_layers(node("IF", r=1e3, v_threshold=1.2, v_reset=0.2)), 1e-3,
        ("0000000100000001", "0010010010010010", "0001000100010001", "0101010101010101"),
    ),
    "spikingjelly LIFNode, decay_input": (
        "spikingjelly", NO_CHOICES, two_layers(node("LIF", tau=3e-4, r=1.0, v_threshold=0.4)), 1e-4,
        ("0000000000000000", "0000010000010000", "0000000000000000", "0001000100010001"),
    ),
    "norse LIFCell, to_nir's default dt": (
        "norse", NO_CHOICES, two_layers(node("CubaLIF", tau_syn=5e-6, tau_mem=1e-5, r=1.0), 4.0), 1e-6,
        ("0000000100101010", "0000010101010101", "0000010101011111", "0001010101011111"),
    ),
    "norse LIFCell, dt=1.0": (
        "norse", NO_CHOICES, two_layers(node("CubaLIF", tau_syn=5e-3, tau_mem=1e-2, r=1.0), 4.0), 1e-3,
        ("0000000100101010", "0000010101010101", "0000010101011111", "0001010101011111"),
    ),
    "norse LIFBoxCell, starting at its v_leak of 0.3": (
        "norse", NO_CHOICES, two_layers(node("LIF", tau=1e-2, r=1.0, v_leak=0.3, v_threshold=0.45), 3.0), 1e-3,
        ("0100000000010000", "0100010001000100", "1000001000001000", "1000001000001000"),
    ),
    "snnTorch Leaky, its defaults": (
        "snntorch", NO_CHOICES, two_layers(node("LIF", tau=5e-4, r=5.0)), 1e-4,
        ("0000000000100000", "0010010001001001", "0000010000010000", "0010100100101001"),
    ),
    "snnTorch Leaky, zero": (
        "snntorch", ZERO, two_layers(node("LIF", tau=5e-4, r=5.0)), 1e-4,
        ("0000000001000000", "0010010010010010", "0000010000010000", "0010010010010010"),
    ),
    "snnTorch Leaky, reset_delay=False": (
        "snntorch", Choices(reset="subtract"), two_layers(node("LIF", tau=5e-4, r=5.0)), 1e-4,
        ("0000000001000000", "0010010010010010", "0000100010010010", "0010101010101001"),
    ),
    "snnTorch Synaptic, its defaults": (
        "snntorch", NO_CHOICES, two_layers(node("CubaLIF", **SYNAPTIC, w_in=2.5)), 1e-4,
        ("0001011011101110", "0101111111111111", "0011111111111111", "0111111111111111"),
    ),
    "snnTorch Synaptic, zero": (
        "snntorch", Choices(reset="zero-later"), two_layers(node("CubaLIF", **SYNAPTIC, w_in=2.5)), 1e-4,
        ("0001001010010010", "0100101010101010", "0001001001001001", "0010010010010010"),
    ),
    "sinabs IAF, its defaults": (
        "sinabs", NO_CHOICES, two_layers(node("IF", r=1.0), pair=UNTIED), 1e-4,
        ("0000001001001000", "0010101010102010", "0010011001001100", "0101102010111101"),
    ),
    "sinabs IAF, SingleSpike and MembraneReset": (
        "sinabs", SINGLE_ZERO, two_layers(node("IF", r=1.0)), 1e-4,
        ("0000000100000001", "0010010010010010", "0001000100010001", "0101010101010101"),
    ),
    "sinabs LIF, its defaults": (
        "sinabs", NO_CHOICES, two_layers(node("LIF", tau=20.0, r=1.0, v_threshold=0.1), 2.0), 1.0,
        ("0000000100010000", "0010100101001010", "0001001001001001", "0101101011011010"),
    ),
    "sinabs LIF, norm_input=False, SingleSpike and MembraneReset": (
        "sinabs", Choices("zero", None, False, "whole"), two_layers(node("LIF", tau=20.0, r=1.0)), 1.0,
        ("0000000100000001", "0010010010010010", "0001000100010001", "0101010101010101"),
    ),
    "rockpool LIFTorch": (
        "rockpool", NO_CHOICES, two_layers(node("CubaLIF", tau_syn=0.01, tau_mem=0.02, r=19.02458763), 0.25), 1e-3,
        ("0000000001001010", "0000000110111211", "0000000101101111", "0000010111121222"),
    ),
    "mlx-snn Leaky": (
        "mlx-snn", NO_CHOICES, two_layers(node("LIF", tau=5e-4, r=5.0)), 1e-4,
        ("0000000001000000", "0010010010010010", "0000100010010010", "0010101010101001"),
    ),
    "mlx-snn Synaptic": (
        "mlx-snn", NO_CHOICES, two_layers(node("CubaLIF", **SYNAPTIC)), 1e-4,
        ("0001101111111111", "0101111111111111", "0011111111111111", "0111111111111111"),
    ),
    "mlx-snn IF": (
        "mlx-snn", NO_CHOICES, two_layers(node("IF", r=1.0), pair=UNTIED), 1e-4,
        ("0000001001001000", "0010101010101110", "0010011001001100", "0101010110101011"),
    ),
    "spyx LIF": (
        "spyx", NO_CHOICES, two_layers(node("LIF", tau=5.0, r=0.8)), 1.0,
        ("0000000000001000", "0000100100010010", "0000000100000100", "0000101001001010"),
    ),
    "spyx IF": (
        "spyx", NO_CHOICES, two_layers(node("IF", r=1.0), pair=UNTIED), 1.0,
        ("0000000010010010", "0000101010101011", "0000100110010011", "0001010101101010"),
    ),
    "spyx CuBaLIF": (
        "spyx", NO_CHOICES, two_layers(node("CubaLIF", tau_syn=2.5, tau_mem=5.0, r=0.8)), 1.0,
        ("0000011011111111", "0001011111111111", "0000111111111111", "0001111111111111"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_the_reference_has_the_spikes_that_the_framework_computed(case: str, tmp_path: Path) -> None:
    writer, choices, graph, dt, expected = CASES[case]
    result = imported(tmp_path, graph, writer=writer, choices=choices)
    assert result.dt == pytest.approx(dt)
    assert np.array_equal(reference(result), trains(*expected))


def test_a_recurrent_layer_of_spyx_gets_its_input_past_the_recurrent_weights(tmp_path: Path) -> None:
    """As spyx 1.0.0 ran it, and not as its edges say: input, then recurrent weights, then neurons."""

    def recurrent() -> nir.NIRGraph:
        size = np.array([4])
        members = {"l.lif": node("LIF", tau=5.0, r=0.8), "l.w_rec": nir.Linear(np.diag(full(-0.4)))}
        members |= {"l.input": nir.Input(size), "l.output": nir.Output(size)}
        edges = [("l.input", "l.w_rec"), ("l.w_rec", "l.lif"), ("l.lif", "l.w_rec"), ("l.lif", "l.output")]
        return nir.NIRGraph(members, edges, type_check=False)

    one, two = (nir.Linear(np.diag(weights).astype(np.float32)) for weights in WEIGHTS)
    result = imported(tmp_path, chain(one, recurrent(), two, recurrent()), writer="spyx")
    expected = ("0000000000000000", "0000100000001000", "0000000010000000", "0000010001000010")
    assert np.array_equal(reference(result), trains(*expected))


def test_spikes_that_are_sent_late_reach_the_next_layer_of_integers_late(tmp_path: Path) -> None:
    """The layers fire as soon as their voltages pass: a step before spyx sends it."""
    graph = chain(*(part for _ in range(2) for part in (nir.Linear(np.eye(4) * 0.75 + 0.125), node("IF", r=1.0))))
    frames = (np.random.default_rng(1).random((60, 4)) < 0.5).astype(float)
    result = imported(tmp_path, graph, frames, writer="spyx", choices=ZERO)
    late = reference(result)
    assert 0.1 < late.mean() < 0.9
    assert not late[0].any()
    assert np.array_equal(integers(result)[:-1], late[1:])


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("writer", [None, *WRITERS])
@pytest.mark.parametrize(("tau", "r"), [(0.0, 1.0), (-1e-3, 2.0), (1e-3, 0.0), (1e300, 1e-300), (1e-300, 1e300)])
def test_parameters_that_mean_nothing_are_refused_or_read_but_never_crash(
    writer: Writer | None, tau: float, r: float, tmp_path: Path
) -> None:
    graph = chain(nir.Linear(np.eye(4)), nir.LIF(*(np.full(4, value) for value in (tau, r, 0.0, 1.0))))
    with suppress(NirImportError):
        result = imported(tmp_path, graph, writer=writer)
        assert tau >= 0
        assert len(reference(result)) == STEPS


MARKS = {
    "spikingjelly": node("IF", r=1e4),
    "norse": node("CubaLIF", tau_syn=5e-3, tau_mem=1e-2, r=1.0),
    "rockpool": node("CubaLIF", tau_syn=0.01, tau_mem=0.02, r=19.02458763),
    "mlx-snn": node("CubaLIF", **SYNAPTIC),
    "spyx": node("LIF", tau=5.0, r=0.8),
    "sinabs": node("LIF", tau=20.0, r=1.0, v_threshold=1e-3),
    "snntorch": node("LIF", tau=5e-4, r=5.0),
}


@pytest.mark.parametrize("writer", MARKS)
def test_the_marks_of_a_writer_are_named_where_nobody_says_who_wrote_the_file(writer: str, tmp_path: Path) -> None:
    notes = imported(tmp_path, chain(nir.Linear(np.eye(4) * 0.5), MARKS[writer])).notes
    assert sum(f"--from {writer}" in note for note in notes) == 1


def test_the_equations_of_nir_as_they_are_have_no_marks(tmp_path: Path) -> None:
    assert imported(tmp_path, chain(nir.Linear(np.eye(4) * 0.5), node("LIF", tau=1e-3, r=1.0))).notes == ()


def test_the_step_that_all_gains_show_is_taken(tmp_path: Path) -> None:
    """As spikingjelly 2.0.0 writes LIFNode(tau=2, decay_input=False) at 1 ms."""
    graph = chain(nir.Linear(np.diag([0.6, 0.9, 0.6, 0.9])), node("LIF", tau=2e-3, r=2.0))
    result = imported(tmp_path, graph, np.ones((40, 4)))
    assert result.dt == 1e-3
    assert "tau / r" in result.dt_source
    voltage, expected = np.zeros(4), []
    for _ in range(40):
        voltage = voltage / 2 + np.array([0.6, 0.9, 0.6, 0.9])
        expected.append(voltage > 1)
        voltage[voltage > 1] = 0
    assert np.array_equal(reference(result), np.array(expected))


@pytest.mark.parametrize(("r", "step"), [(1.0, 1e-4), (2.0, 1e-3), (1.9, 1e-4), (0.9, 1e-4)])
def test_gains_that_show_no_round_step_leave_the_default(r: float, step: float, tmp_path: Path) -> None:
    graph = chain(nir.Linear(np.eye(4)), node("LIF", tau=2e-3, r=r))
    assert imported(tmp_path, graph).dt == step


def test_layers_that_show_different_steps_leave_the_default(tmp_path: Path) -> None:
    graph = chain(nir.Linear(np.eye(4)), node("LIF", tau=2e-3, r=2.0), node("LIF", tau=2e-3, r=4.0))
    assert imported(tmp_path, graph).dt == 1e-4


def test_time_constants_below_the_step_name_norse_and_its_step(tmp_path: Path) -> None:
    graph = chain(nir.Linear(np.diag([2.0, 3, 2, 3])), node("LIF", tau=5e-6, r=1.0))
    with pytest.raises(NirImportError, match=r"pass --dt 1e-6, or export with norse\.torch\.to_nir\(\.\.\., dt=1\.0\)"):
        imported(tmp_path, graph)
    assert reference(imported(tmp_path, graph, np.ones((40, 4)), 1e-6)).mean() == pytest.approx(0.375, abs=0.07)


def test_time_constants_in_steps_are_named_where_they_leave_no_head_room(tmp_path: Path) -> None:
    with pytest.raises(NirImportError, match=r"no head-room for a threshold of 2(.|\n)*pass --from sinabs, or --dt 1"):
        imported(tmp_path, chain(nir.Linear(np.eye(4) * 0.7), node("CubaLIF", tau_syn=10.0, tau_mem=2.2, r=1.0)))


@pytest.mark.parametrize("memoryless", [True, False])
def test_voltages_that_equal_the_threshold_fire_where_it_is_asked_for_in_integers_too(
    memoryless: bool, tmp_path: Path
) -> None:
    """An integrator of 0.5 a step reaches 1 in every second step, and exceeds it in every third."""
    neuron = node("LIF", tau=1e-4, r=1.0, v_threshold=0.5) if memoryless else node("IF", r=1.0)
    graph = chain(nir.Linear(np.diag([0.5, 0.25, 0.5, 0.25])), neuron)
    fires, silent = (
        imported(tmp_path, graph, np.ones((12, 4)), choices=Choices(fires_at_threshold=at)) for at in (True, False)
    )
    for result in (fires, silent):
        assert np.array_equal(integers(result), reference(result))
    assert reference(fires).mean(axis=0).tolist() == ([1, 0, 1, 0] if memoryless else [1 / 2, 1 / 4, 1 / 2, 1 / 4])
    assert reference(silent).mean(axis=0)[0] == (0 if memoryless else pytest.approx(1 / 3))
    lower, upper = (result.network.layers[-1].neuron for result in (fires, silent))
    assert isinstance(lower, LIF)
    assert isinstance(upper, LIF)
    assert lower.threshold == upper.threshold - (2 if memoryless else 1)


@pytest.mark.parametrize("how", ["a value", "an array of one", "one a channel", "one a neuron"])
@pytest.mark.parametrize("loop", ["itself", "weights", "a convolution"])
def test_loops_whose_parameters_are_stored_once_are_those_with_one_a_neuron(
    loop: str, how: str, tmp_path: Path
) -> None:
    shape = (3, 4, 4) if loop == "a convolution" else (5,)
    stored = {"a value": (), "an array of one": (1,), "one a channel": shape[:1], "one a neuron": shape}[how]
    values = {"r": 1.0, "v_threshold": 1.75, "v_reset": 0.0}
    random = np.random.default_rng(4)
    nodes: dict[str, Any] = {"l": nir.IF(**{name: np.full(shape, value) for name, value in values.items()})}
    edges = [("input", "a"), ("a", "l"), ("l", "output")]
    if loop == "itself":
        edges += [("l", "l")]
    elif loop == "weights":
        nodes["w"] = nir.Affine(random.integers(-8, 9, (5, 5)) / 8, np.full(5, 0.25))
    else:
        nodes["w"] = nir.Conv2d((4, 4), random.integers(-4, 5, (3, 3, 3, 3)) / 8, 1, 1, 1, 1, np.full(3, 0.25))
    edges += [("l", "w"), ("w", "l")] if "w" in nodes else []
    if loop == "a convolution":
        size = np.array([2, 4, 4])
        nodes["a"] = nir.Conv2d((4, 4), random.integers(-8, 9, (3, 2, 3, 3)) / 8, 1, 1, 1, 1, np.zeros(3))
    else:
        size, nodes["a"] = np.array([6]), nir.Linear(random.integers(-8, 9, (5, 6)) / 8)
    nodes |= {"input": nir.Input(size), "output": nir.Output(np.array(shape))}
    nir.write(tmp_path / "g.nir", nir.NIRGraph(nodes, edges, type_check=False))
    import h5py

    with h5py.File(tmp_path / "g.nir", "a") as file:
        for name, value in values.items():
            del file[f"node/nodes/l/{name}"]
            file[f"node/nodes/l/{name}"] = np.full(stored, value)
    frames = (np.random.default_rng(5).random((40, *size)) < 0.5).astype(float)
    result = import_graph(read_graph(tmp_path / "g.nir"), {"x": frames})
    expected = reference(result)
    assert 0 < expected.mean() < 1
    assert np.array_equal(integers(result), expected)


@pytest.mark.filterwarnings("error")
def test_kernels_in_double_precision_raise_no_warning_of_torchs(tmp_path: Path) -> None:
    """They are not copied when they are read, and must not be written to."""
    nodes: dict[str, Any] = {
        "input": nir.Input(np.array([1, 4])),
        "c": nir.Conv1d(4, np.ones((1, 1, 3)), 1, 1, 1, 1, 0),
    }
    nodes["c"].bias = np.zeros(1)
    nodes["n"] = nir.IF(np.ones((1, 4)), np.full((1, 4), 2.5), np.zeros((1, 4)))
    nodes["output"] = nir.Output(np.array([1, 4]))
    torch.set_warn_always(True)
    try:
        result = imported(tmp_path, nir.NIRGraph(nodes, list(pairwise(nodes)), type_check=False), np.ones((3, 1, 4)))
        assert reference(result).tolist() == [[0, 1, 1, 0], [1, 1, 1, 1], [0, 1, 1, 0]]
    finally:
        torch.set_warn_always(False)
