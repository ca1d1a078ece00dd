"""What lint passes, the readers read; what the readers refuse has an error in lint; what nir.read refuses is said.

Graphs are drawn with shapes that mostly fit, and files are damaged in places that are drawn, too.
"""

import h5py
import nir
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from netx import LIF, Conv2d, Dense, FormatError, Input, Layer, Network, Shape
from netx.bundle import load, save
from netx.lint import Severity, lint
from netx.nir_graph import MAX_DEPTH, read_graph

SLOW = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))


def full(value, shape):
    return np.full(shape, value, np.float32)


def lif(shape):
    values = {"tau": 1e-3, "r": 1, "v_leak": 0, "v_reset": 0, "v_threshold": 0.3}
    return nir.LIF(**{name: full(value, shape) for name, value in values.items()})


@st.composite
def graphs(draw):
    """A row of nodes, each for the shape before it but for one in six, and sometimes a sum with another branch."""
    shape = draw(st.sampled_from([(2, 5, 5), (3, 6, 4), (7,)]))
    nodes = {"in": nir.Input(np.array(shape))}
    edges = []
    before = "in"
    for index in range(draw(st.integers(1, 5))):
        right = draw(st.integers(0, 5)) > 0
        name, kinds = f"n{index}", ["lif", "linear", "scale"] if len(shape) == 1 else ["lif", "conv", "pool", "flatten"]
        kind = draw(st.sampled_from(kinds))
        off = 0 if right else draw(st.integers(1, 2))
        if kind == "lif":
            nodes[name] = lif(tuple(size + off for size in shape))
        elif kind == "scale":
            nodes[name] = nir.Scale(full(2, (shape[0] + off,)))
        elif kind == "linear":
            out = draw(st.integers(1, 4))
            nodes[name] = nir.Affine(full(1, (out, shape[0] + off)), full(0, out))
            shape = (out,)
        elif kind == "flatten":
            nodes[name] = nir.Flatten({"input": None}, 0, -1)
            shape = (int(np.prod(shape)),)
        elif kind == "conv":
            out, size, stride, padding = (draw(st.integers(*span)) for span in ((1, 3), (1, 4), (1, 2), (0, 1)))
            weight = full(1, (out, shape[0] + off, size, size))
            nodes[name] = nir.Conv2d(
                draw(st.sampled_from([shape[1:]] * 5 + [None])), weight, stride, padding, 1, 1, full(0, out)
            )
            sides = [(side + 2 * padding - size) // stride + 1 for side in shape[1:]]
            if min(sides) < 1:
                edges.append((before, name))
                before = name
                break
            shape = (out, *sides)
        else:
            nodes[name] = nir.SumPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0]))
            shape = (shape[0], *(side // 2 for side in shape[1:]))
            if min(shape) < 1:
                edges.append((before, name))
                before = name
                break
        edges.append((before, name))
        if draw(st.integers(0, 9)) == 0:
            edges.append(("in", name))
        before = name
    nodes["out"] = nir.Output(np.array(shape))
    return nodes, list(dict.fromkeys([*edges, (before, "out")]))


def raised_by(read, path, kind):
    """The error of this kind that reading ``path`` raises; None where it raises none."""
    try:
        read(path)
    except kind as error:
        return error
    return None


def errors(path):
    return [finding for finding in lint(path) if finding.rule.severity is Severity.ERROR]


def written(path, nodes, edges):
    """With the shapes left out that nir would infer, and cannot write while they are open."""
    open_shape = np.array([0])
    for node in nodes.values():
        if isinstance(node, nir.Conv2d) and node.input_shape is None:
            node.input_shape = open_shape
        if isinstance(node, nir.Flatten):
            node.input_type = {"input": open_shape}
    nir.write(path, nir.NIRGraph(nodes, edges, type_check=False))
    with h5py.File(path, "r+") as file:
        for group in file["node/nodes"].values():
            for name in {"input_shape", "input_type"} & set(group):
                if group[name].shape == (1,):
                    del group[name]
    return path


@SLOW
@given(drawn=graphs())
def test_lint_says_what_nirs_own_reader_refuses_and_nothing_of_it_where_it_does_not(drawn, tmp_path):
    path = written(tmp_path / "drawn.nir", *drawn)
    read_graph(path)
    said = {finding.rule.name for finding in lint(path)} & {
        "nir-type-check",
        "nir-shapes-contradict",
        "nir-parameter-missing",
    }
    if 0 in drawn[0]["out"].output_type["output"]:  # a window that does not fit, of which nir makes nothing
        assert said
    else:
        assert bool(said) == (raised_by(nir.read, path, Exception) is not None)


def places(file):
    found = []
    file.visit(found.append)
    return [place for place in sorted(found) if place.startswith("node")]


DAMAGES = ["gone", "text", "number", "nan", "group", "link", "empty", "long"]


def damage(file, place, how):
    del file[place]
    if how == "text":
        file[place] = "word"
    elif how == "number":
        file[place] = 3
    elif how == "nan":
        file[place] = np.array([1.0, np.nan])
    elif how == "group":
        file.create_group(place)
    elif how == "link":
        file[place] = h5py.SoftLink("/version")
    elif how == "empty":
        file[place] = np.zeros((0, 2))
    elif how == "long":
        file[place] = np.arange(7)


@SLOW
@given(data=st.data())
def test_what_the_reader_refuses_is_an_error_and_what_lint_passes_it_reads(data, tmp_path):
    inner = {"input": nir.Input(np.array([3])), "cell": lif((3,)), "output": nir.Output(np.array([3]))}
    nodes = {
        "in": nir.Input(np.array([4])),
        "fc": nir.Affine(full(1, (3, 4)), full(0, 3)),
        "deep": nir.NIRGraph(inner, [("input", "cell"), ("cell", "output")], type_check=False),
        "out": nir.Output(np.array([3])),
    }
    edges = [("in", "fc"), ("fc", "deep"), ("deep", "out")]
    graph = nir.NIRGraph(nodes, edges, metadata={"dt": 1e-3}, type_check=False)
    path = tmp_path / "damaged.nir"
    nir.write(path, graph)
    assert not errors(path)
    with h5py.File(path, "r+") as file:
        place = data.draw(st.sampled_from(places(file)))
        damage(file, place, data.draw(st.sampled_from(DAMAGES)))
    found, refused = errors(path), raised_by(read_graph, path, FormatError)
    if refused is not None:
        assert any(finding.place.startswith(refused.place) for finding in found), (refused, found)


NETWORK = Network(
    (Input("x", Shape(2, 3, 3)),),
    (
        Layer("conv", ("x",), Conv2d(np.full((2, 2, 3, 3), 2)), LIF(3, [2, 4])),
        Layer("fc", ("conv",), Dense([[2, 4]]), LIF(3)),
    ),
    ("fc",),
)


@SLOW
@given(data=st.data(), suffix=st.sampled_from(["net", "nir"]))
def test_what_load_refuses_of_our_own_files_is_an_error_and_what_lint_passes_it_loads(data, suffix, tmp_path):
    path = tmp_path / f"own.{suffix}"
    save(NETWORK, path)
    with h5py.File(path, "r+") as file:
        found = []
        file.visit(found.append)
        place = data.draw(st.sampled_from(sorted(found)))
        damage(file, place, data.draw(st.sampled_from(DAMAGES)))
    foreign = suffix == "nir" and place.endswith(("metadata", "monospike_version"))  # no longer a file of ours
    refused = raised_by(load, path, FormatError)
    assert refused is None or foreign or errors(path)


@pytest.mark.parametrize("depth", [16, 17, MAX_DEPTH, MAX_DEPTH + 1])
def test_graphs_within_graphs_are_as_deep_for_lint_as_for_the_reader(depth, tmp_path):
    inside = lif((3,))
    for _ in range(depth):
        ends = {"input": nir.Input(np.array([3])), "output": nir.Output(np.array([3]))}
        inside = nir.NIRGraph(ends | {"n": inside}, [("input", "n"), ("n", "output")], type_check=False)
    ends = {"input": nir.Input(np.array([3])), "output": nir.Output(np.array([3]))}
    path = tmp_path / "deep.nir"
    nir.write(path, nir.NIRGraph(ends | {"n": inside}, [("input", "n"), ("n", "output")], type_check=False))
    if depth <= MAX_DEPTH:
        assert len(read_graph(path).nodes) == 2 * depth + 3
        assert not errors(path)
    else:
        with pytest.raises(FormatError, match="deeper than 32"):
            read_graph(path)
        assert "deeper than 32" in errors(path)[0].message
