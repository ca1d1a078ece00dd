"""A network's fingerprint: of its integers alone, in every file, and no trouble to those files' other readers."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import h5py
import nir
import numpy as np
import pytest

import netx
from netx import LIF, Accumulator, Concat, Conv2d, Dense, Flatten, Input, Layer, Network, Range, Shape
from netx.bundle import load, recorded, save
from netx.fingerprint import fingerprint, tool
from netx.nir_integers import write_nir_integers
from netx.stamp import read_stamp

ROOT = Path(netx.__file__).resolve().parents[1]


def small() -> Network:
    layers = (
        Layer("conv", ("x",), Conv2d([[[[1, -2]]]], padding=(0, 1)), LIF(3, [7])),
        Layer("flat", ("conv",), Flatten()),
        Layer("out", ("flat",), Dense([[1, 2, 3], [4, 5, 6]]), Accumulator()),
    )
    return Network((Input("x", Shape(1, 1, 2), Range(0, 3)),), layers, ("out",))


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def array(shape: str, *values: int) -> str:
    content = b"".join(value.to_bytes(4, "little", signed=True) for value in values)
    return f'{{"int32":"{hashlib.sha256(content).hexdigest()}","shape":{shape}}}'


def by_hand() -> str:
    """The fingerprint of ``small``, written out."""
    x = digest('{"input":0,"range":[0,3],"shape":[1,1,2]}')
    lif = (
        f'{{"bias":{array("[1]", 7)},"bias_exponent":6,"current_decay":4096,"kind":"LIF","refractory":0,'
        '"reset_interval":null,"reset_offset":0,"threshold":3,"voltage_decay":4096}'
    )
    conv_synapse = (
        '{"dilation":[1,1],"groups":1,"kind":"Conv2d","padding":[0,1],"stride":[1,1],'
        f'"weight":{array("[1,1,1,2]", 1, -2)},"weight_exponent":0}}'
    )
    conv = digest(f'{{"inputs":["{x}"],"neuron":{lif},"synapse":{conv_synapse}}}')
    flat = digest(f'{{"inputs":["{conv}"],"neuron":null,"synapse":{{"kind":"Flatten"}}}}')
    dense = (
        f'{{"delay":{array("[1,1]", 0)},"kind":"Dense","weight":{array("[2,3]", 1, 2, 3, 4, 5, 6)},'
        '"weight_bits":null,"weight_exponent":0}'
    )
    none = f'{{"bias":{array("[0]")},"kind":"Accumulator"}}'
    out = digest(f'{{"inputs":["{flat}"],"neuron":{none},"synapse":{dense}}}')
    layers = ",".join(f'"{one}"' for one in sorted((conv, flat, out)))
    return digest(f'{{"fingerprint":1,"inputs":["{x}"],"layers":[{layers}],"outputs":["{out}"]}}')


def test_it_is_what_its_description_says_by_hand() -> None:
    assert fingerprint(small()) == by_hand()


@pytest.mark.parametrize("name", ["a.net", "a.nir", "net-folder", "nir-folder", "integers.nir"])
def test_every_file_records_it_and_gives_it_back(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    if name.startswith("integers"):
        write_nir_integers(small(), path)
    else:
        save(small(), path, "nir" if name.startswith("nir") else "net")
    stamp = read_stamp(path, load(path))
    assert stamp.recorded == stamp.fingerprint == by_hand()
    assert stamp.tool == tool()
    assert not stamp.changed
    assert str(stamp) == f"fingerprint {by_hand()}, written by {tool()}"


def test_names_and_the_order_of_independent_layers_are_none_of_it() -> None:
    one = Layer("one", ("x",), Conv2d([[[[1]]]]), LIF(1))
    two = Layer("two", ("x",), Conv2d([[[[2]]]]), LIF(1))
    both = Layer("both", ("one", "two"), Concat())
    source = Input("x", Shape(1, 2, 2))
    first = Network((source,), (one, two, both), ("both",))
    second = Network((source,), (two, one, both), ("both",))
    renamed = Network(
        (replace(source, name="image"),),
        (
            replace(one, name="a", inputs=("image",)),
            replace(two, name="b", inputs=("image",)),
            replace(both, name="c", inputs=("a", "b")),
        ),
        ("c",),
    )
    swapped = Network((source,), (one, two, replace(both, inputs=("two", "one"))), ("both",))
    assert fingerprint(first) == fingerprint(second) == fingerprint(renamed)
    assert fingerprint(swapped) != fingerprint(first)


def test_every_integer_counts() -> None:
    network = small()
    conv, flat, out = network.layers
    assert isinstance(conv.neuron, LIF)
    assert isinstance(conv.synapse, Conv2d)
    changed = [
        replace(conv, neuron=replace(conv.neuron, threshold=4)),
        replace(conv, neuron=replace(conv.neuron, bias=[8])),
        replace(conv, neuron=replace(conv.neuron, voltage_decay=4095)),
        replace(conv, neuron=replace(conv.neuron, refractory=1)),
        replace(conv, synapse=replace(conv.synapse, weight=[[[[1, -1]]]])),
        replace(conv, synapse=replace(conv.synapse, weight_exponent=1)),
    ]
    networks = [network, *(Network(network.inputs, (layer, flat, out), ("out",)) for layer in changed)]
    networks.append(Network((Input("x", Shape(1, 1, 2), Range(0, 4)),), network.layers, ("out",)))
    networks.append(Network(network.inputs, network.layers, ("out", "conv")))
    assert len({fingerprint(one) for one in networks}) == len(networks)


def test_a_file_that_was_changed_says_so(tmp_path: Path) -> None:
    save(small(), tmp_path / "a.net")
    with h5py.File(tmp_path / "a.net", "r+") as file:
        file["layer/1/neuron/vThMant"][()] = 4
    stamp = read_stamp(tmp_path / "a.net", load(tmp_path / "a.net"))
    assert stamp.changed
    assert stamp.recorded == by_hand()
    assert "was changed after monospike" in str(stamp)


def test_files_without_one_are_read_as_before(tmp_path: Path) -> None:
    save(small(), tmp_path / "a.net")
    save(small(), tmp_path / "a.nir")
    save(small(), tmp_path / "folder")
    with h5py.File(tmp_path / "a.net", "r+") as file:
        del file["monospike"].attrs["fingerprint"], file["monospike"].attrs["tool"]
    with h5py.File(tmp_path / "a.nir", "r+") as file:
        del file["node/metadata/fingerprint"], file["node/metadata/tool"]
    manifest = tmp_path / "folder" / "manifest.json"
    content = json.loads(manifest.read_text())
    del content["fingerprint"], content["tool"]
    manifest.write_text(json.dumps(content))
    for name in ("a.net", "a.nir", "folder"):
        assert load(tmp_path / name) == small()
        assert recorded(tmp_path / name) == {}
        assert str(read_stamp(tmp_path / name, small())) == f"fingerprint {by_hand()}, none is recorded"


def test_nir_itself_reads_it_as_metadata(tmp_path: Path) -> None:
    save(small(), tmp_path / "a.nir")
    graph = nir.read(tmp_path / "a.nir")
    assert graph.metadata["fingerprint"] == by_hand()
    assert graph.metadata["tool"] == tool()
    nir.write(tmp_path / "again.nir", graph)  # and it survives a way through nir
    assert recorded(tmp_path / "again.nir")["fingerprint"] == by_hand()


def test_lava_dls_own_loader_does_not_mind(tmp_path: Path) -> None:
    pytest.importorskip("lava.lib.dl.netx", reason="lava-dl is not installed")
    save(small(), tmp_path / "a.net")
    script = (
        "import os, sys\n"
        "from lava.lib.dl.netx.hdf5 import Network\n"
        "network = Network(net_config=sys.argv[1])\n"
        "print(len(network.layers), int(network.layers[0].neuron.vth.init))\n"
        "sys.stdout.flush(); os._exit(0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "a.net")],
        capture_output=True,
        text=True,
        timeout=200,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "2 3"
    assert np.array(recorded(tmp_path / "a.net")["fingerprint"]) == by_hand()
