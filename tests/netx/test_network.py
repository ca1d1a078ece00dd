"""A network is checked when it is made, and never changes."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

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
    Shape,
)
from netx.difference import first_difference
from netx.neurons import channel_bias

ONE = Conv2d(np.full((1, 1, 1, 1), 2))


def siamese() -> Network:
    kernels = np.full((2, 1, 2, 2), 2)
    return Network(
        (Input("template", Shape(1, 3, 3)), Input("search", Shape(1, 6, 7))),
        (
            Layer("z", ("template",), Conv2d(kernels), LIF(3)),
            Layer("x", ("search",), Conv2d(kernels), LIF(3)),
            Layer("match", ("x", "z"), Correlation(5, copies=2), LIF(7)),
            Layer("flat", ("match",), Flatten()),
            Layer("score", ("flat",), Dense(np.full((1, 4 * 4 * 5), 2)), Accumulator([3])),
            Layer("both", ("match", "match"), Concat()),
            Layer("box", ("both",), Conv2d(np.full((1, 8, 1, 1), 2)), LIF(1)),
        ),
        ("score", "box"),
    )


def test_shapes_follow_from_the_synapses() -> None:
    network = siamese()
    shapes = {name: str(network.shape(name)) for name in ("z", "x", "match", "flat", "score", "both", "box")}
    assert shapes == {
        "z": "2x2x2",
        "x": "2x5x6",
        "match": "4x4x5",
        "flat": "80x1x1",
        "score": "1x1x1",
        "both": "8x4x5",
        "box": "1x4x5",
    }


def test_depth_counts_layers_with_neurons_on_the_longest_way() -> None:
    network = siamese()
    assert [network.depth(name) for name in ("search", "z", "match", "flat", "score", "box")] == [0, 1, 2, 2, 3, 3]


def test_consumers_are_the_layers_that_read() -> None:
    assert [layer.name for layer in siamese().consumers("match")] == ["flat", "both"]


def test_a_subnetwork_is_what_its_outputs_depend_on() -> None:
    part = siamese().subnetwork(["x"])
    assert [source.name for source in part.inputs] == ["search"]
    assert [layer.name for layer in part.layers] == ["x"]
    assert siamese().subnetwork(["score", "box"]) == siamese()
    with pytest.raises(NetworkError, match="'nothing' is not a layer"):
        siamese().subnetwork(["x", "nothing"])


def test_the_template_network_leads_to_the_spikes_of_the_correlation() -> None:
    templates = siamese().template_network()
    assert templates.outputs == ("z",)
    assert [source.name for source in templates.inputs] == ["template"]
    with pytest.raises(NetworkError, match="has no correlation"):
        templates.template_network()


def test_programming_turns_the_template_into_grouped_weights_and_drops_its_branch() -> None:
    spikes = np.array([[[1, 0], [0, 0]], [[0, 1], [1, 1]]])
    programmed = siamese().programmed({"z": spikes})
    match = programmed.layer("match")
    assert match.inputs == ("x",)
    assert match.synapse == Conv2d(np.repeat(spikes * 5, 2, axis=0)[:, None], groups=2)
    assert [source.name for source in programmed.inputs] == ["search"]
    assert programmed.correlations() == ()
    assert programmed.shape("score") == siamese().shape("score")


@pytest.mark.parametrize(
    ("spikes", "complaint"),
    [
        ({}, "no spikes were given for its template 'z'"),
        ({"z": np.zeros((2, 2), int)}, r"shape \(channel, height, width\)"),
        ({"z": np.zeros((2, 3, 2), int)}, "template spikes are 2x3x2, not 2x2x2"),
        ({"z": np.full((2, 2, 2), 2)}, r"template spikes\[0, 0, 0\] is 2: outside 0..1"),
        ({"z": np.full((2, 2, 2), np.nan)}, r"template spikes\[0, 0, 0\] is nan: expected an integer"),
    ],
)
def test_wrong_template_spikes_are_refused(spikes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(NetworkError, match=complaint):
        siamese().programmed(spikes)


def chain(*layers: Layer, output: str = "", shape: tuple[int, int, int] = (1, 4, 4)) -> Network:
    return Network((Input("x", Shape(*shape)),), layers, (output or layers[-1].name,))


@pytest.mark.parametrize(
    ("build", "complaint"),
    [
        (lambda: Network((), (Layer("y", ("x",), ONE, LIF(1)),), ("y",)), "at least one input"),
        (lambda: Network((Input("x", Shape(1, 1, 1)),), (), ("y",)), "at least one input, one layer"),
        (lambda: chain(Layer("y", ("x",), ONE, LIF(1)), output="z"), "output 'z' is not a layer"),
        (lambda: chain(Layer("y", ("x",), ONE, LIF(1)), output="x"), "output 'x' is not a layer"),
        (lambda: chain(Layer("1y", ("x",), ONE, LIF(1))), "'1y' is not a name"),
        (lambda: chain(Layer("a/b", ("x",), ONE, LIF(1))), "'a/b' is not a name"),
        (lambda: chain(Layer("x", ("x",), ONE, LIF(1))), "two layers or inputs are called 'x'"),
        (lambda: chain(Layer("y", ("z",), ONE, LIF(1))), "layer 'y': its input 'z' is neither"),
        (lambda: chain(Layer("y", ("y",), ONE, LIF(1))), "layer 'y': its input 'y' is neither"),
        (lambda: chain(Layer("y", (), ONE, LIF(1))), "layer 'y': has no input"),
        (lambda: chain(Layer("y", ("x", "x"), ONE, LIF(1))), "a convolution has one input, not 2"),
        (lambda: chain(Layer("y", ("x",), ONE)), "layer 'y': Conv2d cannot have no neuron"),
        (lambda: chain(Layer("y", ("x",), Flatten(), LIF(1))), "layer 'y': Flatten cannot have a neuron"),
        (lambda: chain(Layer("y", ("x",), ONE, LIF(1, [1, 2]))), "bias has 2 values, but the layer has 1 channels"),
        (lambda: chain(Layer("y", ("x",), ONE, LIF(1)), shape=(2, 4, 4)), "input has 2 channels, but .* expect 1"),
        (lambda: chain(Layer("y", ("x",), Pool(5, 1), LIF(1))), "a 5x5 kernel does not fit into an input of 1x4x4"),
        (lambda: chain(Layer("y", ("x",), Dense([[2]]), LIF(1))), "input is 1x4x4, .* flatten it first"),
        (lambda: Input("x", Shape(1, 0, 1)), "input 'x': shape: every size must be at least 1"),
        (lambda: Input("x", (1, 2)), r"expected \(channel, height, width\)"),
        (lambda: Input("x", Shape(1, 1, 1), (1, 1)), "the range 1..1 is empty"),
        (lambda: Conv2d(np.full((1, 1, 1, 1), 256)), r"weight\[0, 0, 0, 0\] is 256: outside -256..255"),
        (lambda: Conv2d(np.full((1, 1, 1, 1), 0.5)), r"weight\[0, 0, 0, 0\] is 0.5: expected an integer"),
        (lambda: Conv2d(np.full((1, 1, 1, 1), np.inf)), "is inf: expected an integer"),
        (lambda: Conv2d(np.full((1, 1, 1, 1), 1j)), "complex"),
        (lambda: Conv2d(np.full((1, 1, 1, 1), "2")), "expected integers, got values of type"),
        (lambda: Conv2d(np.zeros((1, 1, 1), int)), r"weight: expected shape \(out, in / groups"),
        (lambda: Conv2d(np.zeros((0, 1, 1, 1), int)), r"weight: expected shape"),
        (lambda: Conv2d(np.zeros((3, 1, 1, 1), int), groups=2), "groups: 2 does not divide the 3 output channels"),
        (lambda: Conv2d(np.zeros((1, 1, 1, 1), int), stride=0), r"stride: must be at least 1, got \(0, 0\)"),
        (lambda: Conv2d(np.zeros((1, 1, 1, 1), int), padding=(1, -1)), "padding: must be at least 0"),
        (lambda: Conv2d(np.zeros((1, 1, 1, 1), int), weight_exponent=8), "weight exponent: .* -8..7, got 8"),
        (lambda: Pool(2, 2, weight=0), "pool weight"),
        (lambda: Correlation(256), "gain: expected an integer in 1..255"),
        (lambda: Correlation(1, 0), "copies"),
        (lambda: LIF(1.5), "threshold: expected an integer"),
        (lambda: LIF(True), "threshold: expected an integer"),
        (lambda: LIF(-131072), "threshold"),
        (lambda: LIF(1, [40000]), r"bias\[0\] is 40000: outside -32768..32767"),
        (lambda: LIF(1, [[1]]), "expected one value a channel"),
        (lambda: LIF(1, [1], bias_exponent=8), "bias exponent"),
        (lambda: LIF(1, current_decay=4097), "current decay"),
        (lambda: siamese().layer("nose"), "no layer is called 'nose'; there are z, x"),
        (lambda: siamese().shape("nose"), "no layer or input is called 'nose'"),
        (lambda: siamese().activation_range("flat"), "layer 'flat' has no neurons"),
    ],
)
def test_what_cannot_be_is_refused_with_the_place(build: Callable[[], object], complaint: str) -> None:
    with pytest.raises(NetworkError, match=complaint):
        build()


def test_a_template_must_be_spikes() -> None:
    with pytest.raises(NetworkError, match=r"the template must be spikes, but 'z' sends 0\.\.3"):
        Network(
            (Input("x", Shape(1, 4, 4)), Input("z", Shape(1, 2, 2), (0, 3))),
            (Layer("y", ("x", "z"), Correlation(1), LIF(1)),),
            ("y",),
        )


def test_nothing_of_a_network_can_be_changed() -> None:
    weight = np.full((1, 1, 1, 1), 2)
    synapse = Conv2d(weight)
    weight[:] = 9
    assert synapse.weight.item() == 2
    with pytest.raises(ValueError, match="read-only"):
        synapse.weight[:] = 9
    with pytest.raises(dataclasses.FrozenInstanceError):
        synapse.groups = 2  # type: ignore[misc]
    network = siamese()
    with pytest.raises(dataclasses.FrozenInstanceError):
        network.outputs = ("z",)  # type: ignore[misc]
    with pytest.raises(ValueError, match="read-only"):
        network.layer("score").neuron.bias[:] = 1  # type: ignore[union-attr]


def test_equality_is_by_content() -> None:
    assert siamese() == siamese()
    assert LIF(1, [0, 0]) == LIF(1) != LIF(1, [0, 1])
    assert Conv2d(np.full((1, 1, 1, 1), 2.0)) == ONE != Conv2d(np.full((1, 1, 1, 1), 3))
    assert LIF(1) != Accumulator()
    assert siamese() != siamese().subnetwork(["score"])


def test_biases_count_in_64ths_of_a_weight_unit() -> None:
    shape = Shape(2, 1, 1)
    assert channel_bias(LIF(1, [1, -2], bias_exponent=3), shape).tolist() == [8, -16]
    assert channel_bias(Accumulator([1, -2]), shape).tolist() == [64, -128]
    assert channel_bias(LIF(1), shape).tolist() == [0, 0]


def test_memory_needs_a_decay_below_one() -> None:
    assert chain(Layer("y", ("x",), ONE, LIF(1))).memoryless
    assert not chain(Layer("y", ("x",), ONE, LIF(1, voltage_decay=4095))).memoryless
    assert not chain(Layer("y", ("x",), ONE, LIF(1, current_decay=4095))).memoryless


def test_the_depth_of_many_layers_and_of_branches_that_join_again_and_again_is_known() -> None:
    """A way through each side of 60 branches would be 2 ** 60 ways."""
    layers, before = [], "x"
    for index in range(60):
        width = 1 if before == "x" else 2
        for side in "ab":
            layers.append(Layer(f"{side}{index}", (before,), Dense(np.ones((1, width))), LIF(1)))
        layers.append(Layer(f"ab{index}", (f"a{index}", f"b{index}"), Concat()))
        before = f"ab{index}"
    for index in range(2000):
        layers.append(Layer(f"c{index}", (before,), Dense(np.ones((1, 2 if index == 0 else 1))), LIF(1)))
        before = f"c{index}"
    network = Network((Input("x", Shape(1, 1, 1)),), tuple(layers), (before,))
    assert network.depth(before) == 2060


@pytest.mark.parametrize("stride", [1.5, (1, 2.5), "12"])
def test_windows_are_of_whole_numbers(stride: Any) -> None:
    with pytest.raises(NetworkError, match="stride: expected an integer"):
        Conv2d([[[[2]]]], stride)


def test_integers_of_numpy_become_plain_ones_that_neither_overflow_nor_count_as_a_difference() -> None:
    narrow, plain = (
        Network((Input("x", Shape(1, 1, 1)),), (Layer("y", ("x",), Conv2d([[[[2]]]]), LIF(threshold)),), ("y",))
        for threshold in (np.int16(3000), 3000)
    )
    assert type(narrow.layer("y").neuron.threshold) is int
    assert first_difference(narrow, plain) is None
