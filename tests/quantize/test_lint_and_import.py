"""What lint passes, import takes, and shapes that import refuses are errors in lint, at the same node."""

from itertools import pairwise

import nir
import numpy as np
import pytest

from netx.lint import Severity, lint
from netx.nir_graph import read_graph
from quantize.nir_import import NirImportError, import_graph


def full(value, shape):
    return np.full(shape, value, np.float32)


def lif(*shape):
    values = {"tau": 1e-3, "r": 10, "v_leak": 0, "v_reset": 0, "v_threshold": 0.7}
    return nir.LIF(**{name: full(value, shape) for name, value in values.items()})


def affine(out, ins, bias=None):
    return nir.Affine(full(0.3, (out, ins)), full(0, out if bias is None else bias))


def conv(out, ins, size):
    return nir.Conv2d((4, 4), full(0.2, (out, ins, size, size)), 1, 0, 1, 1, full(0, out))


POOL = nir.SumPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0]))
ROWS = {
    "dense": ((6,), affine(5, 6), lif(5)),
    "weights for others": ((6,), affine(5, 7), lif(5)),
    "bias for others": ((6,), affine(5, 6, bias=4), lif(5)),
    "neurons for others": ((6,), affine(5, 6), lif(4)),
    "conv": ((2, 4, 4), conv(3, 2, 3), lif(3, 2, 2)),
    "one neuron a channel": ((2, 4, 4), conv(3, 2, 3), lif(3)),
    "conv of other channels": ((2, 4, 4), conv(3, 1, 3), lif(3, 2, 2)),
    "conv that does not fit": ((2, 4, 4), conv(3, 2, 5), lif(3)),
    "pool": ((2, 4, 4), POOL, lif(2, 2, 2)),
    "pool that does not fit": ((2, 1, 4), POOL, lif(2)),
    "flat": ((2, 4, 4), nir.Flatten({"input": np.array([2, 4, 4])}, 0, -1), affine(3, 32), lif(3)),
    "flat for others": ((2, 4, 4), nir.Flatten({"input": np.array([2, 4, 4])}, 0, -1), affine(3, 33), lif(3)),
    "scale": ((6,), nir.Scale(full(0.5, 6)), affine(5, 6), lif(5)),
    "scale for others": ((6,), nir.Scale(full(0.5, 5)), affine(5, 6), lif(5)),
}


@pytest.mark.parametrize("name", ROWS)
def test_shapes_are_errors_in_lint_where_import_refuses_them(name, tmp_path):
    shape, *row = ROWS[name]
    nodes = {"in": nir.Input(np.array(shape))} | {f"n{index}": node for index, node in enumerate(row)}
    nodes["out"] = nir.Output(np.array((3, 2, 2) if name == "one neuron a channel" else row[-1].v_threshold.shape))
    names = list(nodes)
    path = tmp_path / "row.nir"
    nir.write(path, nir.NIRGraph(nodes, list(pairwise(names)), type_check=False))
    found = {finding.place.removeprefix("node/nodes/") for finding in errors(path)}
    try:
        import_graph(read_graph(path), {"x": np.ones((4, *shape))})
    except NirImportError as error:
        refused = {problem.node for problem in error.problems}
        assert found == refused
    else:
        assert not found


def test_a_sum_of_different_shapes_is_an_error_where_import_refuses_it(tmp_path):
    nodes = {"in": nir.Input(np.array([6])), "a": affine(5, 6), "b": affine(4, 6), "n": lif(5)}
    edges = [("in", "a"), ("in", "b"), ("a", "n"), ("b", "n")]
    path = tmp_path / "sum.nir"
    nir.write(path, nir.NIRGraph(nodes | {"out": nir.Output(np.array([5]))}, [*edges, ("n", "out")], type_check=False))
    [finding] = errors(path)
    assert finding.place == "node/nodes/n"
    assert "sums up values of different shapes, 5x1x1 and 4x1x1" in finding.message
    with pytest.raises(NirImportError, match="sums up values of different shapes"):
        import_graph(read_graph(path), {"x": np.ones((4, 6))})


def errors(path):
    return [finding for finding in lint(path) if finding.rule.severity is Severity.ERROR]
