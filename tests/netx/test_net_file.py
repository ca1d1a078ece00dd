"""What a .net file holds, and what the reader says about files that are not right."""

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from netx import LIF, Accumulator, Conv2d, Correlation, Dense, Flatten, FormatError, Input, Layer, Network, Pool, Shape
from netx.bundle import load, parts, save
from netx.net_file import read_net, write_net

KERNELS = np.arange(-36, 36).reshape(4, 1, 3, 6) * 2
NETWORK = Network(
    (Input("pixels", Shape(2, 5, 6), (0, 15)),),
    (
        Layer("edges", ("pixels",), Conv2d(KERNELS, padding=(0, 1), groups=2), LIF(81)),
        Layer("pooled", ("edges",), Pool(2, 1, weight=2), LIF(1, [1, 2, 3, -4])),
        Layer("flat", ("pooled",), Flatten()),
        Layer("score", ("flat",), Dense(np.arange(-16, 16).reshape(2, 16)), Accumulator([5, -6])),
    ),
    ("score",),
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    write_net(NETWORK, tmp_path / "network.net")
    return tmp_path / "network.net"


def test_the_file_is_in_lava_dls_schema(file: Path) -> None:
    with h5py.File(file) as content:
        layers = content["layer"]
        assert [layers[str(i)]["type"][0] for i in range(5)] == [b"input", b"conv", b"conv", b"flatten", b"dense"]
        assert list(layers["0"]) == ["shape", "type"]
        assert layers["0/shape"][()].tolist() == [2, 5, 6]
        assert layers["1/weight"].dtype == np.float32
        assert (layers["1/weight"][()] == KERNELS).all()
        assert {name: layers[f"1/{name}"][()].tolist() for name in ("kernelSize", "stride", "padding", "groups")} == {
            "kernelSize": [3, 6],
            "stride": [1, 1],
            "padding": [0, 1],
            "groups": 2,
        }
        assert layers["2/bias"][()].tolist() == [1, 2, 3, -4]
        neuron = {name: layers[f"4/neuron/{name}"][()] for name in ("iDecay", "vDecay", "vThMant")}
        assert neuron == {"iDecay": 4096, "vDecay": 4096, "vThMant": 262143}


def test_more_than_127_groups_are_written_block_diagonal_and_come_back(tmp_path: Path) -> None:
    weight = np.arange(1, 131).reshape(130, 1, 1, 1)
    layer = Layer("deep", ("x",), Conv2d(weight, groups=130), LIF(1))
    network = Network((Input("x", Shape(130, 2, 2)),), (layer,), ("deep",))
    write_net(network, tmp_path / "deep.net")
    with h5py.File(tmp_path / "deep.net") as content:
        groups, stored = content["layer/1/groups"][()], content["layer/1/weight"][()]
    assert groups == 65
    assert stored.shape == (130, 2, 1, 1)
    assert stored[:, :, 0, 0].tolist()[:3] == [[1, 0], [0, 2], [3, 0]]
    assert read_net(tmp_path / "deep.net") == network


def test_exponents_are_folded_into_what_the_stock_loader_reads(tmp_path: Path) -> None:
    layer = Layer("y", ("x",), Conv2d([[[[8, -4]]]], weight_exponent=-2), LIF(1, [12], bias_exponent=4))
    network = Network((Input("x", Shape(1, 1, 2)),), (layer,), ("y",))
    write_net(network, tmp_path / "n.net")
    with h5py.File(tmp_path / "n.net") as content:
        assert content["layer/1/weight"][()].tolist() == [[[[2, -1]]]]
        assert content["layer/1/bias"][()].tolist() == [3]
    assert read_net(tmp_path / "n.net") == network


@pytest.mark.parametrize(
    ("layers", "complaint"),
    [
        ([Layer("y", ("x",), Conv2d([[[[3]]]], weight_exponent=-1), LIF(1))], "layer 'y'.*no multiple of 2"),
        ([Layer("y", ("x",), Conv2d([[[[200]]]], weight_exponent=1), LIF(1))], r"layer 'y'.*\[0, 0, 0, 0\] is 400"),
        ([Layer("y", ("x",), Conv2d([[[[2]]]]), LIF(1, [3], bias_exponent=5))], "layer 'y'.*whole number"),
        (
            [Layer("y", ("x",), Conv2d([[[[2]]]]), Accumulator()), Layer("z", ("y",), Conv2d([[[[2]]]]), LIF(1))],
            "reads the accumulator 'y'",
        ),
        ([Layer("y", ("x",), Flatten()), Layer("z", ("y",), Pool(1, 1), LIF(1))], "make it a Dense layer"),
        ([Layer("y", ("x",), Conv2d([[[[2]]]]), LIF(1)), Layer("z", ("y",), Flatten())], "flattens the output"),
        ([Layer("y", ("x",), Conv2d([[[[2]]]]), LIF(1)), Layer("z", ("x",), Pool(1, 1), LIF(1))], "reads x, not"),
        ([Layer("y", ("x", "x"), Correlation(1), LIF(1))], "Correlation, which neither format holds"),
    ],
)
def test_what_the_format_cannot_hold_is_refused_by_name_and_leaves_no_file(
    layers: list[Layer], complaint: str, tmp_path: Path
) -> None:
    network = Network((Input("x", Shape(1, 2, 3)),), tuple(layers), (layers[-1].name,))
    with pytest.raises(FormatError, match=complaint):
        write_net(network, tmp_path / "n.net")
    assert list(tmp_path.iterdir()) == []


def test_a_path_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(FormatError, match=r"file/n\.net: cannot be written"):
        write_net(NETWORK, tmp_path / "file" / "n.net")


def test_a_truncated_file_is_refused_wherever_it_ends(file: Path) -> None:
    content = file.read_bytes()
    for end in range(0, len(content), 997):
        file.write_bytes(content[:end])
        with pytest.raises(FormatError, match=r"network\.net: "):
            read_net(file)


@pytest.mark.parametrize("content", [b"", b"weights", b"\x89HDF\r\n\x1a\n" + bytes(100)])
def test_what_is_no_hdf5_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "n.net").write_bytes(content)
    with pytest.raises(FormatError, match=r"n\.net: is (empty|not a whole HDF5 file)"):
        read_net(tmp_path / "n.net")


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "none.net", tmp_path):
        with pytest.raises(FormatError, match="there is no such file"):
            read_net(path)


def test_a_damaged_string_heap_is_refused_before_libhdf5_loops_over_it(tmp_path: Path) -> None:
    path = tmp_path / "n.net"
    with h5py.File(path, "w") as content:
        content.create_dataset("layer/0/type", data="input")
    damaged = bytearray(path.read_bytes())
    heap = damaged.index(b"GCOL")
    damaged[heap + 24 : heap + 32] = b"\xff" * 8
    path.write_bytes(damaged)
    with pytest.raises(FormatError, match=f"heap at byte {heap} is inconsistent"):
        read_net(path)


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


def absurd(content: h5py.File) -> None:
    del content["layer/1/weight"]
    content.create_dataset("layer/1/weight", (1 << 30, 1 << 20), np.float32, chunks=(1, 1))


def attribute(name: str, value: Any) -> Callable[[h5py.File], None]:
    def change(content: h5py.File) -> None:
        content["layer/1"].attrs[name] = value

    return change


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (put_one("layer/1/weight", (1, 0, 2, 3), np.nan), r"layer/1/weight: \[1, 0, 2, 3\] is nan"),
        (put_one("layer/1/weight", (0, 0, 0, 0), -np.inf), r"layer/1/weight: \[0, 0, 0, 0\] is -inf"),
        (put_one("layer/1/weight", (0, 0, 0, 1), 1.5), r"layer/1/weight: \[0, 0, 0, 1\] is 1\.5"),
        (put_one("layer/1/weight", (0, 0, 0, 1), 256), r"layer/1: weight\[0, 0, 0, 1\] is 256: outside"),
        (put_one("layer/2/bias", (1,), 1e9), r"layer/2.*bias\[1\] is 1000000000: outside"),
        (put("layer/1/weight", np.zeros((4, 1, 3))), r"layer/1/weight: has shape \(4, 1, 3\), expected \(4, 1, 3, 6\)"),
        (put("layer/1/weight", "heavy"), "layer/1/weight: holds values of type object, expected numbers"),
        (absurd, r"layer/1/weight: has shape \(1073741824, 1048576\)"),
        (delete("layer/1/weight"), "layer/1/weight: is missing"),
        (delete("layer/1/stride"), "layer/1/stride: is missing"),
        (delete("layer/2/neuron"), "layer/2/neuron: is missing"),
        (delete("layer/2/neuron/vThMant"), "layer/2/neuron/vThMant: is missing"),
        (delete("layer"), "layer: is missing"),
        (delete("layer/3"), "layer: has 4 members, but none called 3"),
        (put("layer/1/type", "pool"), "layer/1: layer type 'pool' is not supported here"),
        (put("layer/1/neuron/type", "RF_PHASE"), "layer/1/neuron/type: 'RF_PHASE' neurons are not supported"),
        (put("layer/1/neuron/gradedSpike", True), "layer/1/neuron/gradedSpike: is not supported"),
        (put("layer/1/delay", np.array([0, 1])), "layer/1/delay: axonal delays are not supported"),
        (put("layer/1/stride", np.array([1, 0])), "layer/1: stride: must be at least 1"),
        (put("layer/1/groups", 3), "layer/1/inChannels: is 2 in 3 groups"),
        (put("layer/1/groups", -1), "layer/1/groups: is -1, expected at least 1"),
        (put("layer/1/neuron/vThMant", 262144), "layer/1/neuron: threshold: expected an integer in"),
        (put("layer/1/neuron/iDecay", 5000), "layer/1/neuron: current decay: expected an integer in"),
        (put("layer/4/inFeatures", 7), "layer/4/inFeatures: is 7, but its input is 4x2x2"),
        (put("layer/0/shape", np.array([3, 5, 6])), "layer/1/inChannels: is 2 in 2 groups, but its input has 3"),
        (put("layer/1/shape", np.array([9, 9, 9])), r"layer/1/shape: \[0\] is 9, but the recorded integers say 4"),
        (put_one("layer/2/weight", (0, 0, 0, 0), 4), r"layer/2/weight: \[0, 0, 0, 1\] is 2.0, but the recorded"),
        (attribute("synapse", np.bytes_(b"Magic")), "layer/1: 'Magic' is not a synapse"),
        (attribute("groups", 3), "layer/1: weights of shape .* cannot be 3 groups"),
        (attribute("kernel", [9, 9]), "layer/1: a kernel of .* does not fit"),
        (attribute("weight_exponent", 99), "layer/1: weight exponent 99 is outside"),
        (attribute("layer", np.bytes_(b"pooled")), "two layers or inputs are called 'pooled'"),
        (attribute("layer", "text of any length"), "layer/1/@layer: is neither numbers nor text of fixed length"),
    ],
)
def test_a_wrong_file_is_refused_with_the_place(
    change: Callable[[h5py.File], None], complaint: str, file: Path
) -> None:
    with h5py.File(file, "r+") as content:
        change(content)
    with pytest.raises(FormatError, match=f"network\\.net: .*{complaint}"):
        read_net(file)


@pytest.mark.parametrize("link", [h5py.ExternalLink("other.net", "/layer/1/weight"), h5py.SoftLink("/layer/2/weight")])
def test_links_to_elsewhere_are_not_followed(link: Any, file: Path) -> None:
    write_net(NETWORK, file.parent / "other.net")
    with h5py.File(file, "r+") as content:
        del content["layer/1/weight"]
        content["layer/1/weight"] = link
    with pytest.raises(FormatError, match="layer/1/weight: is a link to elsewhere"):
        read_net(file)


def test_references_and_values_stored_in_other_files_are_not_followed(file: Path) -> None:
    with h5py.File(file, "r+") as content:
        del content["layer/1/weight"], content["layer/1/groups"]
        content["layer/1/groups"] = content["layer/2"].ref
        outside = [(str(file.parent / "raw"), 0, 4 * 72)]
        content.create_dataset("layer/1/weight", (4, 1, 3, 6), np.float32, external=outside)
    with pytest.raises(FormatError, match="layer/1/groups: holds values of type object"):
        read_net(file)
    with h5py.File(file, "r+") as content:
        del content["layer/1/groups"]
        content["layer/1/groups"] = 2
    with pytest.raises(FormatError, match="layer/1/weight: is stored in another file"):
        read_net(file)


def test_a_changed_weight_is_another_network(file: Path) -> None:
    with h5py.File(file, "r+") as content:
        content["layer/1/weight"][3, 0, 1, 2] = 100
    assert read_net(file).layer("edges").synapse.weight[3, 0, 1, 2] == 100


def test_a_lif_that_never_spikes_and_a_read_out_that_remembers_are_no_accumulators(file: Path, tmp_path: Path) -> None:
    layer = Layer("y", ("x",), Conv2d([[[[2]]]]), LIF(262143))
    network = Network((Input("x", Shape(1, 2, 2)),), (layer,), ("y",))
    write_net(network, tmp_path / "silent.net")
    assert read_net(tmp_path / "silent.net") == network
    with h5py.File(file, "r+") as content:
        content["layer/4/neuron/vDecay"][()] = 100
    assert read_net(file).layer("score").neuron == LIF(262143, [5, -6], voltage_decay=100)


def test_a_dense_layer_says_what_it_reads(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "n.net", "w") as content:
        layer = content.create_group("layer/0")
        layer["type"] = np.array([b"dense"])
        values = {"shape": [2], "inFeatures": 3, "outFeatures": 2, "weight": [[2.0, 4, 6], [8, 10, 12]]}
        neuron = {"neuron/type": "CUBA", "neuron/vThMant": 80, "neuron/iDecay": 4096, "neuron/vDecay": 4096}
        for name, value in (values | neuron).items():
            layer[name] = value
    for given in (None, Shape(3, 1, 1)):
        assert read_net(tmp_path / "n.net", input_shape=given) == Network(
            (Input("input", Shape(3, 1, 1)),),
            (Layer("dense0", ("input",), Dense([[2, 4, 6], [8, 10, 12]]), LIF(80)),),
            ("dense0",),
        )
    with pytest.raises(FormatError, match=r"n\.net: layer: says that its input is 3x1x1, not 2x1x1"):
        read_net(tmp_path / "n.net", input_shape=Shape(2, 1, 1))


def test_a_convolution_at_the_beginning_has_to_be_told_what_it_reads(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "n.net", "w") as content:
        layer = content.create_group("layer/0")
        values = {"shape": [1, 2, 3], "inChannels": 2, "outChannels": 1, "kernelSize": [1, 1], "stride": [1, 1]}
        values |= {"padding": [0, 0], "dilation": [1, 1], "groups": 1, "weight": np.array([[[[2.0]], [[4]]]])}
        neuron = {"neuron/type": "CUBA", "neuron/vThMant": 5, "neuron/iDecay": 4096, "neuron/vDecay": 4096}
        layer["type"] = np.array([b"conv"])
        for name, value in (values | neuron).items():
            layer[name] = value
    with pytest.raises(FormatError, match=r"n\.net: layer: begins .*pass --input-shape C,H,W .* of which C is 2\)"):
        load(tmp_path / "n.net")
    network = load(tmp_path / "n.net", Shape(2, 2, 3))
    assert network.inputs == (Input("input", Shape(2, 2, 3)),)
    assert network.shape("conv0") == Shape(1, 2, 3)
    assert [part.source for part in parts(tmp_path / "n.net", Shape(2, 2, 3))] == ["input"]
    with pytest.raises(FormatError, match=r"layer/0/inChannels: is 2 in 1 groups, but its input has 3 channels"):
        load(tmp_path / "n.net", Shape(3, 2, 3))


@pytest.mark.parametrize("name", ["n.net", "n.nir", "folder"])
def test_a_shape_that_is_given_has_to_be_the_one_that_the_file_says(name: str, tmp_path: Path) -> None:
    network = Network((Input("x", Shape(2, 1, 1)),), (Layer("y", ("x",), Dense([[2, 4]]), LIF(3)),), ("y",))
    save(network, tmp_path / name)
    assert load(tmp_path / name, Shape(2, 1, 1)) == network
    with pytest.raises(FormatError, match="leave --input-shape out"):
        load(tmp_path / name, Shape(1, 2, 1))


def test_string_heaps_within_heaps_are_refused_before_each_of_them_is_walked_through_all_others(tmp_path: Path) -> None:
    """Each heap jumps over the headers of the others to objects that all share: as many steps as heaps, squared."""
    count, header, item = 100, 32, 16
    end = count * (header + item)
    heaps = [
        b"GCOL\x01\0\0\0" + struct.pack("<QHHIQ", end - start, 1, 1, 0, count * header - start - header)
        for start in range(0, count * header, header)
    ]
    (tmp_path / "n.net").write_bytes(b"".join(heaps) + struct.pack("<HHIQ", 1, 1, 0, 0) * count)
    with pytest.raises(FormatError, match="string heap at byte 64 is inconsistent"):
        read_net(tmp_path / "n.net")


@pytest.mark.parametrize(
    ("layers", "complaint"),
    [
        ([Layer("wide", ("x",), Conv2d([[[[2]]]], padding=130), LIF(1))], "'wide': its padding is 130"),
        (
            [Layer("flat", ("x",), Flatten()), Layer("wide", ("flat",), Dense(np.full((1, 200), -2)), LIF(-9))],
            "'wide': its kernelSize is 200",
        ),
    ],
)
def test_windows_that_lavas_conv_cannot_hold_are_refused(layers: list[Layer], complaint: str, tmp_path: Path) -> None:
    """Dense weights that are all negative are written as a convolution, whose kernel is as large as what it reads."""
    with pytest.raises(FormatError, match=complaint):
        write_net(Network((Input("x", Shape(1, 200, 1)),), tuple(layers), ("wide",)), tmp_path / "n.net")
    assert list(tmp_path.iterdir()) == []
