"""Any .nir file is read as one flat graph, or refused with the place, within seconds and little memory."""

import random
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import nir
import numpy as np
import pytest

from netx import FormatError
from netx.nir_graph import IDENTITY, is_ours, read_graph


def neurons(size: int) -> nir.LIF:
    return nir.LIF(np.full(size, 1e-3), np.ones(size), np.zeros(size), np.ones(size))


def recurrent(inner: nir.NIRNode, size: int) -> nir.NIRGraph:
    ends = {"input": nir.Input(np.array([size])), "output": nir.Output(np.array([size]))}
    return nir.NIRGraph({**ends, "one": inner}, [("input", "one"), ("one", "output")], type_check=False)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    nodes: dict[str, nir.NIRNode] = {"input": nir.Input(np.array([4])), "fc": nir.Affine(np.ones((3, 4)), np.zeros(3))}
    nodes |= {"deep": recurrent(recurrent(neurons(3), 3), 3), "output": nir.Output(np.array([3]))}
    nir.write(tmp_path / "g.nir", nir.NIRGraph(nodes, list(pairwise(nodes)), type_check=False))
    return tmp_path / "g.nir"


def test_graphs_within_graphs_are_dissolved_and_edges_lead_through_their_ends(file: Path) -> None:
    graph = read_graph(file)
    assert {name: node.kind for name, node in graph.nodes.items()} == {
        "input": "Input",
        "fc": "Affine",
        "deep.input": IDENTITY,
        "deep.one.input": IDENTITY,
        "deep.one.one": "LIF",
        "deep.one.output": IDENTITY,
        "deep.output": IDENTITY,
        "output": "Output",
    }
    way = ["input", "fc", "deep.input", "deep.one.input", "deep.one.one", "deep.one.output", "deep.output", "output"]
    assert sorted(graph.edges) == sorted(pairwise(way))
    assert graph.nodes["fc"].values["weight"].shape == (3, 4)
    assert not is_ours(file)


def change(name: str, value: Any) -> Callable[[h5py.File], None]:
    def act(file: h5py.File) -> None:
        if name in file:
            del file[name]
        if value is not None:
            file[name] = value

    return act


def contain_itself(file: h5py.File) -> None:
    file["node/nodes/deep/nodes/again"] = file["node"]


def contain_each_other_twice(file: h5py.File) -> None:
    """Thirty levels, each of which holds the next twice: a billion nodes in a small file."""
    group = file["node/nodes/deep"]
    for _ in range(30):
        nodes = group["nodes"]
        inner = nodes.create_group("left")
        inner["type"] = "NIRGraph"
        inner["edges"] = np.zeros((0, 2))
        inner.create_group("nodes")
        nodes["right"] = inner
        group = inner
    group["nodes"].create_group("end")["type"] = "Input"


def virtual(file: h5py.File) -> None:
    del file["node/nodes/fc/weight"]
    layout = h5py.VirtualLayout((3, 4), "f4")
    layout[:] = h5py.VirtualSource("/etc/hostname", "x", (3, 4))
    file["node/nodes/fc"].create_virtual_dataset("weight", layout)


def huge(file: h5py.File) -> None:
    del file["node/nodes/fc/weight"]
    file["node/nodes/fc"].create_dataset("weight", (1 << 20, 1 << 20), "f4", chunks=(1 << 10, 1 << 10))


def unpacks_to_gigabytes(file: h5py.File) -> None:
    del file["node/nodes/fc/weight"]
    file["node/nodes/fc"].create_dataset(
        "weight", (1 << 15, 1 << 14), "f8", compression="gzip", chunks=(1 << 15, 1 << 4)
    )


def is_all_chunks(file: h5py.File) -> None:
    del file["node/nodes/fc/weight"]
    file["node/nodes/fc"].create_dataset("weight", (1 << 23,), "f8", chunks=(64,), compression="gzip")


FC = "node/nodes/fc"


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (contain_itself, "contain itself"),
        (contain_each_other_twice, "stands elsewhere in the file"),
        (change("node/nodes/out", h5py.ExternalLink("/etc/hostname", "/")), "is a link to elsewhere"),
        (change("node/nodes/out", h5py.SoftLink("/node/nodes")), "is a link to elsewhere"),
        (virtual, f"{FC}/weight: is stored in another file"),
        (huge, f"{FC}/weight: has 1099511627776 values"),
        (unpacks_to_gigabytes, f"{FC}/weight: has 536870912 values"),
        (is_all_chunks, f"{FC}/weight: is stored in 131072 chunks"),
        (change(f"{FC}/weight", np.full((3, 4), np.nan)), rf"{FC}/weight: \[0, 0\] is nan, expected a finite number"),
        (change(f"{FC}/bias", np.array([0, np.inf, 0])), rf"{FC}/bias: \[1\] is inf, expected a finite number$"),
        (
            change("node/nodes/deep/nodes/one/nodes/one/tau", np.array([1e-3, np.inf, 1e-3])),
            r"one/tau: \[1\] is inf, expected a finite number: a neuron without a leak, .* beta = 1 makes in snnTorch",
        ),
        (change(f"{FC}/weight", "heavy"), f"{FC}/weight: is text, expected numbers"),
        (change(f"{FC}/bias", np.zeros(0)), f"{FC}/bias: holds no number"),
        (change(f"{FC}/weight", None), f"{FC}/weight: is missing"),
        (change(f"{FC}/type", 3), f"{FC}/type: holds values of type int64, expected text"),
        (change("node/edges", np.ones((4, 2))), "node/edges: holds numbers"),
        (change("node/edges", np.arange(7)), r"node/edges: has shape \(7,\)"),
        (change("node/edges", [["input", "fc", "deep"]]), r"node/edges: has shape \(1, 3\)"),
        (change("node/edges", [["input", "nowhere"]]), "there is no node 'nowhere'"),
        (change("node/edges", None), "node/edges: is missing"),
        (change("node/nodes", None), "node/nodes: is missing"),
        (change("node/metadata/dt", -1.0), "node/metadata/dt: is -1.0, expected a positive number"),
        (change("node/metadata/dt", "soon"), "node/metadata/dt: holds values of type object"),
        (change("node", None), "node: is missing"),
    ],
)
def test_a_hostile_or_damaged_graph_is_refused_with_the_place(
    damage: Callable[[h5py.File], None], complaint: str, file: Path
) -> None:
    with h5py.File(file, "r+") as content:
        damage(content)
    with pytest.raises(FormatError, match=f"g\\.nir: .*({complaint})"):
        read_graph(file)


def test_an_edge_to_a_graph_with_two_inputs_is_refused_because_it_could_mean_either(file: Path) -> None:
    with h5py.File(file, "r+") as content:
        content["node/nodes/deep/nodes/second/type"] = "Input"
    with pytest.raises(FormatError, match="the graph 'deep', which has 2 inputs or outputs"):
        read_graph(file)


def test_a_file_that_ends_early_is_refused_wherever_it_ends(file: Path) -> None:
    content = file.read_bytes()
    for end in range(0, len(content), 1777):
        file.write_bytes(content[:end])
        with pytest.raises(FormatError, match=r"g\.nir: "):
            read_graph(file)


def test_flipped_bytes_give_a_graph_or_a_format_error_and_nothing_else(file: Path) -> None:
    """In a process of its own, which libhdf5 may not take down with it, and in which it may not need a gigabyte."""
    content = bytearray(file.read_bytes())
    choose = random.Random(4)
    folder = file.parent / "flipped"
    folder.mkdir()
    for number in range(60):
        flipped = bytearray(content)
        for _ in range(choose.randint(1, 6)):
            flipped[choose.randrange(len(flipped))] = choose.randrange(256)
        (folder / f"{number}.nir").write_bytes(flipped)
    script = (
        "import sys; from pathlib import Path; from netx import FormatError\n"
        "from netx.nir_graph import read_graph\n"
        "for path in sorted(Path(sys.argv[1]).iterdir()):\n"
        "    try: read_graph(path)\n"
        "    except FormatError as error: assert str(path) in str(error)\n"
        "held = Path('/proc/self/status').read_text().partition('VmHWM:')[2].split()\n"  # ru_maxrss knows pytest's too
        "assert int(held[0]) < 1 << 20, held\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(folder)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
