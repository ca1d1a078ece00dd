"""What a reader cannot run is refused in its name, all at once, and leaves nothing behind."""

import json

import h5py
import nir
import numpy as np
import pytest

from netx import (
    LIF,
    Accumulator,
    Concat,
    Conv2d,
    Correlation,
    Delta,
    Dense,
    FormatError,
    Input,
    Layer,
    Network,
    Range,
    Shape,
    Upsample,
)
from netx.bundle import load
from netx.export import READERS, export, usage

ONE = Conv2d([[[[2]]]])
X = Input("x", Shape(1, 4, 4))


def chain(*neurons, synapse=ONE, source=X):
    layers, before = [], source.name
    for index, neuron in enumerate(neurons):
        layers.append(Layer(f"n{index}", (before,), synapse, neuron))
        before = f"n{index}"
    return Network((source,), tuple(layers), (before,))


@pytest.mark.parametrize("reader", READERS)
def test_a_memoryless_chain_is_written_for_every_reader_and_comes_back_equal(reader, tmp_path):
    network = chain(LIF(1), LIF(3), Accumulator([4]))
    path = tmp_path / ("n.net" if reader == "lava" else "n.nir")
    export(network, path, reader)
    assert load(path) == network


def test_sinabs_gets_neurons_that_it_can_read_and_others_leaky_ones(tmp_path):
    kinds = {}
    for reader in ("norse", "sinabs"):
        export(chain(LIF(1)), tmp_path / f"{reader}.nir", reader)
        kinds[reader] = type(nir.read(tmp_path / f"{reader}.nir").nodes["neuron_n0"])
    assert kinds == {"norse": nir.LIF, "sinabs": nir.IF}


def test_parameters_are_those_with_which_a_readers_defaults_are_right(tmp_path):
    """norse steps by 1e-3 s, spikingjelly by 1e-4 s with r = 1 / dt. nir 1.0.4, which sinabs wants, takes no v_reset,
    and no metadata in a Conv2d."""
    stored = {}
    for reader in ("norse", "snntorch", "sinabs", "spikingjelly"):
        export(chain(LIF(1)), tmp_path / f"{reader}.nir", reader)
        with h5py.File(tmp_path / f"{reader}.nir") as file:
            neurons, synapse = (file[f"node/nodes/{name}_n0"] for name in ("neuron", "synapse"))
            stored[reader] = (
                neurons["type"][()].decode(),
                {name: float(neurons[name][()].flat[0]) for name in ("tau", "r", "v_reset") if name in neurons},
            )
            assert ("metadata" in synapse) == (reader != "sinabs")
            assert float(file["node/metadata/dt"][()]) == (1e-3 if reader == "norse" else 1e-4)
    assert stored == {
        "norse": ("LIF", {"tau": pytest.approx(1e-3), "r": 1.0, "v_reset": 0.0}),
        "snntorch": ("LIF", {"tau": pytest.approx(1e-4), "r": 1.0, "v_reset": 0.0}),
        "sinabs": ("IF", {"r": 1.0}),
        "spikingjelly": ("IF", {"r": 1e4, "v_reset": 0.0}),
    }


def test_how_a_file_is_read_is_kept_in_it_and_in_the_manifest_of_a_folder(tmp_path):
    network = chain(LIF(1), source=Input("x", Shape(3, 4, 5)), synapse=Conv2d(np.full((1, 3, 1, 1), 2)))
    said = usage(network, "norse")
    assert said["call"] == "norse.torch.from_nir(nir.read(FILE))"
    assert "(batch, channel, height, width): x (batch, 3, 4, 5), float32" in said["frames"]
    assert "(width, height, channel): x (5, 4, 3)" in usage(network, "lava")["frames"]
    export(network, tmp_path / "n.nir", "norse")
    with h5py.File(tmp_path / "n.nir") as file:
        assert {key: file[f"node/metadata/{key}"][()].decode() for key in said} == said
    export(network, tmp_path / "folder", "norse")
    assert json.loads((tmp_path / "folder" / "manifest.json").read_text())["notes"] == said
    assert load(tmp_path / "folder") == network


def test_files_for_sinabs_with_a_reset_and_records_in_their_nodes_are_read_as_before(tmp_path):
    network = chain(LIF(1), LIF(3))
    export(network, tmp_path / "n.nir", "sinabs")
    with h5py.File(tmp_path / "n.nir", "a") as file:
        nodes, metadata = file["node/nodes"], file["node/metadata"]
        for name in ("n0", "n1"):
            nodes[f"neuron_{name}/v_reset"] = np.zeros((1, 4, 4), np.float32)
            for key in [key for key in metadata if key.startswith(f"synapse_{name}.")]:
                metadata.move(key, f"/node/nodes/synapse_{name}/metadata/{key.partition('.')[2]}")
    assert load(tmp_path / "n.nir") == network


@pytest.mark.parametrize("reader", READERS)
def test_several_inputs_become_a_folder_of_files_that_load_each(reader, tmp_path):
    network = Network(
        (Input("a", Shape(1, 4, 4)), Input("b", Shape(1, 4, 4))),
        (
            Layer("a1", ("a",), ONE, LIF(1)),
            Layer("b1", ("b",), ONE, LIF(1)),
            Layer("ab", ("a1", "b1"), Concat()),
            Layer("up", ("ab",), Upsample(2)),
            Layer("end", ("up",), Conv2d(np.full((1, 2, 1, 1), 2)), LIF(1)),
        ),
        ("end",),
    )
    export(network, tmp_path / "folder", reader)
    assert load(tmp_path / "folder") == network
    for part in sorted((tmp_path / "folder").glob("*.n*t" if reader == "lava" else "*.nir")):
        assert len(load(part).inputs) == 1
    said = f"{reader} cannot run this network: it has 2 inputs .*'ab' is a Concat.*'up' is a Upsample"
    with pytest.raises(FormatError, match=said):
        export(network, tmp_path / ("n.net" if reader == "lava" else "n.nir"), reader)
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def correlating():
    layers = (Layer("t", ("x",), ONE, LIF(1)), Layer("both", ("y", "t"), Correlation(3), LIF(1)))
    return Network((X, Input("y", Shape(1, 8, 8))), layers, ("both",))


@pytest.mark.parametrize(
    ("reader", "network", "complaint"),
    [
        ("norse", chain(LIF(1, current_decay=400), LIF(2, voltage_decay=9)), "norse .*'n0' remembers.*'n1' remembers"),
        ("snntorch", chain(LIF(1, reset_interval=3)), "snntorch .*'n0' has a reset interval"),
        ("sinabs", correlating(), "sinabs .*'both' is a correlation"),
        ("lava", chain(Delta(3)), "lava .*'n0' is a Delta"),
        ("lava", chain(LIF(1, refractory=2)), "lava .*'n0' has a reset interval or refractory"),
        (
            "norse",
            chain(LIF(1), synapse=Conv2d([[[[255]]]]), source=Input("x", Shape(1, 2, 2), Range(0, 1 << 17))),
            "norse .*'n0' has sums of up to 33423360, which Lava wraps beyond 131071",
        ),
        # Lava's current is 200000 - 262144 then, and no spike; a reader's float is 200000, and one.
        (
            "norse",
            chain(LIF(1), synapse=Dense(np.full((1, 1000), 200)), source=Input("x", Shape(1000, 1, 1))),
            "norse .*'n0' has sums of up to 200000, which Lava wraps beyond 131071",
        ),
        (
            "snntorch",
            Network((Input("x", Shape(2, 1, 1)),), (Layer("d", ("x",), Dense([[1, 2]], delay=[[3]]), LIF(1)),), ("d",)),
            "snntorch .*'d' has delays",
        ),
    ],
)
def test_what_a_reader_cannot_run_is_refused_in_its_name(reader, network, complaint, tmp_path):
    with pytest.raises(FormatError, match=complaint):
        export(network, tmp_path / "out", reader)
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_the_other_format_is_refused(tmp_path):
    with pytest.raises(FormatError, match=r"norse reads \.nir files"):
        export(chain(LIF(1)), tmp_path / "n.net", "norse")


def test_what_the_format_itself_refuses_is_said_with_the_reader(tmp_path):
    network = chain(LIF(1), synapse=Conv2d(np.ones((1, 1, 3, 2), int)))
    with pytest.raises(FormatError, match=r"kernel cannot be made square .*exported for norse"):
        export(network, tmp_path / "n.nir", "norse")
