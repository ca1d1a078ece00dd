"""Two linear maps in a row, joined, do to every input what one after the other does."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from netx.types import Shape
from quantize.nir_import import operators as op
from quantize.nir_import.errors import CannotError

RNG = np.random.default_rng(3)


def conv(out: int, ins: int, kernel: tuple[int, int], *window: object, groups: int = 1) -> op.Conv:
    return op.Conv(RNG.normal(size=(out, ins // groups, *kernel)), *window, groups=groups)  # type: ignore[arg-type]


def pool(channels: int, kernel: tuple[int, int], stride: tuple[int, int], padding: tuple[int, int] = (0, 0)) -> op.Conv:
    return op.Conv(np.ones((channels, 1, *kernel)), stride, padding, (1, 1), channels)


def one_after_the_other(maps: list[op.Operator], values: op.Float) -> op.Float:
    for one in maps:
        if isinstance(one, op.Conv):
            values = op.apply(one, values, one.output_shape(Shape(*values.shape)))
        elif isinstance(one, op.Dense):
            values = (one.weight @ values.ravel()).reshape(-1, 1, 1)
        else:
            values = values * one.factor
    return values


def check(source: Shape, maps: list[op.Operator]) -> op.Term:
    """Join the maps and compare with running them one after the other on random inputs."""
    term = op.identity(source)
    for one in maps:
        if isinstance(one, op.Conv):
            term = op.then_conv(term, one)
        else:
            term = op.then_dense(term, one.weight) if isinstance(one, op.Dense) else op.then_scaled(term, one.factor)
    matrix = op.as_dense(term).operator
    for _ in range(3):
        values = RNG.normal(size=source)
        expected = one_after_the_other(maps, values)
        assert np.allclose(op.apply(term.operator, values, term.shape), expected, atol=1e-9)
        assert np.allclose(op.apply(matrix, values, term.shape), expected, atol=1e-9)
    return term


@pytest.mark.parametrize("size", [(8, 8), (9, 8), (7, 10)])
@pytest.mark.parametrize("padding", [0, 1, 2])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_pooling_before_a_convolution_whatever_the_tails_and_paddings(
    size: tuple[int, int], padding: int, stride: int
) -> None:
    kernel = (2, 2) if stride == 3 else (3, 3)
    check(Shape(3, *size), [pool(3, (2, 2), (stride, stride)), conv(4, 3, kernel, (1, 1), (padding, padding))])


def test_a_joined_pool_stays_a_convolution_where_the_window_divides_the_frame() -> None:
    term = check(Shape(3, 8, 8), [pool(3, (2, 2), (2, 2)), conv(4, 3, (3, 3), (1, 1), (1, 1))])
    assert isinstance(term.operator, op.Conv)
    assert (term.operator.stride, term.operator.padding, term.operator.weight.shape) == ((2, 2), (2, 2), (4, 3, 6, 6))


def test_a_tail_that_the_pool_drops_and_padding_would_see_makes_a_matrix() -> None:
    term = check(Shape(3, 9, 8), [pool(3, (2, 2), (2, 2)), conv(4, 3, (3, 3), (1, 1), (1, 1))])
    assert isinstance(term.operator, op.Dense)


@pytest.mark.parametrize(
    "maps",
    [
        lambda: [conv(6, 4, (3, 2), (2, 1), (1, 0), (1, 2), groups=2), pool(6, (2, 2), (2, 2))],
        lambda: [pool(4, (3, 3), (2, 2), (1, 1)), conv(6, 4, (2, 2), groups=2)],
        lambda: [conv(6, 4, (3, 3)), conv(2, 6, (2, 2), (2, 2), (0, 0), (2, 1), groups=2)],
        lambda: [conv(6, 4, (3, 3), (2, 2), (1, 1)), op.Dense(RNG.normal(size=(5, 6 * 4 * 5)))],
        lambda: [op.Scaled(RNG.normal(size=(4, 1, 1)) * np.ones((4, 8, 9))), conv(6, 4, (3, 3), groups=2)],
        lambda: [op.Scaled(RNG.normal(size=(4, 8, 9))), conv(6, 4, (3, 3))],
        lambda: [conv(6, 4, (3, 3), (1, 1), (1, 1)), op.Scaled(RNG.normal(size=(6, 8, 9)))],
        lambda: [conv(6, 4, (3, 3), (1, 1), (1, 1)), op.Scaled(RNG.normal(size=(6, 1, 1)) * np.ones((6, 8, 9)))],
        lambda: [op.Dense(RNG.normal(size=(7, 4 * 8 * 9))), op.Scaled(RNG.normal(size=(7, 1, 1)))],
    ],
)
def test_maps_of_every_kind(maps: Callable[[], list[op.Operator]]) -> None:
    check(Shape(4, 8, 9), maps())


def test_kernels_of_different_sizes_add_up_when_their_centres_agree() -> None:
    source = Shape(3, 6, 7)
    wide = op.then_conv(op.identity(source), conv(5, 3, (3, 3), (2, 2), (1, 1)))
    narrow = op.then_conv(op.identity(source), conv(5, 3, (1, 1), (2, 2)))
    total = op.added(wide, narrow)
    assert isinstance(total.operator, op.Conv)
    values = RNG.normal(size=source)
    apart = op.apply(wide.operator, values, wide.shape) + op.apply(narrow.operator, values, narrow.shape)
    assert np.allclose(op.apply(total.operator, values, total.shape), apart)


def test_what_would_be_too_large_is_refused_before_it_is_made() -> None:
    term = op.identity(Shape(64, 128, 128))
    with pytest.raises(CannotError, match="more than 16777216"):
        op.as_dense(term)


@pytest.mark.filterwarnings("error")
def test_kernels_that_must_not_be_written_to_are_copied_for_torch() -> None:
    kernel, values = np.full((1, 1, 1, 2), 2.0), np.array([[[1.0, 3.0, 5.0]]])
    for array in (kernel, values):
        array.flags.writeable = False
    torch.set_warn_always(True)
    try:
        got = op.apply(op.Conv(kernel, (1, 1), (0, 0), (1, 1), 1), values, Shape(1, 1, 2))
    finally:
        torch.set_warn_always(False)
    assert got.tolist() == [[[8.0, 16.0]]]
