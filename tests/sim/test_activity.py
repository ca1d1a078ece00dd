"""Counts against a loop over every connection, written here and knowing nothing of the counter."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from netx import (
    LIF,
    SPIKES,
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
from sim.activity import LayerActivity, count, describe
from sim.engine import run

Place = tuple[int, int, int]


def conv(rng: np.random.Generator, *shape: int, **geometry: object) -> Conv2d:
    """Even weights, about a third of them zero."""
    return Conv2d(rng.integers(-1, 2, shape) * 2, **geometry)  # type: ignore[arg-type]


def connections(synapse: Conv2d | Dense | Pool, source: Shape, output: Shape) -> Iterator[tuple[Place, Place, int]]:
    """(input neuron, output neuron, weight) of every connection, one by one."""
    if isinstance(synapse, Dense):
        for o in range(output.channel):
            for i in range(source.channel):
                yield (i, 0, 0), (o, 0, 0), int(synapse.weight[o, i])
        return
    dilation = synapse.dilation if isinstance(synapse, Conv2d) else (1, 1)
    for o in range(output.channel):
        if isinstance(synapse, Conv2d):
            per_group = synapse.weight.shape[1]
            first = o // (output.channel // synapse.groups) * per_group
            channels = [(first + k, k) for k in range(per_group)]
        else:
            channels = [(o, 0)]
        for row in range(output.height):
            for column in range(output.width):
                for i, k in channels:
                    for y in range(synapse.kernel[0]):
                        for x in range(synapse.kernel[1]):
                            r = row * synapse.stride[0] + y * dilation[0] - synapse.padding[0]
                            c = column * synapse.stride[1] + x * dilation[1] - synapse.padding[1]
                            if 0 <= r < source.height and 0 <= c < source.width:
                                weight = synapse.weight if isinstance(synapse, Pool) else synapse.weight[o, k, y, x]
                                yield (i, r, c), (o, row, column), int(weight)


def one_layer(synapse: Conv2d | Dense | Pool, source: Shape, pixels: Range = SPIKES) -> Network:
    return Network((Input("frame", source, pixels),), (Layer("layer", ("frame",), synapse, LIF(1)),), ("layer",))


def activity_of(network: Network, frames: np.ndarray) -> LayerActivity:
    inputs = {"frame": frames}
    return count(network, inputs, run(network, inputs)).layers[0]


RNG = np.random.default_rng(5)
GEOMETRIES = {
    "plain": (conv(RNG, 3, 2, 3, 3), Shape(2, 6, 5)),
    "strided": (conv(RNG, 3, 2, 3, 3, stride=2), Shape(2, 8, 7)),
    "stride leaves a rest": (conv(RNG, 2, 1, 2, 2, stride=3), Shape(1, 7, 9)),
    "padded": (conv(RNG, 3, 2, 3, 3, padding=1), Shape(2, 5, 6)),
    "padded beyond the kernel": (conv(RNG, 2, 1, 2, 3, padding=(3, 4)), Shape(1, 3, 3)),
    "dilated": (conv(RNG, 2, 2, 3, 2, dilation=(2, 3), padding=1), Shape(2, 7, 8)),
    "grouped": (conv(RNG, 6, 2, 3, 3, groups=3, padding=1), Shape(6, 4, 5)),
    "depth-wise with copies": (conv(RNG, 6, 1, 3, 2, groups=3), Shape(3, 6, 5)),
    "all at once": (conv(RNG, 4, 2, 3, 2, stride=(2, 3), padding=(2, 1), dilation=(2, 1), groups=2), Shape(4, 9, 8)),
    "pool": (Pool((2, 2), (2, 2), weight=2), Shape(3, 6, 7)),
    "overlapping padded pool": (Pool((3, 2), (2, 1), padding=(1, 1), weight=2), Shape(2, 7, 6)),
    "dense": (Dense(RNG.integers(-1, 2, (5, 7)) * 2), Shape(7, 1, 1)),
}


@pytest.mark.parametrize("name", GEOMETRIES)
def test_every_count_of_a_spiking_layer_equals_a_loop_over_its_connections(name: str) -> None:
    synapse, source = GEOMETRIES[name]
    network = one_layer(synapse, source)
    frames = (np.random.default_rng(1).random((4, *source)) < [[[[0.0]]], [[[0.2]]], [[[0.6]]], [[[1.0]]]]).astype(int)
    activity = activity_of(network, frames)
    edges = list(connections(synapse, source, network.shape("layer")))
    for f, frame in enumerate(frames):
        travelled = [edge for edge in edges if frame[edge[0]]]
        assert activity.synops[f] == len(travelled)
        assert activity.effective_synops[f] == sum(weight != 0 for _, _, weight in travelled)
        assert activity.messages[f] == len({start for start, _, _ in travelled})
        assert activity.active_updates[f] == len({end for _, end, _ in travelled})
        voltage = {end: 0 for _, end, _ in edges}
        for _, end, weight in travelled:
            voltage[end] += weight
        assert activity.spikes[f] == sum(v > 1 for v in voltage.values())
    neurons = network.shape("layer").size
    np.testing.assert_array_equal(activity.neuron_updates, [neurons] * 4)
    np.testing.assert_array_equal(activity.active_updates + activity.inactive_updates, [neurons] * 4)
    np.testing.assert_array_equal(activity.dense_macs, [len(edges)] * 4)
    np.testing.assert_array_equal(activity.macs, [0] * 4)
    assert describe(network).synapses == len(edges)


def test_a_layer_of_graded_input_multiplies_over_every_tap_that_is_not_padding() -> None:
    # Closed formula: kernel 3, padding 1, stride 1 on n pixels has 3n - 2 connections along an axis.
    height, width, channels, kernels = 9, 6, 3, 8
    rng = np.random.default_rng(2)
    network = one_layer(conv(rng, kernels, channels, 3, 3, padding=1), Shape(channels, height, width), Range(-15, 15))
    activity = activity_of(network, rng.integers(-15, 16, (2, channels, height, width)))
    expected = channels * kernels * (3 * height - 2) * (3 * width - 2)
    np.testing.assert_array_equal(activity.macs, [expected, expected])
    for none in (activity.synops, activity.effective_synops, activity.messages):
        np.testing.assert_array_equal(none, [0, 0])


def test_unpadded_macs_follow_the_textbook_formula() -> None:
    # AlexNet's first layer at 303x303: 96 kernels of 11x11x3, stride 4, 74x74 outputs.
    network = one_layer(Conv2d(np.full((96, 3, 11, 11), 2), stride=4), Shape(3, 303, 303), Range(0, 15))
    assert describe(network).synapses == 96 * 74 * 74 * 3 * 11 * 11


def siamese(rng: np.random.Generator, seed_heads: int = 3) -> Network:
    shared = {"synapse": conv(rng, 4, 1, 3, 3, stride=2), "neuron": LIF(1, [2, 0, -2, 4])}
    heads = np.random.default_rng(seed_heads)
    return Network(
        (Input("template", Shape(1, 7, 7), Range(0, 15)), Input("search", Shape(1, 13, 13), Range(0, 15))),
        (
            Layer("template_conv", ("template",), **shared),
            Layer("search_conv", ("search",), **shared),
            Layer("correlation", ("search_conv", "template_conv"), Correlation(2, copies=2), LIF(3)),
            Layer("both", ("correlation", "correlation"), Concat()),
            Layer("flat", ("both",), Flatten()),
            Layer("head", ("flat",), Dense(heads.integers(-1, 2, (2, 256)) * 2), Accumulator([1, 0])),
        ),
        ("head",),
    )


def test_a_siamese_network_is_described_with_shared_weights_once() -> None:
    description = describe(siamese(np.random.default_rng(4)))
    template, search, correlation = 4 * 3 * 3 * 9, 4 * 6 * 6 * 9, 8 * 4 * 4 * 3 * 3
    assert description.layers == 4
    assert description.neurons == 4 * 3 * 3 + 4 * 6 * 6 + 8 * 4 * 4 + 2
    assert description.synapses == template + search + correlation + 2 * 256
    assert description.parameters == (4 * 9 + 4) + (2 * 256 + 2)


def test_spikes_travel_through_wires_and_a_programmed_correlation_skips_no_silent_template_neuron() -> None:
    network = siamese(np.random.default_rng(4))
    rng = np.random.default_rng(6)
    branch = network.template_network()
    template = run(branch, {"template": rng.integers(0, 16, (1, 1, 7, 7))}).spikes["template_conv"][0]
    programmed = network.programmed({"template_conv": template})
    frames = {"search": rng.integers(0, 16, (3, 1, 13, 13))}
    recording = run(programmed, frames)
    layers = {layer.layer: layer for layer in count(programmed, frames, recording).layers}
    assert set(layers) == {"search_conv", "correlation", "head"}
    edges = list(connections(programmed.layer("correlation").synapse, Shape(4, 6, 6), Shape(8, 4, 4)))
    for f, spikes in enumerate(recording.spikes["search_conv"]):
        travelled = [weight for start, _, weight in edges if spikes[start]]
        assert layers["correlation"].synops[f] == len(travelled)
        assert layers["correlation"].effective_synops[f] == sum(weight != 0 for weight in travelled)
        # Every correlation spike arrives twice (Concat), and each time at both read-outs.
        assert layers["head"].synops[f] == 4 * recording.spikes["correlation"][f].sum()
    np.testing.assert_array_equal(layers["head"].spikes, [0, 0, 0])


def test_a_layer_that_reads_a_membrane_is_priced_in_macs() -> None:
    network = Network(
        (Input("frame", Shape(4, 1, 1)),),
        (
            Layer("read", ("frame",), Dense(np.full((3, 4), 2)), Accumulator()),
            Layer("last", ("read",), Dense(np.full((5, 3), 2)), LIF(1)),
        ),
        ("last",),
    )
    frames = {"frame": np.ones((2, 4, 1, 1), int)}
    read, last = count(network, frames, run(network, frames)).layers
    np.testing.assert_array_equal(read.synops, [12, 12])
    np.testing.assert_array_equal(last.synops, [0, 0])
    np.testing.assert_array_equal(last.macs, [15, 15])


def test_totals_add_the_layers_and_average_the_frames() -> None:
    network = one_layer(Dense([[2, 2], [0, 2]]), Shape(2, 1, 1))
    frames = {"frame": np.array([[0, 0], [1, 0], [1, 1]]).reshape(3, 2, 1, 1)}
    activity = count(network, frames, run(network, frames))
    np.testing.assert_array_equal(activity.total("synops"), [0, 2, 4])
    assert activity.mean("synops") == 2.0
    assert activity.mean("effective_synops") == pytest.approx(4 / 3)


def test_a_recording_of_other_frames_or_another_network_is_refused() -> None:
    synapse, source = GEOMETRIES["plain"]
    network = one_layer(synapse, source)
    frames = {"frame": np.zeros((2, *source), int)}
    recording = run(network, frames)
    with pytest.raises(NetworkError, match=r"input 'frame'.*2 frames"):
        count(network, {"frame": frames["frame"][:1]}, recording)
    with pytest.raises(NetworkError, match="no frames were given for input 'frame'"):
        count(network, {}, recording)
    other = Network(network.inputs, (Layer("other", ("frame",), synapse, LIF(1)),), ("other",))
    with pytest.raises(NetworkError, match=r"'other'.*does not hold it"):
        count(other, frames, recording)
    with pytest.raises(NetworkError, match="programmed"):
        count(siamese(np.random.default_rng(4)), *_frames_and_recording_of_a_template())


def _frames_and_recording_of_a_template() -> tuple[dict[str, np.ndarray], object]:
    branch = siamese(np.random.default_rng(4)).template_network()
    frames = {"template": np.zeros((1, 1, 7, 7), int), "search": np.zeros((1, 1, 13, 13), int)}
    recording = run(branch, frames)
    shapes = {"search_conv": (1, 4, 6, 6), "correlation": (1, 8, 4, 4)}
    zeros = {name: np.zeros(shape, np.uint8) for name, shape in shapes.items()}
    return frames, type(recording)("engine", {**recording.spikes, **zeros}, recording.membranes)
