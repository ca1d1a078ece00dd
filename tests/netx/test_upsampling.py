"""Up-sampling, transposed convolutions and currents that add up: shapes, values and ranges worked out by hand."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from netx import (
    LIF,
    Accumulator,
    Concat,
    Conv2d,
    FormatError,
    Input,
    Layer,
    Network,
    NetworkError,
    Range,
    Shape,
    Upsample,
    added,
    headroom,
    transposed,
)
from netx.bundle import load, save
from netx.difference import first_difference
from netx.fingerprint import fingerprint
from netx.nir_integers import write_nir_integers

MAP = np.array([[[1, 2], [3, 4]]])


def test_nearest_repeats_every_value() -> None:
    expected = [[1, 1, 1, 2, 2, 2], [1, 1, 1, 2, 2, 2], [3, 3, 3, 4, 4, 4], [3, 3, 3, 4, 4, 4]]
    assert Upsample((2, 3)).upsampled(MAP).tolist() == [expected]
    assert Upsample((2, 3)).output_shape((Shape(1, 2, 2),)) == (1, 4, 6)


def test_zeros_lie_between_the_values_and_trail_them() -> None:
    expected = [[1, 0, 2, 0], [0, 0, 0, 0], [3, 0, 4, 0]]
    assert Upsample(2, zeros=True, trailing=(0, 1)).upsampled(MAP).tolist() == [expected]
    assert Upsample(2, zeros=True, trailing=(0, 1)).output_shape((Shape(5, 2, 2),)) == (5, 3, 4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"factor": 0}, "factor: must be at least 1"),
        ({"factor": 2, "trailing": 1}, "none where values are repeated"),
        ({"factor": (2, 3), "zeros": True, "trailing": (2, 0)}, r"fewer than the factor \(2, 3\)"),
        ({"factor": 2, "zeros": 3}, "expected True or False"),
    ],
)
def test_what_is_no_up_sampling_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(NetworkError, match=message):
        Upsample(**arguments)


def test_it_is_a_wire_with_the_range_of_its_source_and_zero_between() -> None:
    source = Input("x", (2, 2, 2), Range(3, 9))  # type: ignore[arg-type]
    layers = (
        Layer("near", ("x",), Upsample(2)),
        Layer("apart", ("x",), Upsample(2, zeros=True)),
        Layer("out", ("near",), Conv2d(np.ones((1, 2, 1, 1), int)), Accumulator()),
        Layer("spread", ("apart",), Conv2d(np.ones((1, 2, 1, 1), int)), Accumulator()),
    )
    network = Network((source,), layers, ("out", "spread"))
    assert (network.range("near"), network.range("apart")) == ((3, 9), (0, 9))
    assert (network.depth("near"), network.depth("out")) == (0, 1)
    assert network.shape("apart") == (2, 3, 3)
    with pytest.raises(NetworkError, match="Upsample cannot have a neuron"):
        Layer("near", ("x",), Upsample(2), LIF(1))
    with pytest.raises(NetworkError, match="has no neurons"):
        network.activation_range("near")


def scattered(
    values: np.ndarray,
    weight: np.ndarray,
    stride: tuple[int, int],
    padding: tuple[int, int],
    trailing: tuple[int, int],
    dilation: tuple[int, int],
    groups: int,
) -> np.ndarray:
    """A transposed convolution as it is defined: every input adds its kernel to the output, one by one."""
    ins, outs, *kernel = weight.shape
    sizes = [
        (n - 1) * s - 2 * p + d * (k - 1) + t + 1
        for n, s, p, d, k, t in zip(values.shape[1:], stride, padding, dilation, kernel, trailing, strict=True)
    ]
    result = np.zeros((outs * groups, *sizes), int)
    for c, y, x in np.ndindex(values.shape):
        for o, r, q in itertools.product(range(outs), range(kernel[0]), range(kernel[1])):
            row, column = y * stride[0] + r * dilation[0] - padding[0], x * stride[1] + q * dilation[1] - padding[1]
            if 0 <= row < sizes[0] and 0 <= column < sizes[1]:
                result[c // (ins // groups) * outs + o, row, column] += values[c, y, x] * weight[c, o, r, q]
    return result


def convolved(values: np.ndarray, conv: Conv2d) -> np.ndarray:
    """A convolution of one frame, window by window."""
    (down, right), (above, left), (apart, aside) = conv.stride, conv.padding, conv.dilation
    out, height, width = conv.output_shape((Shape(*values.shape),))
    padded = np.pad(values, [(0, 0), (above, above), (left, left)])
    ins, kernel = conv.weight.shape[1], conv.kernel
    result = np.zeros((out, height, width), int)
    for o, y, x in np.ndindex(result.shape):
        first = o // (out // conv.groups) * ins
        window = padded[first : first + ins, y * down :: apart, x * right :: aside][:, : kernel[0], : kernel[1]]
        result[o, y, x] = (window * conv.weight[o]).sum()
    return result


@pytest.mark.parametrize("seed", range(40))
def test_a_transposed_convolution_is_the_sum_of_kernels_scattered(seed: int) -> None:
    random = np.random.default_rng(seed)

    def pair(low: int, high: int) -> tuple[int, int]:
        return int(random.integers(low, high + 1)), int(random.integers(low, high + 1))

    stride, kernel, dilation, groups = pair(1, 3), pair(1, 4), pair(1, 2), int(random.integers(1, 3))
    padding = tuple(int(random.integers(0, d * (k - 1) + 1)) for d, k in zip(dilation, kernel, strict=True))
    trailing = tuple(int(random.integers(0, s)) for s in stride)
    values = random.integers(-3, 4, (2 * groups, *pair(2, 5)))
    weight = random.integers(-256, 256, (2 * groups, int(random.integers(1, 3)), *kernel))
    sizes = zip(values.shape[1:], stride, padding, dilation, kernel, trailing, strict=True)
    if min((n - 1) * s - 2 * p + d * (k - 1) + t + 1 for n, s, p, d, k, t in sizes) < 1:
        pytest.skip("nothing would be left")
    geometry = (stride, padding, trailing, dilation, groups)
    wire, conv = transposed(weight, *geometry)  # type: ignore[arg-type]
    expected = scattered(values, weight, *geometry)  # type: ignore[arg-type]
    assert np.array_equal(convolved(wire.upsampled(values), conv), expected)


def test_a_transposed_convolution_beyond_its_kernel_is_refused() -> None:
    with pytest.raises(NetworkError, match=r"padding \(2, 2\) is beyond the reach of a 2x2 kernel"):
        transposed(np.ones((1, 1, 2, 2), int), 2, 2)
    with pytest.raises(NetworkError, match=r"expected \(in, out / 2, height, width\)"):
        transposed(np.ones((3, 1, 2, 2), int), groups=2)
    with pytest.raises(NetworkError, match=r"fewer than the factor \(2, 2\)"):
        transposed(np.ones((1, 1, 2, 2), int), 2, trailing=2)


@pytest.mark.parametrize(
    ("stride", "dilation", "low", "high"),
    [
        (1, 1, -7, 24 + 12),  # all taps meet in one neuron
        (2, 1, -7, 20 + 4),  # a row each, and of three columns the two outer ones, or the middle one
        ((1, 3), 1, -7, 3 + 20),  # two rows of one column
        (2, 2, -7, 24 + 12),  # taps two apart on values two apart
    ],
)
def test_only_taps_that_meet_count_for_the_head_room_of_a_transposed_convolution(
    stride: Any, dilation: int, low: int, high: int
) -> None:
    wire, conv = transposed([[[[3, 0, 9], [20, -7, 4]]]], stride, dilation=dilation)
    layers = (Layer("up", ("x",), wire), Layer("out", ("up",), conv, LIF(1)))
    [bound] = headroom(Network((Input("x", Shape(1, 3, 3)),), layers, ("out",)))
    assert (bound.low.tolist(), bound.high.tolist()) == ([low], [high])


def test_currents_add_up_over_layers_side_by_side() -> None:
    random = np.random.default_rng(3)
    main = Conv2d(random.integers(-9, 10, (2, 3, 3, 3)), (2, 2), (1, 1), weight_exponent=1)
    short = Conv2d(random.integers(-9, 10, (2, 2, 1, 1)), (2, 2))
    depthwise = Conv2d(random.integers(-9, 10, (2, 1, 3, 1)), (2, 2), (1, 0), groups=2)
    a, b, c = (random.integers(0, 2, (channels, 7, 6)) for channels in (3, 2, 2))
    both = added(main, short, depthwise)
    assert (both.kernel, both.padding, both.weight_exponent) == ((3, 3), (1, 1), 0)
    expected = 2 * convolved(a, main) + convolved(b, short) + convolved(c, depthwise)
    assert np.array_equal(convolved(np.concatenate([a, b, c]), both), expected)
    layers = (
        Layer("all", ("a", "b", "c"), Concat()),
        Layer("sum", ("all",), both, LIF(3)),
    )
    inputs = tuple(Input(name, Shape(*values.shape)) for name, values in zip("abc", (a, b, c), strict=True))
    assert Network(inputs, layers, ("sum",)).shape("sum") == (2, 4, 3)


@pytest.mark.parametrize(
    ("second", "message"),
    [
        (Conv2d(np.ones((2, 1, 1, 1), int)), "differ in their output channels or strides"),
        (Conv2d(np.ones((1, 1, 1, 1), int), 2), "differ in their output channels or strides"),  # type: ignore[arg-type]
        (Conv2d(np.ones((1, 1, 3, 3), int)), "outputs of different sizes"),
        (Conv2d(np.ones((1, 1, 3, 3), int), 1, 2, 2), r"differ in their dilations, \[1, 2\]"),  # type: ignore[arg-type]
    ],
)
def test_currents_that_do_not_fit_are_not_added(second: Conv2d, message: str) -> None:
    with pytest.raises(NetworkError, match=message):
        added(Conv2d(np.ones((1, 1, 3, 3), int), (1, 1), (1, 1)), second)
    with pytest.raises(NetworkError, match="nothing is to be added"):
        added()


def test_a_sum_whose_weights_leave_the_mantissas_is_refused() -> None:
    with pytest.raises(NetworkError, match="weight"):
        added(Conv2d(np.full((1, 1, 1, 1), 255), weight_exponent=1), Conv2d(np.ones((1, 1, 1, 1), int)))


@pytest.mark.parametrize("name", ["one.nir", "one.net"])
def test_a_single_file_refuses_up_sampling_by_name_and_a_folder_holds_it(name: str, tmp_path: Path) -> None:
    wire, conv = transposed(np.full((1, 1, 2, 2), 2), 2)
    layers = (Layer("wider", ("x",), wire), Layer("out", ("wider",), conv, LIF(1)))
    network = Network((Input("x", Shape(1, 3, 3)),), layers, ("out",))
    with pytest.raises(FormatError, match=r"one\..*'wider'"):
        save(network, tmp_path / name)
    if name == "one.nir":
        with pytest.raises(FormatError, match="'out': reads the up-sampling 'wider', which no NIR node is"):
            write_nir_integers(network, tmp_path / name)
    assert list(tmp_path.iterdir()) == []
    save(network, tmp_path / "folder", format=name[-3:])  # type: ignore[arg-type]
    assert load(tmp_path / "folder") == network
    manifest = tmp_path / "folder" / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"zeros": true', '"zeros": "yes"'))
    with pytest.raises(FormatError, match=r"manifest\.json: glue\[0\]: zeros: expected True or False, got 'yes'"):
        load(tmp_path / "folder")


def test_fingerprints_and_differences_tell_up_samplings_apart() -> None:
    def network(wire: Upsample) -> Network:
        layers = (Layer("up", ("x",), wire), Layer("out", ("up",), Conv2d([[[[2]]]]), LIF(1)))
        return Network((Input("x", Shape(1, 3, 3)),), layers, ("out",))

    plain = network(Upsample(2))
    others = [network(Upsample((2, 3))), network(Upsample(2, zeros=True)), network(Upsample(2, True, 1))]  # type: ignore[arg-type]
    assert len({fingerprint(one) for one in (plain, *others)}) == 4
    assert first_difference(plain, plain) is None
    said = first_difference(others[1], others[2])
    assert said is not None
    assert "up" in said
    assert "trailing" in said
