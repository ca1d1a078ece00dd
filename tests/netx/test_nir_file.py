"""What a .nir file holds, and what the reader says about graphs that are not right."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import nir
import numpy as np
import pytest

from netx import LIF, Accumulator, Conv2d, FormatError, Input, Layer, Network, Shape
from netx.nir_file import read_nir, write_nir

KERNELS = np.arange(-18, 18).reshape(4, 1, 3, 3) * 2
NETWORK = Network(
    (Input("pixels", Shape(2, 5, 6), (0, 15)),),
    (
        Layer("edges", ("pixels",), Conv2d(KERNELS, padding=(0, 1), groups=2), LIF(81, [2, 0, -4, 6])),
        Layer("score", ("edges",), Conv2d(np.full((2, 4, 1, 1), 6)), Accumulator([5, -6])),
    ),
    ("score",),
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    write_nir(NETWORK, tmp_path / "network.nir")
    return tmp_path / "network.nir"


def test_the_stock_reader_with_its_type_check_finds_plain_convolutions_and_memoryless_neurons(file: Path) -> None:
    graph = nir.read(file)
    assert sorted(graph.edges) == [
        ("input", "synapse_edges"),
        ("neuron_edges", "synapse_score"),
        ("synapse_edges", "neuron_edges"),
        ("synapse_score", "output"),
    ]
    conv, lif = graph.nodes["synapse_edges"], graph.nodes["neuron_edges"]
    assert (conv.groups, conv.weight.dtype, conv.weight.shape) == (1, np.float32, (4, 2, 3, 3))
    assert (conv.weight[:2, 0] == KERNELS[:2, 0]).all()
    assert (conv.weight[2:, 1] == KERNELS[2:, 0]).all()
    assert not conv.weight[:2, 1].any()
    assert not conv.weight[2:, 0].any()
    assert conv.bias.tolist() == [2, 0, -4, 6]
    assert lif.v_threshold.shape == (4, 3, 6)
    assert set(lif.v_threshold.flat) == {81.5}
    assert set(lif.tau.flat) == {np.float32(1e-4)}


def test_the_integers_are_metadata(file: Path) -> None:
    graph = nir.read(file)
    metadata = graph.nodes["synapse_edges"].metadata
    assert {key: metadata[key] for key in ("layer", "groups", "threshold", "weight_exponent", "bias_exponent")} == {
        "layer": "edges",
        "groups": 2,
        "threshold": 81,
        "weight_exponent": 0,
        "bias_exponent": 6,
    }
    assert metadata["bias"].tolist() == [2, 0, -4, 6]
    assert graph.metadata["input_range"].tolist() == [0, 15]
    assert (graph.metadata["weight_scale"], graph.metadata["dt"]) == (64, 1e-4)


@pytest.mark.parametrize(("kernel", "stride", "size"), [((3, 5), (1, 1), (9, 9)), ((3, 4), (3, 3), (9, 10))])
def test_a_kernel_that_is_not_square_is_padded_and_comes_back(
    kernel: tuple[int, int], stride: tuple[int, int], size: tuple[int, int], tmp_path: Path
) -> None:
    layer = Layer("y", ("x",), Conv2d(np.ones((1, 1, *kernel), int), stride), LIF(1))
    network = Network((Input("x", Shape(1, *size)),), (layer,), ("y",))
    write_nir(network, tmp_path / "n.nir")
    weight = nir.read(tmp_path / "n.nir").nodes["synapse_y"].weight
    assert weight.shape[2] == weight.shape[3]
    assert weight.sum() == kernel[0] * kernel[1]
    assert read_nir(tmp_path / "n.nir") == network


@pytest.mark.parametrize(
    ("synapse", "neuron", "complaint"),
    [
        (Conv2d(np.ones((1, 1, 3, 2), int)), LIF(1), "layer 'y'.*3x2 kernel cannot be made square"),
        (Conv2d([[[[2]]]]), LIF(1, current_decay=4095), "layer 'y' remembers"),
        (Conv2d([[[[3]]]], weight_exponent=-1), LIF(1), "layer 'y'.*no multiple of 2"),
    ],
)
def test_what_the_format_cannot_hold_is_refused_by_name_and_leaves_no_file(
    synapse: Conv2d, neuron: LIF, complaint: str, tmp_path: Path
) -> None:
    network = Network((Input("x", Shape(1, 6, 6)),), (Layer("y", ("x",), synapse, neuron),), ("y",))
    with pytest.raises(FormatError, match=f"n\\.nir: .*{complaint}"):
        write_nir(network, tmp_path / "n.nir")
    assert list(tmp_path.iterdir()) == []


def test_a_depthwise_layer_too_large_as_dense_kernels_is_refused(tmp_path: Path) -> None:
    layer = Layer("wide", ("x",), Conv2d(np.full((20000, 1, 1, 1), 2), groups=20000), LIF(1))
    network = Network((Input("x", Shape(20000, 1, 1)),), (layer,), ("wide",))
    with pytest.raises(FormatError, match="layer 'wide': its 20000 groups"):
        write_nir(network, tmp_path / "n.nir")


def test_a_truncated_file_is_refused_wherever_it_ends(file: Path) -> None:
    content = file.read_bytes()
    for end in range(0, len(content), 1999):
        file.write_bytes(content[:end])
        with pytest.raises(FormatError, match=r"network\.nir: "):
            read_nir(file)


def test_a_graph_of_floats_from_elsewhere_is_refused_with_all_that_is_missing(tmp_path: Path) -> None:
    nodes = {
        "input": nir.Input(np.array([1, 4, 4])),
        "conv": nir.Conv2d((4, 4), np.full((1, 1, 3, 3), 0.5, np.float32), 1, 1, 1, 1, np.zeros(1)),
        "fire": nir.Threshold(np.full((1, 4, 4), 0.5)),
        "output": nir.Output(np.array([1, 4, 4])),
    }
    edges = [("input", "conv"), ("conv", "fire"), ("fire", "output")]
    nir.write(tmp_path / "other.nir", nir.NIRGraph(nodes, edges))
    with pytest.raises(FormatError) as error:
        read_nir(tmp_path / "other.nir")
    for word in ("other.nir", "integer metadata", "Threshold (fire)", "whole-number weights in conv"):
        assert word in str(error.value)


def put(name: str, value: Any) -> Callable[[h5py.File], None]:
    """Replaces, or adds, a dataset."""

    def change(content: h5py.File) -> None:
        if name in content:
            del content[name]
        content[name] = value

    return change


def put_one(name: str, place: tuple[int, ...], value: float) -> Callable[[h5py.File], None]:
    """Changes one number of a dataset."""

    def change(content: h5py.File) -> None:
        content[name][place] = value

    return change


def delete(name: str) -> Callable[[h5py.File], None]:
    def change(content: h5py.File) -> None:
        del content[name]

    return change


CONV = "node/nodes/synapse_edges"
FIRE = "node/nodes/neuron_edges"


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (put_one(f"{CONV}/weight", (0, 0, 1, 2), np.nan), rf"{CONV}/weight: \[0, 0, 1, 2\] is nan"),
        (put_one(f"{CONV}/weight", (0, 0, 1, 2), np.inf), rf"{CONV}/weight: \[0, 0, 1, 2\] is inf"),
        (put_one(f"{CONV}/weight", (0, 0, 1, 2), 0.25), rf"{CONV}/weight: \[0, 0, 1, 2\] is 0.25"),
        (put_one(f"{CONV}/weight", (0, 0, 1, 2), -300), rf"{CONV}: weight\[0, 0, 1, 2\] is -300: outside"),
        (put_one(f"{CONV}/weight", (0, 1, 0, 0), 4), rf"{CONV}/weight: \[0, 1, 0, 0\] is 4.0, but the recorded"),
        (put_one(f"{CONV}/bias", (1,), 2), rf"{CONV}/bias: \[1\] is 2.0, but the recorded integers say 0.0"),
        (put_one(f"{FIRE}/v_threshold", (3, 2, 5), 80.5), rf"{FIRE}/v_threshold: \[3, 2, 5\] is 80.5, .* say 81.5"),
        (put_one(f"{FIRE}/v_threshold", (0, 0, 0), np.nan), rf"{FIRE}/v_threshold: \[0, 0, 0\] is nan"),
        (put_one(f"{FIRE}/tau", (0, 0, 0), 1), rf"{FIRE}/tau: \[0, 0, 0\] is 1.0"),
        (put(f"{FIRE}/tau", np.ones(3)), rf"{FIRE}/tau: has shape \(3,\), expected \(4, 3, 6\)"),
        (put(f"{CONV}/weight", np.zeros((4, 2, 3))), rf"{CONV}: weight: expected shape \(out, in"),
        (put(f"{CONV}/groups", 2), f"{CONV}/groups: is 2, expected 1"),
        (put(f"{CONV}/stride", np.array([0, 1])), f"{CONV}: a kernel|{CONV}: stride|stride"),
        (put(f"{CONV}/stride", "same"), f"{CONV}/stride: holds values of type object, expected numbers"),
        (put(f"{CONV}/metadata/threshold", 79), rf"{FIRE}/v_threshold: .* is 81.5, but the recorded integers say 79.5"),
        (put(f"{CONV}/metadata/threshold", 1 << 20), f"{CONV}: threshold: expected an integer in"),
        (put(f"{CONV}/metadata/threshold", "high"), f"{CONV}: record 'threshold': expected integers"),
        (put(f"{CONV}/metadata/threshold", np.zeros(9999, int)), r"expected one integer, got \[0 0 0 \.\.\. 0 0 0\]$"),
        (put(f"{CONV}/metadata/groups", 3), f"{CONV}: weights of shape .* cannot be 3 groups"),
        (put(f"{CONV}/metadata/voltage_decay", 7), "'edges' remembers"),
        (put(f"{CONV}/metadata/layer", "input-1"), "'input-1' is not a name"),
        (delete(f"{CONV}/metadata/groups"), f"{CONV}: record 'groups' is missing"),
        (delete(f"{CONV}/metadata"), f"{CONV}: record 'synapse' is missing"),
        (delete(f"{CONV}/bias"), f"{CONV}/bias: is missing"),
        (put(f"{CONV}/type", "Conv1d"), f"{CONV}/type: is 'Conv1d', but the recorded integers say 'Conv2d'"),
        (delete(FIRE), "do not agree about the nodes neuron_edges"),
        (put("node/nodes/extra/type", "Threshold"), "do not agree about the nodes extra"),
        (delete("node/edges"), "node/edges: is missing"),
        (put("node/edges", [["input", "output"]] * 4), "node/edges: they do not connect the layers"),
        (put("node/metadata/layers", "score,edges"), "node"),
        (put("node/metadata/layers", ""), "node: the metadata name no layers"),
        (put("node/metadata/monospike_version", 2), "version 2 is not known here"),
        (put("node/metadata/input_range", [3, 1]), "the range 3..1 is empty"),
        (put("node/nodes/input/shape", np.array([2, 1 << 30, 1 << 30])), "neurons, more than 8388608"),
        (delete("node"), "node: is missing"),
    ],
)
def test_a_wrong_graph_is_refused_with_the_place(
    change: Callable[[h5py.File], None], complaint: str, file: Path
) -> None:
    with h5py.File(file, "r+") as content:
        change(content)
    with pytest.raises(FormatError, match=f"network\\.nir: .*({complaint})"):
        read_nir(file)


def test_a_changed_weight_is_another_network(file: Path) -> None:
    with h5py.File(file, "r+") as content:
        content[f"{CONV}/weight"][3, 1, 1, 2] = 100
    assert read_nir(file).layer("edges").synapse.weight[3, 0, 1, 2] == 100


def test_a_name_that_is_a_path_is_not_followed_out_of_the_file(tmp_path: Path) -> None:
    write_nir(NETWORK, tmp_path / "n.nir")
    with h5py.File(tmp_path / "outside.h5", "w") as file:
        file.create_group("in/y/metadata")
    with h5py.File(tmp_path / "n.nir", "a") as file:
        file["node/nodes/synapse_x"] = h5py.ExternalLink(str(tmp_path / "outside.h5"), "/in")
        del file["node/metadata/layers"]
        file["node/metadata/layers"] = "x/y"
    with pytest.raises(FormatError, match="node/nodes/synapse_x/y: is a path"):
        read_nir(tmp_path / "n.nir")


def test_kernels_that_would_be_too_large_once_square_are_refused(tmp_path: Path) -> None:
    row = Conv2d(np.full((1, 1, 1, 1 << 14), 2))
    network = Network((Input("x", Shape(1, 1, 1 << 14)),), (Layer("wide", ("x",), row, LIF(1)),), ("wide",))
    with pytest.raises(FormatError, match=r"'wide': its kernels of \(1, 16384\) made square are more than"):
        write_nir(network, tmp_path / "n.nir")
    assert list(tmp_path.iterdir()) == []


def test_a_kernel_in_the_file_that_is_not_square_is_refused_before_it_is_made_so(tmp_path: Path) -> None:
    write_nir(NETWORK, tmp_path / "n.nir")
    with h5py.File(tmp_path / "n.nir", "a") as file:
        del file[f"{CONV}/weight"]
        file[f"{CONV}/weight"] = np.full((4, 2, 1, 99), 2.0)
    with pytest.raises(FormatError, match="weight: has kernels of 1x99, expected square ones"):
        read_nir(tmp_path / "n.nir")
