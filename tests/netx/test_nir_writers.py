"""Marks of writers are recognised where frameworks leave them, and not where the graph means what it says.

Each graph has the parameters that the framework's own exporter was seen to write.
"""

from pathlib import Path

import numpy as np
import pytest

from netx.lint import lint
from netx.nir_graph import NirGraph, NirNode
from netx.nir_writers import MARKS, implied_step, recognised, step_of


def row(kind, weights=(0.5, 0.25), dt=None, **parameters):
    """Neurons of one kind behind a diagonal matrix; parameters in float32, as they are stored."""
    count = len(weights)
    values = {name: np.full(count, value, np.float32) for name, value in parameters.items()}
    nodes = {
        "input": NirNode("Input", {"shape": np.array([count])}),
        "fc": NirNode("Affine", {"weight": np.diag(weights).astype(np.float32), "bias": np.zeros(count, np.float32)}),
        "n": NirNode(kind, values),
        "output": NirNode("Output", {"shape": np.array([count])}),
    }
    return NirGraph(Path("row.nir"), nodes, (("input", "fc"), ("fc", "n"), ("n", "output")), dt)


def lif(tau, r=1.0, **more):
    return row("LIF", **{"tau": tau, "r": r, "v_leak": 0, "v_threshold": 1} | more)


def cuba(tau_syn, tau_mem, r=1.0, **more):
    return row("CubaLIF", **{"tau_syn": tau_syn, "tau_mem": tau_mem, "r": r, "v_leak": 0, "v_threshold": 1} | more)


WRITTEN = {
    "spikingjelly IFNode, dt 1e-4": (row("IF", r=1e4, v_threshold=1), {"spikingjelly"}),
    "spikingjelly IFNode, dt 1e-3": (row("IF", r=1e3, v_threshold=1), {"spikingjelly"}),
    "norse IAFCell, sinabs IAF": (row("IF", r=1, v_threshold=1), set()),
    "norse LIFCell, dt=1.0": (cuba(5e-3, 1e-2, w_in=1), {"norse-rockpool-mlx-spyx"}),
    "rockpool LIFTorch, w_in left out": (cuba(0.02, 0.02, r=19.02), {"norse-rockpool-mlx-spyx"}),
    "snnTorch Synaptic": (cuba(5e-4, 1e-3, r=10, w_in=5), set()),
    "norse LIFBoxCell, default dt": (lif(1e-5), {"norse-default-step"}),
    "norse LIFCell, default dt": (cuba(5e-6, 1e-5, w_in=1), {"norse-default-step"}),
    "snnTorch Leaky, beta 0.9": (lif(1e-3, 10), set()),
    "spikingjelly LIF, dt 1e-3, decay_input=False": (lif(2e-3, 2), {"step-in-r"}),
    "the same where the file says its step": (lif(2e-3, 2, dt=1e-3), set()),
    "sinabs LIF": (lif(20), {"sinabs"}),
    "spyx LIF, beta 0.9": (lif(10, 0.9), {"spyx"}),
    "snnTorch Leaky, default reset": (lif(1e-3, 10, v_reset=0), {"subtracting"}),
    "neurons that forget at once": (lif(1e-4, 1, v_reset=0), set()),
    "neurons with a reset of their own": (lif(1e-3, 10, v_reset=0.2), set()),
    "snnTorch Leaky, beta 1": (lif(np.inf, np.inf), {"snntorch-beta-one"}),
}


@pytest.mark.parametrize("writer", WRITTEN)
def test_the_marks_of_a_writer_are_recognised(writer):
    graph, expected = WRITTEN[writer]
    found = recognised(graph)
    assert {one.mark.name for one in found} == expected
    assert all(one.nodes == ("n",) and one.says for one in found)


def test_every_mark_is_left_by_somebody_and_says_what_it_means_and_what_to_do():
    assert {name for _, names in WRITTEN.values() for name in names} == {mark.name for mark in MARKS}
    assert all(mark.writers and mark.means and mark.mend and mark.source for mark in MARKS)


def test_only_marks_that_are_asked_for_are_looked_for():
    [one] = [mark for mark in MARKS if mark.name == "spyx"]
    assert [found.mark.name for found in recognised(WRITTEN["spyx LIF, beta 0.9"][0], one)] == ["spyx"]


@pytest.mark.parametrize(
    ("graph", "implied", "step"),
    [
        (lif(2e-3, 2), 1e-3, 1e-3),
        (lif(2e-3, 2, dt=5e-4), 1e-3, 5e-4),
        (lif(1e-3, 1), None, 1e-4),
        (row("IF", r=1, v_threshold=1), None, 1e-4),
    ],
)
def test_the_step_is_what_the_file_says_or_what_all_gains_imply(graph, implied, step):
    assert implied_step(graph) == (None if implied is None else pytest.approx(implied))
    assert step_of(graph) == pytest.approx(step)


def stored(path, graph):
    import nir

    nodes = {
        "input": nir.Input(np.array([2])),
        "fc": nir.Affine(**graph.nodes["fc"].values),
        "n": getattr(nir, graph.nodes["n"].kind)(**graph.nodes["n"].values),
        "output": nir.Output(np.array([2])),
    }
    nir.write(path, nir.NIRGraph(nodes, list(graph.edges)))
    return path


@pytest.mark.parametrize(
    ("graph", "tied"),
    [
        (row("IF", (0.5, 0.25), r=1, v_threshold=1), True),  # 0.5 + 0.5: spikingjelly and sinabs fire, norse does not
        (row("IF", (0.5, 0.25), r=1, v_threshold=1.125), False),
        (row("IF", (0.3, 0.7), r=1, v_threshold=1), False),  # as fine as floating point
        (row("IF", (6.0, 4.0), r=1, v_threshold=8), True),
        (row("IF", (6.0, 4.0), r=1, v_threshold=7), False),  # an odd threshold over even sums
        (row("IF", (6.0, 4.0), r=1, v_threshold=8.5), False),  # as monospike writes it
        (row("IF", (0.5, 0.25), r=1, v_threshold=1.125, v_reset=0.125), True),
        (lif(1e-3, 10, v_threshold=0.75), True),  # a gain of one at snnTorch's step
        (lif(1e-3, 1, v_threshold=0.75), False),  # a gain of a tenth, which is no sum of powers of two
        (lif(2e-3, 1e1, v_threshold=0.75), True),  # a gain of one at the step that it implies
        (row("IF", (3 / 128, 5 / 128), r=1, v_threshold=0.5), True),  # weights of 8 bits
    ],
)
def test_sums_that_can_equal_a_threshold_are_named(graph, tied, tmp_path):
    found = {finding.rule.name for finding in lint(stored(tmp_path / "tie.nir", graph))}
    assert ("nir-threshold-tie" in found) == tied
