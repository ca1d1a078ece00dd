"""A compiled network gives the bits of the integer formulas, packs its weights once and records what was asked for."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from netx import (
    LIF,
    Accumulator,
    Concat,
    Conv2d,
    Correlation,
    Dense,
    Flatten,
    Input,
    Layer,
    Network,
    NetworkError,
    Pool,
    Range,
    Shape,
)
from sim import engine
from sim.kernels import EXACT_TYPES


def even(rng, *shape):
    return rng.integers(-60, 61, shape) * 2


@st.composite
def networks(draw):
    """Two convolutions with a pool between, a branch, and two read-outs, one of them behind a concatenation."""
    rng = np.random.default_rng(draw(st.integers(0, 9999)))
    values = draw(st.sampled_from([Range(0, 1), Range(-16, 15), Range(0, 31)]))
    exponents = st.integers(-3, 2)
    bias = [rng.integers(-900, 900, 8) if draw(st.booleans()) else [] for _ in range(3)]
    first = Conv2d(even(rng, 8, draw(st.sampled_from([4, 2])), 3, 2), draw(st.integers(1, 2)), draw(st.integers(0, 2)))
    groups = 4 // first.weight.shape[1]
    first = Conv2d(first.weight, first.stride, first.padding, 1, groups, draw(st.integers(-3, 0)))
    pool = Pool(
        draw(st.integers(1, 3)), draw(st.integers(1, 2)), draw(st.integers(0, 1)), draw(st.sampled_from([1, 2]))
    )
    layers = (
        Layer("a", ("image",), first, LIF(draw(st.integers(-99, 400)), bias[0], draw(st.integers(0, 7)))),
        Layer("pooled", ("a",), pool, LIF(draw(st.integers(-1, 9)))),
        Layer("b", ("pooled",), Conv2d(even(rng, 8, 8, 2, 2)), LIF(draw(st.sampled_from([1, 41, 131071])), bias[1])),
        Layer("c", ("pooled",), Conv2d(even(rng, 8, 8, 2, 2), weight_exponent=draw(exponents)), LIF(33, bias[2], 2)),
        Layer("joined", ("c", "b"), Concat()),
        Layer("map", ("joined",), Conv2d(even(rng, 3, 16, 1, 1)), Accumulator(rng.integers(-9, 9, 3))),
        Layer("flat", ("b",), Flatten()),
    )
    source = Input("image", (4, 13, 12), values)
    size = Network((source,), layers, ("map",)).shape("flat").channel
    dense = Layer("classes", ("flat",), Dense(even(rng, 5, size), draw(st.integers(-2, 0))), Accumulator())
    network = Network((source,), (*layers, dense), ("map", "classes", "c"))
    return network, rng.integers(values.low, values.high + 1, (5, *source.shape))


def formulas(network, frames, direct_sums):
    """Membranes and spikes of every layer in int64, from the formulas of netx.synapses and netx.neurons."""
    values, spikes, membranes = dict(frames), {}, {}
    for layer in network.layers:
        inputs, synapse = [values[name] for name in layer.inputs], layer.synapse
        if isinstance(synapse, (Flatten, Concat)):
            joined = np.concatenate(inputs, axis=1)
            values[layer.name] = joined if isinstance(synapse, Concat) else joined.reshape(len(joined), -1, 1, 1)
            continue
        if isinstance(synapse, Conv2d):
            sums = direct_sums(
                inputs[0], synapse.weight, synapse.stride, synapse.padding, synapse.dilation, synapse.groups
            )
        elif isinstance(synapse, Dense):
            sums = direct_sums(inputs[0], synapse.weight[:, :, None, None])
        else:
            channels = inputs[0].shape[1]
            ones = np.full((channels, 1, *synapse.kernel), synapse.weight)
            sums = direct_sums(inputs[0], ones, synapse.stride, synapse.padding, groups=channels)
        activation = np.floor(sums * 2.0 ** getattr(synapse, "weight_exponent", 0)).astype(np.int64)
        bias = np.zeros(activation.shape[1], np.int64)
        if layer.neuron.bias.size:
            bias = layer.neuron.bias.astype(np.int64) << getattr(layer.neuron, "bias_exponent", 6)
        voltage = activation * 64 + bias[:, None, None]
        membranes[layer.name] = values[layer.name] = voltage // 64
        if isinstance(layer.neuron, LIF):
            spikes[layer.name] = values[layer.name] = (voltage > layer.neuron.threshold * 64).astype(np.uint8)
    return spikes, membranes


@settings(max_examples=40, deadline=None)
@given(networks(), st.sampled_from([1, 2, 5]), st.sampled_from([None, *EXACT_TYPES[1:]]))
def test_outputs_and_recordings_follow_the_formulas(direct_sums, drawn, batch, types):
    network, frames = drawn
    spikes, membranes = formulas(network, {"image": frames}, direct_sums)
    outputs = engine.compile(network, batch=batch, types=types).run({"image": frames})
    assert set(outputs.spikes) == {"c"}
    assert set(outputs.membranes) == {"map", "classes"}
    recording = engine.compile(network, batch=batch, record=True, types=types).run({"image": frames})
    for found in (outputs, recording):
        for name in found.spikes:
            np.testing.assert_array_equal(found.spikes[name], spikes[name], err_msg=f"spikes of {name}")
        for name in found.membranes:
            np.testing.assert_array_equal(found.membranes[name], membranes[name], err_msg=f"membranes of {name}")
    assert set(recording.spikes) == set(spikes)
    assert set(recording.membranes) == set(membranes)
    assert outputs.frames == recording.frames == 5


def leaky_spikes(neuron, activation):
    """The recurrence of netx.LIF in Python's integers, frame by frame."""

    def decayed(state, decay):
        return np.sign(state) * (np.abs(state) * (4096 - decay) >> 12)

    bias = np.zeros(activation.shape[1], np.int64)
    if neuron.bias.size:
        bias = neuron.bias.astype(np.int64) << neuron.bias_exponent
    current = voltage = np.zeros(activation.shape[1:], np.int64)
    spikes = np.zeros(activation.shape, np.uint8)
    for step, value in enumerate(activation):
        if neuron.reset_interval and step % neuron.reset_interval == neuron.reset_offset % neuron.reset_interval:
            current = voltage = np.zeros_like(current)
        current = decayed(current, neuron.current_decay) + value * 64
        voltage = decayed(voltage, neuron.voltage_decay) + current + bias[:, None, None]
        spikes[step] = voltage > neuron.threshold * 64
        voltage = np.where(spikes[step], 0, voltage)
    return spikes


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_leaky_neurons_follow_their_recurrence_however_the_frames_are_cut(direct_sums, data):
    draw = data.draw
    rng = np.random.default_rng(draw(st.integers(0, 9999)))
    decay = st.sampled_from([1024, 1, 409, 4095, 4096, 2048])
    reset = draw(st.sampled_from([{}, {"reset_interval": 4, "reset_offset": draw(st.integers(0, 9))}]))
    bias = rng.integers(-300, 300, 6) if draw(st.booleans()) else []
    wide = draw(st.booleans())
    slow = {"reset_interval": 5} if wide else {}
    neurons = [
        LIF(draw(st.integers(-20, 300)), bias, draw(st.integers(0, 6)), 4096, draw(decay), **reset | slow),
        LIF(draw(st.integers(0, 90)), [], 6, draw(st.sampled_from([4096, 2048, 1024])), 1024, **reset),
    ]
    weights = [even(rng, 6, 2, 3, 3) // (1 if wide else 8), even(rng, 4, 6, 2, 2) // 8]
    exponent = draw(st.integers(-2, 1))
    layers = (
        Layer("a", ("image",), Conv2d(weights[0]), neurons[0]),
        Layer("b", ("a",), Conv2d(weights[1], weight_exponent=exponent), neurons[1]),
    )
    network = Network((Input("image", (2, 7, 8)),), layers, ("a", "b"))
    frames = rng.integers(0, 2, (13, 2, 7, 8))
    first = leaky_spikes(neurons[0], direct_sums(frames, weights[0]))
    second = direct_sums(first, weights[1])
    second = leaky_spikes(neurons[1], np.floor(second * 2.0**exponent).astype(np.int64))
    runner = engine.compile(network, batch=draw(st.sampled_from([1, 4, 13])))
    for _ in range(2):  # every run starts at rest
        spikes = runner.run({"image": frames}).spikes
        np.testing.assert_array_equal(spikes["a"], first)
        np.testing.assert_array_equal(spikes["b"], second)


def backbone(rng):
    """Large enough for 8-bit sums; even weights and an odd threshold as SLAYER trains them."""
    layers = (
        Layer("a", ("image",), Conv2d(even(rng, 32, 3, 7, 7), 2), LIF(401)),
        Layer("pool", ("a",), Pool(3, 2, weight=2), LIF(1)),
        Layer("b", ("pool",), Conv2d(even(rng, 48, 32, 3, 3)), LIF(301, rng.integers(-99, 99, 48))),
        Layer("out", ("b",), Conv2d(even(rng, 4, 48, 3, 3)), Accumulator()),
    )
    return Network((Input("image", (3, 95, 91)),), layers, ("out",))


@pytest.mark.parametrize("record", [False, True])
def test_8_bit_sums_give_the_bits_of_64_bit_ones(record):
    rng = np.random.default_rng(1)
    network, frames = backbone(rng), {"image": rng.integers(0, 2, (3, 3, 95, 91))}
    convolutions = dict.fromkeys(["a", "b", "out"], "int8")
    runner = engine.compile(network, record=record, types=convolutions)
    assert {choice.layer: choice.type for choice in runner.choices} | convolutions == {
        choice.layer: choice.type for choice in runner.choices
    }
    narrow, wide = runner.run(frames), engine.compile(network, record=record, types="int64").run(frames)
    for name, spikes in wide.spikes.items():
        np.testing.assert_array_equal(narrow.spikes[name], spikes)
    for name, membranes in wide.membranes.items():
        np.testing.assert_array_equal(narrow.membranes[name], membranes)
        assert name == "pool" or len(np.unique(membranes)) > 50


def test_or_pooling_is_max_pooling_of_spikes_without_sums():
    rng = np.random.default_rng(2)
    pool = Layer("pool", ("spikes",), Pool((3, 2), (2, 3), (1, 0), weight=2), LIF(1))
    network = Network((Input("spikes", (7, 20, 21)),), (pool,), ("pool",))
    runner = engine.compile(network)
    assert "the OR of a window" in runner.choices[0].reason
    frames = (rng.random((4, 7, 20, 21)) < 0.1).astype(np.uint8)
    expected = torch.nn.functional.max_pool2d(torch.from_numpy(frames).float(), (3, 2), (2, 3), (1, 0)).numpy()
    np.testing.assert_array_equal(runner.run({"spikes": frames}).spikes["pool"], expected)


def test_a_pool_that_needs_two_spikes_is_summed():
    pool = Layer("pool", ("spikes",), Pool(2, 2, weight=2), LIF(3))
    runner = engine.compile(Network((Input("spikes", (1, 2, 6)),), (pool,), ("pool",)))
    frames = np.array([[1, 0, 1, 0, 0, 0], [0, 0, 0, 1, 0, 0]])[None, None]
    assert runner.run({"spikes": frames}).spikes["pool"].tolist() == [[[[0, 1, 0]]]]


@pytest.mark.parametrize("copies", [1, 2, 3])
def test_copies_of_a_correlation_share_their_sums_and_differ_in_their_thresholds(copies):
    rng = np.random.default_rng(copies)
    bias = rng.integers(-150, 151, 5 * copies)
    correlation = Layer("map", ("search", "kernel"), Correlation(30, copies), LIF(201, bias))
    kernel = Layer("kernel", ("template",), Pool(1, 1, weight=2), LIF(1))
    network = Network((Input("template", (5, 4, 4)), Input("search", (5, 9, 8))), (kernel, correlation), ("map",))
    template, search = rng.integers(0, 2, (5, 4, 4)), rng.integers(0, 2, (2, 5, 9, 8))
    runner = engine.compile(network.programmed({"kernel": template}))
    spikes = runner.run({"search": search}).spikes["map"]
    windows = np.lib.stride_tricks.sliding_window_view(search, (4, 4), (2, 3))
    counts = np.einsum("fcyxhw,chw->fcyx", windows, template).repeat(copies, axis=1)
    np.testing.assert_array_equal(spikes, 30 * counts + bias[:, None, None] > 201)
    assert 0.05 < spikes.mean() < 0.95
    (choice,) = runner.choices
    assert choice.bound <= 30 * 16 + (0 if copies > 1 else 201 + 151)


@pytest.mark.parametrize(("values", "kind"), [(Range(-128, 127), np.int8), (Range(0, 255), np.uint8)])
def test_bytes_enter_as_they_are_and_in_any_order_of_memory(exact_in_8_bits, values, kind):
    rng = np.random.default_rng(0)
    network = Network(
        (Input("image", (3, 40, 40), values),),
        (Layer("out", ("image",), Conv2d(rng.integers(-2, 3, (32, 3, 7, 7)) * 2), LIF(301)),),
        ("out",),
    )
    runner = engine.compile(network, types="int8" if exact_in_8_bits(values) else "float32")
    wide = rng.integers(values.low, values.high + 1, (2, 40, 40, 3))
    wide[0, :2, :2] = values.low, values.high, 0
    expected = runner.run({"image": wide.transpose(0, 3, 1, 2)}).spikes["out"]
    bytes_ = wide.astype(kind)
    for frames in (bytes_.transpose(0, 3, 1, 2), np.ascontiguousarray(bytes_.transpose(0, 3, 1, 2))):
        before = frames.copy()
        np.testing.assert_array_equal(runner.run({"image": frames}).spikes["out"], expected)
        np.testing.assert_array_equal(frames, before)
    assert 0.05 < expected.mean() < 0.95


def test_weights_are_packed_when_compiled_and_not_again(monkeypatch):
    rng = np.random.default_rng(3)
    runner = engine.compile(backbone(rng), types=dict.fromkeys(["a", "b", "out"], "int8"))
    monkeypatch.setattr("sim.kernels.int8.build", None)
    monkeypatch.setattr("sim.kernels.floating.build", None)
    assert runner.run({"image": rng.integers(0, 2, (2, 3, 95, 91))}).frames == 2


def test_what_cannot_be_compiled_is_refused_with_its_reason():
    image, weight = Input("image", (1, 4, 4)), np.full((1, 1, 3, 3), 2)
    template = Input("template", (1, 3, 3))
    unprogrammed = Network(
        (image, template), (Layer("x", ("image", "template"), Correlation(2), Accumulator()),), ("x",)
    )
    with pytest.raises(NetworkError, match=r"'x'.*Network\.programmed"):
        engine.compile(unprogrammed)
    plain = Network((image,), (Layer("a", ("image",), Conv2d(weight), LIF(1)),), ("a",))
    with pytest.raises(NetworkError, match="no layer is called 'b'"):
        engine.compile(plain, types={"b": "float32"})
    with pytest.raises(NetworkError, match=r"frames hold 2\.\.2, expected 0\.\.1"):
        engine.compile(plain).run({"image": np.full((1, 1, 4, 4), 2)})


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_missing_gpu_is_said_in_words():
    layer = Layer("a", ("image",), Conv2d(np.full((1, 1, 3, 3), 2)), LIF(1))
    with pytest.raises(NetworkError, match="cuda: torch finds no such device"):
        engine.compile(Network((Input("image", (1, 4, 4)),), (layer,), ("a",)), device="cuda")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU on this machine")
def test_a_gpu_gives_the_same_recording():
    rng = np.random.default_rng(6)
    network, frames = backbone(rng), {"image": rng.integers(0, 2, (3, 3, 95, 91))}
    here, there = (engine.compile(network, record=True, device=device).run(frames) for device in ("cpu", "cuda"))
    for name, membranes in here.membranes.items():
        np.testing.assert_array_equal(there.membranes[name], membranes)
    assert network.shape("out") == Shape(4, 18, 17)
