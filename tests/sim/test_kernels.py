"""Every exact type gives the sums that plain int64 arithmetic gives, and is taken only where that is proven."""

import itertools
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import sim
from netx import Conv2d, Dense, Flatten, NetworkError, Pool, Range, Shape
from sim.kernels import (
    EXACT_TYPES,
    ByRate,
    Convolution,
    Geometry,
    as_convolution,
    choose,
    exact_arithmetic,
    floating,
    int8,
    native,
)
from sim.kernels.convolution import seen_alone

SPIKES, SIGNED, PIXELS = Range(0, 1), Range(-128, 127), Range(0, 255)


@st.composite
def convolutions(draw):
    """Convolutions of every shape, as SLAYER trains their weights: even, and now and then saturated."""
    groups, batch = draw(st.sampled_from([1, 1, 2, 3])), draw(st.integers(1, 3))
    kernel, stride, padding, dilation = (
        draw(st.tuples(st.integers(low, high), st.integers(low, high)))
        for low, high in ((1, 4), (1, 3), (0, 2), (1, 2))
    )
    height, width = (d * (k - 1) + 1 + draw(st.integers(0, 9)) for k, d in zip(kernel, dilation, strict=True))
    source = Shape(groups * draw(st.integers(1, 9)), height, width)
    geometry = Geometry(batch, source, groups * draw(st.integers(1, 9)), kernel, stride, padding, dilation, groups)
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    shape = geometry.weight_shape
    weight = rng.choice([-256, 254], shape) if draw(st.booleans()) else rng.integers(-128, 128, shape) * 2
    values = draw(st.sampled_from([SPIKES, SIGNED, PIXELS, Range(-3, 12)]))
    return Convolution(weight.astype(np.int32), geometry, values), rng


def frames_of(convolution, rng):
    shape = (convolution.geometry.batch, *convolution.geometry.source)
    random = rng.integers(convolution.values.low, convolution.values.high + 1, shape)
    return [random, *(np.full(shape, end) for end in convolution.values)]


def run(kernel, frames):
    with exact_arithmetic():
        return kernel(torch.from_numpy(frames)).to(torch.int64).numpy()


def windows(geometry):
    return geometry.stride, geometry.padding, geometry.dilation, geometry.groups


def sees_padding_alone(geometry):
    extents = [d * (k - 1) + 1 for k, d in zip(geometry.kernel, geometry.dilation, strict=True)]
    return any(p >= extent for p, extent in zip(geometry.padding, extents, strict=True))


@settings(max_examples=60, deadline=None)
@given(convolutions())
def test_every_type_gives_the_sums_of_plain_integers(direct_sums, exact_in_8_bits, drawn):
    convolution, rng = drawn
    offset = rng.integers(-999, 1000, convolution.geometry.channels)
    by_bytes = exact_in_8_bits(convolution.values) and not sees_padding_alone(convolution.geometry)
    names = [name for name in EXACT_TYPES if name != "int8" or by_bytes]
    kernels = [choose("a", convolution, offset=offset, forced=name)[1] for name in names]
    fires = [choose("a", convolution, offset=offset, spikes=True, forced=name)[1] for name in names]
    for frames in frames_of(convolution, rng):
        expected = direct_sums(frames, convolution.weight, *windows(convolution.geometry)) + offset[:, None, None]
        for name, kernel, fire in zip(names, kernels, fires, strict=True):
            np.testing.assert_array_equal(run(kernel, frames), expected, err_msg=name)
            np.testing.assert_array_equal(run(fire, frames), expected > 0, err_msg=f"{name} spikes")


@settings(max_examples=30, deadline=None)
@given(convolutions())
def test_the_matrix_product_for_other_devices_gives_the_sums_of_plain_integers(direct_sums, drawn):
    convolution, rng = drawn
    geometry, weight = convolution.geometry, torch.from_numpy(convolution.weight)
    for frames in frames_of(convolution, rng):
        bias = torch.zeros(geometry.channels)
        sums = floating.by_matrices(geometry, weight.float(), bias, torch.from_numpy(frames).float())
        np.testing.assert_array_equal(sums.numpy(), direct_sums(frames, convolution.weight, *windows(geometry)))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(-256, 255), min_size=1, max_size=4), st.integers(-2, 1), st.integers(1, 3))
def test_the_bound_is_the_largest_sum_that_any_part_of_any_input_reaches(weights, low, span):
    weight = np.array(weights, np.int32).reshape(1, -1, 1, 1)
    convolution = as_convolution(Conv2d(weight), Shape(len(weights), 1, 1), Range(low, low + span))
    choices = [range(min(low, 0), max(low + span, 0) + 1)] * len(weights)  # a term left out counts as zero
    largest = max(
        abs(sum(w * v for w, v in zip(weights, values, strict=True))) for values in itertools.product(*choices)
    )
    assert convolution.bound == largest


def one_value(bound):
    """One input channel whose largest value makes the bound, with a weight of one."""
    return as_convolution(Conv2d(np.ones((1, 1, 1, 1))), Shape(1, 1, 1), Range(0, bound))


@pytest.mark.parametrize(("bits", "narrow", "wide"), [(24, "float32", "float64"), (53, "float64", "int64")])
def test_a_type_is_left_at_the_first_integer_it_cannot_hold(bits, narrow, wide):
    assert choose("a", one_value((1 << bits) - 1))[0].type == narrow
    choice, kernel = choose("a", one_value(1 << bits))
    assert (choice.type, choice.bound) == (wide, 1 << bits)
    assert run(kernel, np.full((1, 1, 1, 1), (1 << bits) - 1)).item() == (1 << bits) - 1
    with pytest.raises(NetworkError, match=rf"layer 'a': {narrow} is not exact: sums can reach {1 << bits}"):
        choose("a", one_value(1 << bits), forced=narrow)


def test_the_offset_counts_in_the_bound():
    with pytest.raises(NetworkError, match="float32 is not exact"):
        choose("a", one_value((1 << 24) - 9), offset=np.array([-10]), forced="float32")


def test_sums_past_64_bits_are_refused():
    with pytest.raises(NetworkError, match=r"layer 'a': sums can reach .* 64 bits"):
        choose("a", one_value(1 << 63))


@pytest.mark.parametrize(
    ("weight", "values", "why"),
    [
        ([[-256, 255]], SPIKES, "weights of -256..255 in steps of 1 need over 8 bits"),
        ([[2, -2]], Range(0, 256), "values of 0..256 do not fit 8 bits"),
        ([[2, -2]], Range(-129, 0), "values of -129..0 do not fit 8 bits"),
        ([[127, 126] * 300], SIGNED, "signed values are moved to 0..255, and their sums of up to 19354500"),
        ([[127, 126] * 300], PIXELS, "19354500 is not below 2^24"),
    ],
)
def test_int8_is_refused_where_8_bits_are_not_enough(weight, values, why):
    weight = np.array(weight)[:, :, None, None]
    convolution = as_convolution(Conv2d(weight), Shape(weight.shape[1], 1, 1), values)
    with pytest.raises(NetworkError, match="layer 'a': int8 is not exact here: ") as caught:
        choose("a", convolution, forced="int8")
    assert why in str(caught.value)


@pytest.mark.parametrize(("kernel", "padding"), [((5, 1), (0, 1)), ((2, 3), (2, 0))])
def test_int8_is_refused_where_a_window_lies_in_the_padding_alone(kernel, padding):
    """oneDNN's operator in torch 2.3.1 then reads outside its memory, and sometimes takes the process with it."""
    layer = Conv2d(np.full((4, 3, *kernel), 2), padding=padding, stride=(3, 3))
    convolution = as_convolution(layer, Shape(3, 9, 9), SPIKES)
    with pytest.raises(NetworkError, match=r"int8 .*: a window of it lies in the padding alone"):
        choose("a", convolution, forced="int8")
    assert choose("a", convolution)[0].type != "int8"


def big_layer():
    rng = np.random.default_rng(4)
    return as_convolution(Conv2d(rng.integers(-128, 128, (32, 16, 3, 3)) * 2), Shape(16, 30, 30), SPIKES)


def test_wrong_bits_in_the_self_test_rule_int8_out(monkeypatch, direct_sums):
    honest = int8.build

    def one_off(*arguments):
        kernel = honest(*arguments)
        return lambda values: kernel(values) ^ 1 if kernel(values).dtype == torch.uint8 else kernel(values) + 1

    monkeypatch.setattr(int8, "build", one_off)
    int8._trial.cache_clear()
    choice, kernel = choose("a", big_layer())
    assert choice.type == "float32"
    assert "wrong bits in the self-test" in choice.reason
    frames = np.random.default_rng(0).integers(0, 2, (1, 16, 30, 30))
    np.testing.assert_array_equal(run(kernel, frames), direct_sums(frames, big_layer().weight))
    int8._trial.cache_clear()


def test_a_torch_without_the_operators_takes_float32_and_says_so(monkeypatch):
    monkeypatch.setattr(int8, "_onednn", lambda: object())
    int8._trial.cache_clear()
    choice, _ = choose("a", big_layer())
    assert choice.type == "float32"
    assert "has no such operators" in choice.reason
    int8._trial.cache_clear()


def test_a_layer_with_little_to_compute_is_not_put_to_the_test():
    choice, _ = choose("a", as_convolution(Dense(np.full((4, 4), 2)), Shape(4, 1, 1), SPIKES))
    assert choice.type == ("events" if native.available() else "float32")
    assert "too little to compute" in choice.reason


def test_a_small_depth_wise_layer_is_multiplied_out_and_does_not_follow_its_spikes():
    random = np.random.default_rng(0)
    template = Conv2d(2 * random.integers(0, 2, (16, 1, 4, 4)), groups=16)
    choice, kernel = choose("correlation", as_convolution(template, Shape(16, 12, 12), SPIKES))
    assert choice.type == "float32"
    assert not isinstance(kernel, ByRate)


def test_dense_and_pool_are_convolutions(direct_sums):
    rng = np.random.default_rng(2)
    dense, pool = Dense(rng.integers(-256, 256, (5, 7))), Pool((3, 2), (2, 1), (1, 0), weight=3)
    flat, planes = rng.integers(0, 2, (4, 7, 1, 1)), rng.integers(0, 2, (2, 6, 9, 8))
    for name in ("float32", "float64", "int64"):
        _, kernel = choose("a", as_convolution(dense, Shape(7, 1, 1), SPIKES, batch=4), forced=name)
        np.testing.assert_array_equal(run(kernel, flat)[:, :, 0, 0], flat[:, :, 0, 0] @ dense.weight.T)
        _, kernel = choose("a", as_convolution(pool, Shape(6, 9, 8), SPIKES, batch=2), forced=name)
        windowed = direct_sums(planes, np.full((6, 1, 3, 2), 3), (2, 1), (1, 0), groups=6)
        np.testing.assert_array_equal(run(kernel, planes), windowed)
    with pytest.raises(NetworkError, match="a Flatten is no convolution"):
        as_convolution(Flatten(), Shape(1, 1, 1), SPIKES)


def test_exact_arithmetic_leaves_torch_as_it_was():
    torch.set_float32_matmul_precision("medium")
    try:
        with exact_arithmetic():
            assert torch.get_float32_matmul_precision() == "highest"
            assert not torch._C._get_nnpack_enabled()
        assert torch.get_float32_matmul_precision() == "medium"
        assert torch._C._get_nnpack_enabled()
    finally:
        torch.set_float32_matmul_precision("highest")


@pytest.mark.parametrize("instructions", ["AVX2", "AVX512_CORE", "SSE41"])
def test_a_processor_without_8_bit_products_gives_the_same_bits_or_refuses_int8(instructions):
    """Such processors add two products in 16 bits, which graded inputs can overflow: the self-test must see it."""
    script = """
import numpy as np, torch
from netx import Conv2d, NetworkError, Range, Shape
from sim.kernels import as_convolution, choose, exact_arithmetic
rng = np.random.default_rng(0)
for values in (Range(0, 1), Range(-128, 127), Range(0, 255)):
    weight = rng.choice([-256, 254], (32, 16, 3, 3))
    layer = as_convolution(Conv2d(weight), Shape(16, 30, 30), values)
    frames = torch.from_numpy(rng.choice(list(values), (1, 16, 30, 30)))
    with exact_arithmetic():
        expected = torch.nn.functional.conv2d(frames.double(), torch.from_numpy(weight).double())
        try:
            assert torch.equal(choose("a", layer, forced="int8")[1](frames).double(), expected)
            print(values, "int8")
        except NetworkError as error:
            assert "wrong bits in the self-test" in str(error), error
            print(values, "refused")
        assert torch.equal(choose("a", layer)[1](frames).double(), expected)
"""
    root = str(Path(sim.__file__).resolve().parents[1])
    environment = {**os.environ, "ONEDNN_MAX_CPU_ISA": instructions, "PYTHONPATH": root}
    result = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert "0..1 int8" in result.stdout


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU on this machine")
@pytest.mark.parametrize("values", [SPIKES, SIGNED, Range(0, 1 << 20)])
def test_a_gpu_gives_the_same_bits(direct_sums, values):
    rng = np.random.default_rng(8)
    weight = rng.integers(-256, 256, (24, 8, 3, 5))
    convolution = as_convolution(Conv2d(weight, (2, 1), (1, 2), groups=2), Shape(16, 33, 29), values)
    frames = rng.integers(values.low, values.high + 1, (1, 16, 33, 29))
    choice, kernel = choose("a", convolution, device="cuda")
    assert choice.type in ("float32", "float64")
    with exact_arithmetic():
        sums = kernel(torch.from_numpy(frames)).cpu().to(torch.int64).numpy()
    np.testing.assert_array_equal(sums, direct_sums(frames, weight, *windows(convolution.geometry)))


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_one_output_along_an_axis_and_a_stride_is_summed_right_in_every_type(direct_sums, data):
    """torch's 8-bit operators read outside of the input there: the stride is made 1, and the input cut to what is seen.

    Issue of oneDNN 3.3.6 and later; with AMX 22 of 146 such geometries were wrong, whatever torch's release.
    """
    draw = data.draw
    random = np.random.default_rng(draw(st.integers(0, 9999)))
    kernel = (draw(st.integers(1, 4)), draw(st.integers(1, 4)))
    dilation, stride = (
        (draw(st.integers(1, 2)), draw(st.integers(1, 2))),
        (draw(st.integers(1, 3)), draw(st.integers(2, 4))),
    )
    reach = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
    padding = (draw(st.integers(0, min(2, reach[0] - 1))), draw(st.integers(0, min(2, reach[1] - 1))))
    width = max(reach[1] - 2 * padding[1], 1) + draw(st.integers(0, stride[1] - 1))
    if (width + 2 * padding[1] - reach[1]) // stride[1] != 0:
        return
    height = max(reach[0] - 2 * padding[0], 1) + draw(st.integers(0, 6))
    channels = draw(st.integers(1, 20))
    layer = Conv2d(random.integers(-128, 128, (5, channels, *kernel)), stride, padding, dilation)
    sums = as_convolution(layer, Shape(channels, height, width), SPIKES, batch=3)
    assert sums.geometry.single[1]
    frames = random.integers(0, 2, (3, channels, height, width))
    expected = direct_sums(frames, layer.weight, stride, padding, dilation)
    alone, _ = seen_alone(sums)
    assert alone.geometry.output == sums.geometry.output
    assert not any(alone.geometry.single)
    assert "one output along an axis" in int8.objection(sums, sums.bound, "cpu")
    assert "one output along an axis" not in int8.objection(alone, sums.bound, "cpu")
    for kind in ("int8", "float32", "int64"):
        try:
            _, chosen = choose("a", sums, forced=kind)
        except NetworkError as error:
            assert kind == "int8"
            assert "operators" in str(error)  # noqa: PT017
            continue
        np.testing.assert_array_equal(run(chosen, frames), expected)
