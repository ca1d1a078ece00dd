"""Up-sampling in the engine, in its counts, on a chip's cores and in Lava: against torch, and worked out by hand."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from netx import LIF, Accumulator, Concat, Conv2d, Input, Layer, Network, Range, Upsample, added, transposed
from sim import engine, lava
from sim.compiled import compile

CASES = [
    # stride, kernel, padding, trailing, dilation, groups
    ((2, 2), (2, 2), (0, 0), (0, 0), (1, 1), 1),
    ((2, 2), (4, 4), (1, 1), (0, 0), (1, 1), 1),
    ((2, 2), (3, 3), (1, 1), (1, 1), (1, 1), 2),
    ((3, 1), (2, 3), (0, 1), (2, 0), (2, 1), 1),
]


def weights(seed, *shape):
    return np.random.default_rng(seed).integers(-9, 10, shape)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("values", [Range(0, 1), Range(-100, 300)])
def test_a_transposed_convolution_is_torchs(case, values) -> None:
    stride, kernel, padding, trailing, dilation, groups = case
    weight = weights(1, 4, 3, *kernel)
    wire, conv = transposed(weight, stride, padding, trailing, dilation, groups)
    network = Network(
        (Input("x", (4, 6, 5), values),),
        (Layer("up", ("x",), wire), Layer("sum", ("up",), conv, Accumulator()), Layer("fire", ("up",), conv, LIF(5))),
        ("sum", "fire"),
    )
    frames = np.random.default_rng(2).integers(values.low, values.high + 1, (3, 4, 6, 5))
    expected = F.conv_transpose2d(
        torch.from_numpy(frames).double(),
        torch.from_numpy(weight).double(),
        stride=stride,
        padding=padding,
        output_padding=trailing,
        dilation=dilation,
        groups=groups,
    ).numpy()
    for record in (False, True):
        recording = compile(network, record=record, batch=2).run({"x": frames})
        assert np.array_equal(recording.membranes["sum"], expected)
        assert np.array_equal(recording.spikes["fire"], expected > 5)


def test_nearest_up_sampling_is_torchs_in_every_type() -> None:
    conv = Conv2d(weights(3, 5, 2, 3, 3), (1, 1), (1, 1))
    network = Network(
        (Input("x", (2, 4, 3), Range(-5, 5)),),
        (Layer("up", ("x",), Upsample((2, 3))), Layer("sum", ("up",), conv, Accumulator())),
        ("sum",),
    )
    frames = np.random.default_rng(4).integers(-5, 6, (2, 2, 4, 3))
    larger = torch.from_numpy(frames).double().repeat_interleave(2, 2).repeat_interleave(3, 3)
    expected = F.conv2d(larger, torch.tensor(conv.weight).double(), padding=1).numpy()
    for kind in ("float32", "float64", "int64"):
        assert np.array_equal(compile(network, types=kind).run({"x": frames}).membranes["sum"], expected)


def pyramid() -> Network:
    """A detector's neck in small: two read-outs, the coarse map up-sampled and added to, and beside, the fine one."""
    down, coarse = Conv2d(weights(5, 4, 2, 3, 3), (2, 2), (1, 1)), Conv2d(weights(6, 4, 4, 1, 1))
    meet = added(Conv2d(weights(7, 3, 4, 1, 1)), Conv2d(weights(8, 3, 2, 3, 3), (1, 1), (1, 1)))
    wire, up = transposed(weights(9, 4, 2, 2, 2), 2)
    return Network(
        (Input("x", (2, 8, 6)),),
        (
            Layer("down", ("x",), down, LIF(7)),
            Layer("coarse", ("down",), coarse, LIF(3)),
            Layer("near", ("coarse",), Upsample(2)),
            Layer("both", ("near", "x"), Concat()),
            Layer("meet", ("both",), meet, LIF(5)),
            Layer("apart", ("coarse",), wire),
            Layer("up", ("apart",), up, LIF(3)),
            Layer("beside", ("up", "meet"), Concat()),
            Layer("fine", ("beside",), Conv2d(weights(10, 2, 5, 3, 3), (1, 1), (1, 1)), Accumulator()),
            Layer("rough", ("coarse",), Conv2d(weights(11, 2, 4, 1, 1)), Accumulator()),
        ),
        ("rough", "fine"),
    )


def frames_of(network: Network, count: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(12)
    return {source.name: random.integers(0, 2, (count, *source.shape)) for source in network.inputs}


def test_currents_of_a_pyramid_add_up() -> None:
    network, frames = pyramid(), frames_of(pyramid(), 4)
    seen = engine.run(network, frames)
    coarse, fine = (torch.from_numpy(np.asarray(values)).double() for values in (seen.spikes["coarse"], frames["x"]))
    lateral = torch.from_numpy(weights(8, 3, 2, 3, 3)).double()
    above = torch.from_numpy(weights(7, 3, 4, 1, 1)).double()
    currents = F.conv2d(F.interpolate(coarse, scale_factor=2), above) + F.conv2d(fine, lateral, padding=1)
    assert np.array_equal(seen.membranes["meet"], currents.numpy())
    assert 0 < seen.spikes["meet"].mean() < 1


@pytest.mark.lava
@pytest.mark.usefixtures("traces")
def test_a_pyramid_gives_the_same_bits_in_lavas_stock_processes() -> None:
    """Its ways are one to three layers long where they meet."""
    network, frames = pyramid(), frames_of(pyramid(), 4)
    ours, theirs = engine.run(network, frames), lava.run(network, frames)
    for name, spikes in ours.spikes.items():
        assert np.array_equal(theirs.spikes[name], spikes), name
    for name, membranes in ours.membranes.items():
        assert np.array_equal(theirs.membranes[name], membranes), name
