"""What lava-dl's loader makes of its files is what is read here: weights as they are truncated, delays, resets, kinds.

Lava networks are only built in a child process, and never run: an unfinished one would keep the interpreter alive.
"""

import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

import netx
from netx import (
    LIF,
    Accumulator,
    Conv2d,
    Delta,
    Dense,
    Direct,
    FormatError,
    NetworkError,
    Range,
    Recurrent,
    Shape,
    Sigma,
    SigmaDelta,
)
from netx.lava_dl import loaded_dense
from netx.net_file import read_net
from sim.engine import run

ROOT = Path(netx.__file__).resolve().parents[1]
LIF_NEURON = {"type": "CUBA", "iDecay": 300, "vDecay": 200, "vThMant": 50, "refDelay": 1, "gradedSpike": False}

LOAD = """
import os, sys
from pathlib import Path
import numpy as np
from lava.lib.dl.netx.hdf5 import Network
from lava.lib.dl.netx.utils import optimize_weight_bits
from lava.utils.weightutils import clip_weights, determine_sign_mode, truncate_weights

def truncated(weight, bits):
    # What Lava's fixed-point Dense does to its weights on the first step (lava-nc, proc/dense/models.py).
    mode = determine_sign_mode(weight)
    return truncate_weights(clip_weights(weight, mode, num_bits=8), mode, bits)

def described(block):
    found = {"neuron": type(block.neuron).__name__}
    for name in ("vth", "du", "dv", "spike_exp", "state_exp", "bias", "bias_mant"):
        if hasattr(block.neuron, name):
            found[name] = getattr(block.neuron, name).init
    for name in ("reset_interval", "reset_offset"):
        if name in block.neuron.proc_params._parameters:
            found[name] = block.neuron.proc_params[name]
    for name in ("synapse", "synapse_rec"):
        synapse = getattr(block, name, None)
        if synapse is not None and hasattr(synapse, "weights"):
            parameters = synapse.proc_params
            weight = truncated(synapse.weights.init, parameters["num_weight_bits"])
            found[name] = weight * 2.0 ** parameters["weight_exp"]
            if hasattr(synapse, "delays"):
                found["delays"] = synapse.delays.init
    return found

folder, found = Path(sys.argv[1]), {}
with np.load(folder / "weights.npz") as weights:
    for name in weights:
        scaled, bits, exponent, _ = optimize_weight_bits(weights[name])
        found[f"weights/{name}"] = truncated(scaled, bits) * 2.0**exponent
for path in folder.glob("*.net"):
    network = Network(net_config=str(path), reset_interval=7, reset_offset=3)
    for index, block in enumerate(network.layers):
        found |= {f"{path.stem}/{index}/{name}": value for name, value in described(block).items()}
np.savez(folder / "found.npz", **found)
sys.stdout.flush()
os._exit(0)
"""


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A folder of files that lava-dl can load, and weights."""
    folder = tmp_path_factory.mktemp("lava_dl")
    np.savez(folder / "weights.npz", **drawn_weights())
    write_every_kind(folder / "every.net")
    write_sigma_delta(folder / "sdnn.net")
    write(folder / "bare.net", pixels([3], LIF_NEURON), dense(2, 3, [[2, 4, 6], [1, -2, 3]], neuron=None))
    return folder


@pytest.fixture(scope="module")
def found(files):
    """What lava-dl makes of them. Its import takes seconds, so that all are loaded at once."""
    pytest.importorskip("lava.lib.dl.netx", reason="lava-dl is not installed")
    child = subprocess.run(
        [sys.executable, "-c", LOAD, str(files)],
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=200,
        start_new_session=True,
    )
    assert child.returncode == 0, child.stderr
    with np.load(files / "found.npz") as arrays:
        return dict(arrays)


def write(path, *layers):
    """A file as lava-dl writes it; a nested mapping is a group."""
    with h5py.File(path, "w") as file:
        for index, layer in enumerate(layers):
            for name, value in layer.items():
                if name == "neuron":
                    for key, inner in value.items():
                        file[f"layer/{index}/neuron/{key}"] = inner
                elif name == "type":
                    file.create_dataset(f"layer/{index}/type", (1,), "S10", [value.encode()])
                else:
                    file[f"layer/{index}/{name}"] = value
    return path


def dense(out, into, weight, kind="dense", neuron=LIF_NEURON, **more):
    given = {} if neuron is None else {"neuron": neuron}
    sizes = {"type": kind, "shape": [out], "inFeatures": into, "outFeatures": out}
    return {**sizes, "weight": np.asarray(weight, np.float32), **given, **more}


def pixels(shape, neuron=None):
    return {"type": "input", "shape": shape, "bias": [3.0], "weight": [5.0], **({"neuron": neuron} if neuron else {})}


def drawn_weights():
    """Of all signs and sizes, and those that lava-dl's scaling or Lava's truncation changes."""
    rng = np.random.default_rng(2)
    ends = [(-256, 255), (-256, 1), (-255, 0), (0, 256), (-3, 4), (-128, 128), (-200, -1), (-1, 1), (1, 2), (-9, 1)]
    weights = {f"{n}": rng.integers(*ends[n % len(ends)], (3, 5)) * (1 + n // 20 % 2) for n in range(80)}
    weights = {n: np.clip(weight, -256, 255) for n, weight in weights.items() if weight.any()}
    return weights | {
        "low": np.full((1, 2), -256),
        "mixed": np.array([[-256, 255]]),
        "zero_top": np.array([[-254, 0]]),
    }


@pytest.mark.lava
def test_dense_weights_are_those_that_lava_is_left_with(found):
    inexact = 0
    for name, weight in drawn_weights().items():
        loaded = loaded_dense(weight.astype(np.int32))
        ours = loaded.effective_weight * 2.0**loaded.weight_exponent
        np.testing.assert_array_equal(ours, found[f"weights/{name}"], err_msg=str(weight))
        inexact += not np.array_equal(ours, weight)
        assert loaded == Dense(weight) or not np.array_equal(ours, weight)
    assert inexact > 5


def test_weights_that_are_all_zero_stay_so():
    assert loaded_dense(np.zeros((2, 3), np.int32)) == Dense(np.zeros((2, 3)))


def write_every_kind(path):
    rng = np.random.default_rng(4)
    weights = [rng.integers(-100, 100, size) * 2 for size in ((4, 6), (5, 4), (5, 5), (3, 5), (2, 3))]
    delay = np.array([0, 3, 70, 1.7])
    write(
        path,
        pixels([6], LIF_NEURON),
        dense(4, 6, weights[0], delay=delay, bias=[1.0, 2, 3, 4]),
        dense(5, 4, weights[1], "dense_rec", weight_rec=weights[2].astype(np.float32)),
        dense(3, 5, weights[3], neuron={**LIF_NEURON, "vThMant": 262143, "iDecay": 4096, "vDecay": 4096}),
    )


@pytest.mark.lava
def test_a_file_of_every_kind_of_layer_is_loaded_alike(files, found):
    network = read_net(files / "every.net").with_reset(7, 3)
    found = {name.removeprefix("every/"): value for name, value in found.items()}
    names = [layer.name for layer in network.layers]
    assert names == ["input0", "dense1", "dense_rec2", "dense3"]
    first, delayed, recurrent, last = network.layers
    assert first.synapse == Direct()
    assert first.neuron == LIF(50, current_decay=4096, voltage_decay=200, reset_interval=7, reset_offset=3)
    assert isinstance(delayed.synapse, Dense)
    assert isinstance(recurrent.synapse, Recurrent)
    assert last.neuron == Accumulator()
    np.testing.assert_array_equal(delayed.synapse.weight, found["1/synapse"])
    np.testing.assert_array_equal(np.broadcast_to(delayed.synapse.delay, (4, 6)), found["1/delays"])
    assert delayed.synapse.delay.ravel().tolist() == [0, 3, 62, 1]
    np.testing.assert_array_equal(recurrent.synapse.forward.weight, found["2/synapse"])
    np.testing.assert_array_equal(recurrent.synapse.feedback.weight, found["2/synapse_rec"])
    np.testing.assert_array_equal(delayed.neuron.bias, found["1/bias_mant"])
    for index, layer in enumerate(network.layers[:3]):
        assert (found[f"{index}/du"], found[f"{index}/dv"], found[f"{index}/vth"]) == (299, 200, 50)
        # Lava counts steps from 1, and a frame arrives as many steps late as the layer is deep.
        steps = layer.neuron.reset_offset + network.depth(layer.name) + 1
        assert (steps % 7, 7) == (found[f"{index}/reset_offset"] % 7, found[f"{index}/reset_interval"])


KERNEL = np.arange(-8, 10).reshape(1, 2, 3, 3) * 2


def write_sigma_delta(path):
    neuron = {"type": "SDNN", "vThMant": 9, "activation": "relu"}
    conv = {"type": "conv", "shape": [1, 2, 2], "inChannels": 2, "outChannels": 1, "groups": 1, "bias": [4.0]}
    conv |= {name: [size, size] for name, size in (("kernelSize", 3), ("stride", 1), ("padding", 0), ("dilation", 1))}
    write(
        path,
        pixels([2, 4, 4], {**neuron, "messageBits": 12}),
        {**conv, "weight": KERNEL[..., None].astype(np.float32), "neuron": {**neuron, "vThMant": 3}},
        {"type": "flatten", "shape": [4, 1, 1]},
        dense(1, 4, [2, 4, 6, 8], neuron={**neuron, "sigma_output": True}),
    )


@pytest.mark.lava
def test_sigma_delta_layers_are_loaded_alike(files, found):
    network = read_net(files / "sdnn.net")
    assert network.inputs[0].range == Range(-32768, 32767)
    assert network.layer("input0").neuron == Delta(9, 6, 6, 12)
    assert network.layer("conv1").neuron == SigmaDelta(3, [4], 6, 6)
    assert network.layer("conv1").synapse == Conv2d(KERNEL)
    assert network.layer("dense3").neuron == Sigma()
    found = {name.removeprefix("sdnn/"): value for name, value in found.items()}
    assert [found[f"{i}/neuron"] for i in range(3)] == ["Delta", "SigmaDelta", "Sigma"]
    assert [int(found[f"{i}/{name}"]) for i in (0, 1) for name in ("spike_exp", "state_exp")] == [6] * 4
    assert (int(found["0/vth"]), int(found["1/vth"])) == (9 << 12, 3 << 12)
    assert (found["1/bias"] == 4 << 12).all()


@pytest.mark.lava
def test_a_dense_layer_without_neurons_integrates_for_ever(files, found):
    neuron = read_net(files / "bare.net").layers[-1].neuron
    expected = found["bare/1/vth"], found["bare/1/du"] + 1, found["bare/1/dv"]
    assert (neuron.threshold, neuron.current_decay, neuron.voltage_decay) == expected


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (dense(2, 3, np.ones((2, 3)), delay=[1, 2, 3, 4]), "layer/1: delay: shape"),
        (dense(2, 3, np.ones((2, 3)), "dense_rec", weight_rec=np.ones((2, 3))), "layer/1/weight_rec: has shape"),
        (dense(2, 3, np.ones((2, 3)), "dense_rec"), "layer/1/weight_rec: is missing"),
        (dense(2, 3, np.ones((2, 3)), "dense_rec", weight_rec=np.ones((2, 2)), delay=[1, 2]), "layer/1/delay: delays"),
        (dense(2, 3, np.ones((2, 3)), "dense_comp"), "layer: layer 1: type 'dense_comp' is not supported"),
        (dense(2, 3, np.full((2, 3), 700)), "layer/1: weight"),
        (
            dense(2, 3, np.ones((2, 3)), neuron={"type": "RF", "vThMant": 1}),
            "layer: layer 1: 'RF' neurons are not",
        ),
        (dense(2, 3, np.ones((2, 3)), neuron={"type": "SDNN", "vThMant": -1}), "layer/1: threshold"),
        (dense(2, 3, np.ones((2, 3)), neuron={"type": "SDNN"}), "layer/1/neuron/vThMant: is missing"),
        (pixels([3], LIF_NEURON), "layer/1: an input layer after the first"),
    ],
)
def test_what_lava_dl_would_not_load_is_refused_with_its_place(layer, message, tmp_path):
    path = write(tmp_path / "wrong.net", pixels([3], LIF_NEURON), layer)
    with pytest.raises(FormatError, match=f"wrong\\.net: {message}"):
        read_net(path)


@pytest.mark.parametrize(("delay", "silent"), [(1, 0), (4, 3)])
def test_a_refractory_delay_is_one_more_than_the_silent_steps(delay, silent, tmp_path):
    layer = dense(2, 3, np.ones((2, 3)), neuron={**LIF_NEURON, "refDelay": delay})
    assert read_net(write(tmp_path / "n.net", pixels([3]), layer)).layers[0].neuron.refractory == silent


def test_a_file_may_be_read_up_to_a_layer(tmp_path):
    odd = [{"type": "kwta", "shape": [2]}, {"type": "concat", "shape": [2]}]
    path = write(tmp_path / "long.net", pixels([3]), dense(2, 3, np.ones((2, 3))), *odd)
    with pytest.raises(FormatError, match=r"layer 2: type 'kwta'.*; layer 3: type 'concat'.*before layer 2 can be"):
        read_net(path)
    network = read_net(path, layers=2)
    assert network.shape(network.outputs[0]) == Shape(2, 1, 1)
    assert network.inputs[0].range == Range(0, 1)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LIF(1, reset_interval=0), "reset interval"),
        (lambda: LIF(1, refractory=-1), "refractory period"),
        (lambda: LIF(262144), "threshold"),
        (lambda: Delta(-1), "threshold"),
        (lambda: Delta(1, spike_exponent=9), "spike exponent"),
        (lambda: SigmaDelta(1, message_bits=25), "message bits"),
        (lambda: SigmaDelta(1 << 20), "threshold"),
        (lambda: Dense([[1, 2]], weight_bits=10), "weight bits"),
        (lambda: Dense([[1, 2]], delay=[[63]]), "delay"),
        (lambda: Dense([[1, 2]], delay=[[1, 2, 3]]), "delay: shape"),
        (lambda: Recurrent(Dense([[1, 2]]), Dense([[1, 2]])), "feedback weight: expected shape"),
        (lambda: netx.Layer("a", ("x",), Recurrent(Dense([[1]]), Dense([[1]])), Sigma()), "only LIF neurons spike"),
        (lambda: netx.Layer("a", ("x",), Direct()), "layer 'a': Direct cannot have no neuron"),
    ],
)
def test_what_cannot_be_is_refused_when_it_is_made(make, message):
    with pytest.raises(NetworkError, match=message):
        make()


def test_delays_of_zero_are_none_and_equal():
    assert Dense([[1, 2]], delay=[[0, 0]]) == Dense([[1, 2]])
    assert Dense([[1, 2]], delay=[[0, 1]]) != Dense([[1, 2]])


def test_a_read_out_that_a_layer_reads_sends_nothing_as_in_lava_where_it_never_spikes(tmp_path):
    read_out = {**LIF_NEURON, "iDecay": 4096, "vDecay": 4096, "vThMant": 262143}
    with h5py.File(tmp_path / "n.net", "w") as file:
        for index, neuron in enumerate((read_out, read_out)):
            layer = {"type": "dense", "shape": [2], "inFeatures": 2, "outFeatures": 2, "weight": [[6, 8], [2, 4]]}
            for name, value in layer.items():
                file[f"layer/{index}/{name}"] = value
            for name, value in neuron.items():
                file[f"layer/{index}/neuron/{name}"] = value
    network = read_net(tmp_path / "n.net", Shape(2, 1, 1))
    recording = run(network, {"input": np.ones((1, 2, 1, 1), np.int32)})
    assert [type(layer.neuron) for layer in network.layers] == [LIF, Accumulator]
    assert not recording.membranes["dense1"].any()


def test_an_average_of_more_values_than_memory_holds_is_refused(tmp_path):
    with h5py.File(tmp_path / "n.net", "w") as file:
        file["layer/0/type"], file["layer/0/shape"] = "input", [60000, 20000, 1]
        file["layer/1/type"], file["layer/1/shape"] = "average", [1]
    with pytest.raises(FormatError, match="layer/1: averages 60000x20000x1: more than 16777216 values"):
        read_net(tmp_path / "n.net")
