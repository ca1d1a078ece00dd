"""Stock norse, snnTorch, sinabs and spikingjelly give the spikes of the exact engine from the files exported for them.

They run in the environments that ``make peers`` builds, or in this one where they are installed. sinabs runs beside
today's nir, and beside the one that it asks for.
"""

from itertools import pairwise
from pathlib import Path

import nir
import numpy as np
import pytest

from netx import LIF, Accumulator, Concat, Conv2d, Dense, Flatten, Input, Layer, Network, Pool, Range, Shape
from netx.bundle import parts
from netx.export import export
from netx.lint import for_reader, lint
from sim import engine

PEERS = ("norse", "snntorch", "sinabs", "spikingjelly")


@pytest.fixture
def run(tmp_path, run_script):
    """A function that runs a .nir file in a peer; the test is skipped where the peer is nowhere installed."""

    def run_in(peer, file, frames, own_nir=False):
        np.save(tmp_path / "frames.npy", frames)
        arguments = [peer, file, tmp_path / "frames.npy", tmp_path / "spikes.npy"]
        run_script(peer.partition("_")[0], "peer_reader.py", *arguments, own_nir=own_nir)
        return np.load(tmp_path / "spikes.npy")

    return run_in


def even(random, *shape):
    return random.integers(-20, 20, shape) * 2


def drawn(seed):
    """Three layers with groups, strides, padding and a pool, and graded frames, the first all low, the second high."""
    random = np.random.default_rng(seed)
    network = Network(
        (Input("pixels", Shape(4, 11, 9), Range(-8, 7)),),
        (
            Layer("a", ("pixels",), Conv2d(even(random, 8, 2, 3, 3), (2, 1), (1, 1), groups=2), LIF(81)),
            Layer("or", ("a",), Pool(2, 1, weight=2), LIF(1)),
            Layer("b", ("or",), Conv2d(even(random, 8, 1, 3, 3), padding=1, groups=8), LIF(21, even(random, 8))),
            Layer("flat", ("b",), Flatten()),
            Layer("c", ("flat",), Dense(even(random, 12, 8 * 5 * 8)), LIF(33)),
        ),
        ("c",),
    )
    frames = random.integers(-8, 8, (6, 4, 11, 9))
    frames[0], frames[1] = -8, 7
    return network, frames


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("peer", PEERS)
def test_a_peer_gives_the_spikes_of_the_engine(peer, seed, tmp_path, run):
    network, frames = drawn(seed)
    export(network, tmp_path / "n.nir", peer)
    expected = engine.run(network, {"pixels": frames}).spikes["c"]
    assert 0.1 < expected.mean() < 0.9
    assert (run(peer, tmp_path / "n.nir", frames).reshape(expected.shape) == expected).all()


@pytest.mark.parametrize("seed", range(2))
def test_sinabs_reads_its_files_with_the_nir_that_it_asks_for(seed, tmp_path, run):
    """nir 1.0.4: ``IF.__init__() got an unexpected keyword argument 'v_reset'`` where there is one."""
    network, frames = drawn(seed)
    export(network, tmp_path / "n.nir", "sinabs")
    expected = engine.run(network, {"pixels": frames}).spikes["c"]
    assert (run("sinabs", tmp_path / "n.nir", frames, own_nir=True).reshape(expected.shape) == expected).all()
    export(network, tmp_path / "other.nir", "spikingjelly")
    with pytest.raises(RuntimeError, match="v_reset"):
        run("sinabs", tmp_path / "other.nir", frames, own_nir=True)


@pytest.mark.parametrize("peer", PEERS)
def test_each_part_of_several_inputs_runs_in_a_peer(peer, tmp_path, run):
    random = np.random.default_rng(5)
    layers = (
        Layer("a1", ("a",), Conv2d(even(random, 3, 1, 3, 3)), LIF(3)),
        Layer("b1", ("b",), Conv2d(even(random, 3, 1, 3, 3)), LIF(3)),
        Layer("ab", ("a1", "b1"), Concat()),
        Layer("end", ("ab",), Conv2d(even(random, 2, 6, 3, 3)), Accumulator([3, -3])),
    )
    network = Network((Input("a", Shape(1, 7, 7)), Input("b", Shape(1, 7, 7))), layers, ("end",))
    export(network, tmp_path / "folder", peer)
    frames = {name: random.integers(0, 2, (5, 1, 7, 7)) for name in ("a", "b")}
    ours = engine.run(network, frames)
    values = dict(frames)
    for part in parts(tmp_path / "folder"):
        if part.source == "ab":
            values["ab"] = np.concatenate([values["a1"], values["b1"]], axis=1)
        values[part.layers[-1]] = run(peer, part.file, values[part.source])
    assert (values["a1"] == ours.spikes["a1"]).all()
    assert (values["end"] == ours.membranes["end"]).all()


def traps():
    def full(value):
        return np.full((1, 2, 2), value, np.float32)

    def lif(tau=1e-4, leak=0.0, threshold=1.5):
        return nir.LIF(full(tau), full(1), full(leak), full(threshold), v_reset=full(0))

    kernel = nir.Conv2d((2, 2), np.full((1, 1, 1, 1), 2, np.float32), 1, 0, 1, 1, np.zeros(1, np.float32))
    cuba = {name: full(1e-4) for name in ("tau_mem", "tau_syn")}
    cuba |= {name: full(value) for name, value in (("r", 7), ("v_leak", 0), ("v_threshold", 1), ("w_in", 1))}
    differing = lif()
    differing.v_threshold[0, 0, 0] = 2.5
    return {
        "plain": (kernel, lif()),
        "slow": (kernel, lif(tau=1e-3)),
        "leak": (kernel, lif(leak=0.5)),
        "differing": (kernel, differing),
        "cuba": (kernel, nir.CubaLIF(**cuba, v_reset=full(0))),
        "if": (kernel, nir.IF(full(1), full(1.5), full(0))),
        "threshold": (nir.Threshold(full(0.5)),),
    }


def written(tmp_path, name):
    shape = np.array([1, 2, 2])
    named = {f"n{index}": node for index, node in enumerate(traps()[name])}
    row = ["in", *named, "out"]
    nodes = {"in": nir.Input(shape), **named, "out": nir.Output(shape)}
    path = tmp_path / f"{name}.nir"
    nir.write(path, nir.NIRGraph(nodes, list(pairwise(row)), type_check=False))
    return path


@pytest.mark.parametrize(
    ("peer", "name", "rule"),
    [
        ("snntorch", "leak", "snntorch-neuron-refused"),
        ("snntorch", "differing", "snntorch-neuron-refused"),
        ("snntorch", "cuba", "snntorch-cuba-gain"),
        ("snntorch", "threshold", "snntorch-node-not-read"),
        ("sinabs", "plain", "sinabs-shaped-parameters"),
        ("sinabs", "threshold", "sinabs-node-not-read"),
        ("norse", "threshold", "norse-node-not-read"),
    ],
)
def test_a_peer_fails_over_what_the_linter_names(peer, name, rule, tmp_path, run):
    path = written(tmp_path, name)
    named = {finding.rule.name: finding.rule.severity.value for finding in for_reader(lint(path), peer)}
    assert named[rule] == "error"
    with pytest.raises(RuntimeError):
        run(peer, path, np.ones((1, 1, 2, 2)))


def test_sinabs_leaves_nodes_out_that_it_does_not_know(tmp_path, run):
    """What comes out is the sum of 2, no spike."""
    path = written(tmp_path, "cuba")
    assert "sinabs-node-not-read" in {finding.rule.name for finding in lint(path)}
    assert (run("sinabs", path, np.ones((1, 1, 2, 2))) == 2).all()


def test_snntorch_takes_its_own_time_step(tmp_path, run):
    """At a tau of ten steps and a step of 1e-3 s, a sum of 2 is all of the voltage; snnTorch takes a tenth of it."""
    path = written(tmp_path, "slow")
    assert "snntorch-time-step" in {finding.rule.name for finding in lint(path)}
    assert not run("snntorch", path, np.ones((1, 1, 2, 2))).any()
    assert run("snntorch", written(tmp_path, "plain"), np.ones((1, 1, 2, 2))).all()


def test_sinabs_fires_several_times_in_a_step_unless_it_is_told(tmp_path, run):
    """A sum of 4 holds a threshold of 1.5 twice."""
    path = written(tmp_path, "if")
    assert "sinabs-several-spikes" in {finding.rule.name for finding in lint(path)}
    frames = np.full((1, 1, 2, 2), 2.0)
    assert run("sinabs_default", path, frames).max() == 2
    assert run("sinabs", path, frames).max() == 1


def test_sinabs_subtracts_the_threshold_where_the_graph_resets_to_zero(tmp_path, run):
    """Sums of 2 and of 1 at a threshold of 1.5: what is left of the first, 0.5, makes the second fire."""
    path = written(tmp_path, "if")
    assert "sinabs-subtracts" in {finding.rule.name for finding in lint(path)}
    frames = np.stack([np.ones((1, 2, 2)), np.full((1, 2, 2), 0.5)])
    assert run("sinabs_steps", path, frames).all()


def test_sinabs_counts_time_constants_in_steps(tmp_path, run):
    """At a step of 1e-4 s a tau of 0.01 s keeps 0.99 of the voltage, r tau / dt adds 1: the second step exceeds 1.5.
    sinabs does so only when tau is 100 steps."""

    def file(tau):
        values = {"tau": tau, "r": 100, "v_leak": 0, "v_threshold": 1.5, "v_reset": 0}
        neurons = nir.LIF(**{name: np.full(4, value, np.float32) for name, value in values.items()})
        weights = nir.Affine(np.eye(4, dtype=np.float32), np.zeros(4, np.float32))
        nodes = {"in": nir.Input(np.array([4])), "w": weights, "n": neurons, "out": nir.Output(np.array([4]))}
        nir.write(tmp_path / f"{tau}.nir", nir.NIRGraph(nodes, list(pairwise(nodes))))
        return tmp_path / f"{tau}.nir"

    frames = np.ones((2, 4))
    assert "sinabs-time-in-steps" in {finding.rule.name for finding in lint(file(0.01))}
    assert not run("sinabs_steps", file(0.01), frames).any()
    assert "sinabs-time-in-steps" not in {finding.rule.name for finding in lint(file(100.0))}
    assert run("sinabs_steps", file(100.0), frames).reshape(2, 4).tolist() == [[0] * 4, [1] * 4]


def test_snntorch_fails_over_a_recurrent_graph_even_of_its_own(run):
    path = Path(__file__).parents[1] / "fixtures" / "nir" / "snntorch_recurrent.nir"
    named = {finding.rule.name: finding.rule.severity.value for finding in for_reader(lint(path), "snntorch")}
    assert named["snntorch-recurrence-refused"] == "error"
    with pytest.raises(RuntimeError, match="GraphModule"):
        run("snntorch", path, np.ones((1, 12)))


def test_snntorch_fails_over_a_graph_within_a_graph_by_the_order_of_names(tmp_path, run):
    size = np.array([4])

    def chain(**members):
        nodes = {"input": nir.Input(size), **members, "output": nir.Output(size)}
        return nir.NIRGraph(nodes, list(pairwise(nodes)), type_check=False)

    values = {"tau": 1e-4, "r": 1, "v_leak": 0, "v_threshold": 0.5, "v_reset": 0}
    neurons = nir.LIF(**{name: np.full(4, value, np.float32) for name, value in values.items()})
    weights = nir.Affine(np.eye(4, dtype=np.float32), np.zeros(4, np.float32))
    nir.write(tmp_path / "lucky.nir", chain(fc=weights, inner=chain(lif=neurons)))
    nir.write(tmp_path / "nested.nir", chain(fc=weights, lif1=chain(lif=neurons)))
    assert run("snntorch", tmp_path / "lucky.nir", np.ones((1, 4))).all()
    assert "snntorch-nested-neurons" in {finding.rule.name for finding in lint(tmp_path / "nested.nir")}
    with pytest.raises(RuntimeError, match="GraphModule"):
        run("snntorch", tmp_path / "nested.nir", np.ones((1, 4)))
