"""What lava-dl's and lava-nc's wheels recorded of their own networks comes out of the engine, value for value.

The wheels install their tests, recordings included, as the package ``tests.lava``. Time offsets are named with each
recording: it was made with the pipeline's latency or without, and some begin one step later.
"""

import sysconfig
from pathlib import Path

import numpy as np
import pytest

from netx import LIF, Conv2d, Delta, Dense, Direct, Input, Layer, Network, Range, Sigma, SigmaDelta
from netx.net_file import read_net
from sim import engine
from sim.lava.states import states

WHEELS = Path(sysconfig.get_paths()["purelib"]) / "tests" / "lava"
NETX = WHEELS / "lib" / "dl" / "netx"
GRADED = Range(-(1 << 20), 1 << 20)

pytestmark = pytest.mark.skipif(not NETX.is_dir(), reason="lava-dl's wheel with its recordings is not installed")


def recorded(name):
    """A recording as (step, channel, height, width); Lava's own order is (column, row, channel, step)."""
    values = np.load(NETX / "gts" / name, allow_pickle=False)
    assert (values == np.floor(values)).all()
    values = values.astype(np.int64)
    return values.transpose(3, 2, 1, 0) if values.ndim == 4 else values.T[:, :, None, None]


def held(frame, steps):
    """One frame (column, row, channel) at every step, as (step, channel, height, width)."""
    frame = np.asarray(frame).transpose(2, 1, 0).astype(int)
    return np.broadcast_to(frame, (steps, *frame.shape))


PILOTNET_LAYERS = {f"conv-{i}": f"conv{i + 1}" for i in range(5)} | {f"fc-{i}": f"dense{i + 7}" for i in range(3)}


@pytest.fixture(scope="module")
def pilotnet():
    """PilotNet-LIF on its image for the 24 recorded steps, in Lava's time, with the reset every 17 steps seen there."""
    network = read_net(NETX / "gts/pilotnet_lif/network.net").with_reset(17)
    image = np.load(NETX / "gts/pilotnet_lif/image.npy")
    return engine.trace(network, {"input": held(image, 24)}, pipelined=True)


def test_pilotnet_lif_encodes_its_image_as_recorded(pilotnet):
    """Without any offset. ``input-s`` is of another run, which was reset after 16 steps."""
    np.testing.assert_array_equal(pilotnet["input0"].output, recorded("pilotnet_lif/input.npy"))
    network = read_net(NETX / "gts/pilotnet_lif/network.net").with_reset(16).subnetwork(["input0"])
    image = np.load(NETX / "gts/pilotnet_lif/image.npy")
    trace = engine.trace(network, {"input": held(image, 24)})
    np.testing.assert_array_equal(trace["input0"].output, recorded("pilotnet_lif/input-s.npy"))


@pytest.mark.parametrize("file", PILOTNET_LAYERS)
def test_pilotnet_lif_has_the_recorded_currents_voltages_and_spikes(file, pilotnet):
    """Without any offset to Lava's own time: a layer of depth d is d steps late.

    The voltage was read from the chip, which keeps a count of 128 in the place of a neuron that has just spiked where
    Lava keeps 0; it is told apart by the spikes, and is 128 nowhere but there.
    """
    trace = pilotnet[PILOTNET_LAYERS[file]]
    np.testing.assert_array_equal(trace.states["u"], recorded(f"pilotnet_lif/{file}-u.npy"))
    np.testing.assert_array_equal(trace.output, recorded(f"pilotnet_lif/{file}.npy"))
    assert trace.output.any() or file == "fc-2"
    voltage = np.where(trace.output == 1, 128, trace.states["v"])
    np.testing.assert_array_equal(voltage, recorded(f"pilotnet_lif/{file}-v.npy"))


@pytest.mark.lava
@pytest.mark.usefixtures("traces")
def test_pilotnet_lif_is_lavas_in_every_variable_also_where_the_recording_is_the_chips(pilotnet):
    """The proof that Lava itself holds 0 where 128 was recorded: its stock models, all layers."""
    network = read_net(NETX / "gts/pilotnet_lif/network.net").with_reset(17)
    image = np.load(NETX / "gts/pilotnet_lif/image.npy")
    [lava] = states([(network, {"input": held(image, 6)})])
    assert list(lava) == list(pilotnet)
    for layer, kinds in lava.items():
        ours = {"activation": pilotnet[layer].activation, "output": pilotnet[layer].output, **pilotnet[layer].states}
        for kind, values in kinds.items():
            np.testing.assert_array_equal(ours[kind][:6], values, err_msg=f"{kind} of {layer}")
    spiking = lava["conv1"]["output"] == 1
    assert not lava["conv1"]["v"][spiking].any()
    assert (recorded("pilotnet_lif/conv-0-v.npy")[:6][spiking] == 128).all()


@pytest.mark.lava
@pytest.mark.usefixtures("traces")
def test_pilotnet_lifs_last_recording_is_not_what_lava_makes_of_the_layer_before(pilotnet):
    """``fc-3`` does not follow from the recorded spikes of ``fc-2``, which the engine has too: Lava agrees with it."""
    network = read_net(NETX / "gts/pilotnet_lif/network.net").with_reset(17)
    spikes = recorded("pilotnet_lif/fc-2.npy")
    np.testing.assert_array_equal(pilotnet["dense9"].output, spikes)
    last = Network((Input("dense9", (10, 1, 1)),), (network.layer("dense10"),), ("dense10",))
    [lava] = states([(last, {"dense9": spikes})])
    # Alone the layer is of depth 1, where it was of depth 9: its reset every 17 steps is at other steps of Lava's.
    np.testing.assert_array_equal(lava["dense10"]["u"], pilotnet["dense10"].states["u"])
    differing = (lava["dense10"]["u"] != recorded("pilotnet_lif/fc-3-u.npy")[:24]).sum()
    assert differing == 5


@pytest.fixture(scope="module")
def sigma_delta_input():
    """What PilotNet-SDNN's delta encoder was recorded to send, and its input for as many steps."""
    return recorded("pilotnet_sdnn/act0.npy"), held(np.load(NETX / "gts/pilotnet_sdnn/input.npy")[..., 0], 20)


def test_pilotnet_sdnn_gives_the_recorded_output(sigma_delta_input):
    """Without any offset to Lava's own time, in all nine recorded steps, and so the messages of the encoder."""
    messages, frames = sigma_delta_input
    network = read_net(NETX / "gts/pilotnet_sdnn/network.net")
    trace = engine.trace(network, {"input": frames}, pipelined=True)
    np.testing.assert_array_equal(trace["dense9"].output[:9], recorded("pilotnet_sdnn/output.npy"))
    np.testing.assert_array_equal(trace["input0"].output, messages)
    for layer in (1, 2):
        expected = recorded(f"pilotnet_sdnn/sigma{layer}.npy")
        np.testing.assert_array_equal(trace[f"conv{layer}"].states["sigma"], expected)


def test_the_square_pilotnet_sdnn_has_the_recorded_sums(sigma_delta_input):
    """Without any offset to Lava's own time; the recordings begin with the encoder's messages."""
    network = read_net(NETX / "gts/pilotnet_sdnn/square_network.net")
    headless = Network((Input("input0", network.shape("input0"), GRADED),), network.layers[1:], network.outputs)
    trace = engine.trace(headless, {"input0": sigma_delta_input[0][:, :, :33, :33]}, pipelined=True)
    for layer in range(1, 5):
        expected = recorded(f"pilotnet_sdnn/sigma{layer}_square.npy")
        np.testing.assert_array_equal(trace[f"conv{layer}"].states["sigma"], expected)


def test_ntidigits_with_its_axonal_delays_spikes_as_recorded():
    """The recording is one step later than Lava's own time. Its last layer, an average, is no spiking layer."""
    network = read_net(NETX / "gts/ntidigits/ntidigits.net", layers=5)
    frames = np.load(NETX / "gts/ntidigits/input.npy").T.reshape(-1, 1, 1, 64)
    spikes = engine.trace(network, {"input": frames}, pipelined=True)["dense4"].output
    expected = recorded("ntidigits/output.npy")
    assert not expected[0].any()
    np.testing.assert_array_equal(spikes[:-1], expected[1:])
    assert expected.sum() > 20000


def tiny(name):
    """A recording of tiny.net, which is in torch's order (batch, channel, height, width, step)."""
    return np.load(NETX / "gts/tinynet" / name)[0].transpose(3, 0, 1, 2)


def test_tiny_net_has_the_recorded_spikes_and_currents():
    """Without pipeline latency, and all recordings begin one step later. Currents are in weight units there."""
    network = read_net(NETX / "tiny.net")
    bias = np.load(NETX / "gts/tinynet/input_bias.npy")
    trace = engine.trace(network, {"input": held(bias, 15)})
    for file, layer in (("input", "input0"), ("layer1", "conv1"), ("output", "conv2")):
        expected = tiny(f"{file}.npy")
        assert not expected[0].any()
        np.testing.assert_array_equal(trace[layer].output, expected[1:])
    np.testing.assert_array_equal(trace["conv1"].states["u"], tiny("current.npy")[1:] * 64)


def block(synapse, neuron, shape, values):
    return Network((Input("x", shape, values),), (Layer("y", ("x",), synapse, neuron),), ("y",))


def test_the_sigma_delta_blocks_give_what_was_recorded():
    """Encoder: no offset. Convolution and dense: one step, that of their synapse."""
    encoder = block(Direct(), Delta(20), (3, 16, 16), GRADED)
    wave = np.sin(2 * np.pi * np.arange(15) / 15)
    picture = np.load(NETX / "gts/tinynet_sdnn/input_bias.npy")
    frames = (picture[..., None] * wave).astype(int).transpose(3, 2, 1, 0)
    messages = engine.trace(encoder, {"x": frames})["y"].output
    np.testing.assert_array_equal(messages, recorded("tinynet_sdnn/input.npy"))

    kernel = np.load(NETX / "gts/tinynet_sdnn/layer1_kernel.npy")[:, ::-1, ::-1].transpose(0, 3, 2, 1)
    bias = np.load(NETX / "gts/tinynet_sdnn/layer1_bias.npy")
    convolution = block(Conv2d(kernel, stride=2), SigmaDelta(20, bias), (3, 16, 16), GRADED)
    # One step was recorded, of which this is what the biases send; the other fifteen are empty.
    layer1, expected = engine.trace(convolution, {"x": messages}, pipelined=True)["y"].output, "tinynet_sdnn/layer1.npy"
    np.testing.assert_array_equal(layer1[0], recorded(expected)[0])
    assert layer1[0].any()
    assert not recorded(expected)[1:].any()

    weight = np.load(NETX / "gts/tinynet_sdnn/layer2_weight.npy")
    sums = block(Dense(weight, weight_bits=8), Sigma(), (weight.shape[1], 1, 1), Range(0, 1))
    # The stock test leaves out the width of its messages, so that Lava takes every one of them for a spike.
    spikes = (np.load(NETX / "gts/tinynet_sdnn/layer1.npy").reshape(-1, 16).T != 0)[:, :, None, None]
    np.testing.assert_array_equal(
        engine.trace(sums, {"x": spikes}, pipelined=True)["y"].output, recorded("tinynet_sdnn/layer2.npy")
    )


def test_the_dense_block_spikes_as_recorded():
    """Without any offset to Lava's own time, over 2000 steps."""
    weight = np.load(NETX / "gts/dense/weight.npy")
    network = block(Dense(weight, weight_bits=8), LIF(6, voltage_decay=415), (200, 1, 1), Range(0, 1))
    trace = engine.trace(network, {"x": recorded("dense/in.npy")}, pipelined=True)["y"]
    expected = recorded("dense/out.npy")
    np.testing.assert_array_equal(trace.output, expected)
    assert expected.sum() > 1000


@pytest.mark.parametrize("number", range(10))
def test_convolutions_are_those_that_lava_nc_recorded(number):
    """Kernels up to 9x9 with strides, padding, dilation and groups, recorded from real inputs in single precision.

    The engine takes integers: five digits of ten bits make up an input, and the sums of all digits are the recorded
    ones to the last bits that single precision has.
    """
    with np.load(WHEELS / f"proc/conv/ground_truth/gt_conv_paris_{number}.npz", allow_pickle=False) as file:
        vector = dict(file)
    weight = vector["weights"][:, ::-1, ::-1].transpose(0, 3, 2, 1)
    window = [tuple(int(n) for n in vector[key][::-1]) for key in ("stride", "padding", "dilation")]
    conv = Conv2d(weight, *window, groups=int(vector["groups"]))
    digits = [np.floor(vector["input"] * 1024.0**place) % 1024 for place in range(1, 6)]
    frames = np.stack([digit.transpose(2, 1, 0) for digit in digits]).astype(int)
    network = block(conv, LIF(0), frames.shape[1:], Range(0, 1023))
    sums = engine.trace(network, {"x": frames})["y"].activation
    got = sum(sums[place - 1] * 1024.0**-place for place in range(1, 6))
    gain = np.abs(weight).reshape(len(weight), -1).sum(axis=1).max()
    np.testing.assert_allclose(got, vector["out_gt"].transpose(2, 1, 0), rtol=0, atol=gain * np.finfo(np.float32).eps)


@pytest.mark.lava
@pytest.mark.usefixtures("traces")
def test_mnist_which_has_no_recording_is_lavas_in_every_variable():
    network = read_net(NETX / "mnist.net")
    rng = np.random.default_rng(7)
    frames = np.broadcast_to(rng.integers(0, 2, (1, 784, 1, 1)) * 76 + 64, (12, 784, 1, 1))
    trace = engine.trace(network, {"input": frames}, pipelined=True)
    [lava] = states([(network, {"input": frames})])
    for layer, kinds in lava.items():
        for kind, values in kinds.items():
            ours = {"activation": trace[layer].activation, "output": trace[layer].output, **trace[layer].states}[kind]
            np.testing.assert_array_equal(ours, values, err_msg=f"{kind} of {layer}")
    assert trace["dense2"].output.any()
    assert np.abs(trace["dense3"].states["u"][-1]).max() > np.abs(trace["dense3"].states["u"][-2]).min()
