"""Up-sampling in the engine, in its counts, on a chip's cores and in Lava: against torch, and worked out by hand."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from netx import (
    LIF,
    SPIKES,
    Accumulator,
    Concat,
    Conv2d,
    Input,
    Layer,
    Network,
    NetworkError,
    Range,
    Upsample,
    added,
    transposed,
)
from sim import engine, lava
from sim.activity import count
from sim.compiled import compile
from sim.hardware import load_chip
from sim.lava.states import states
from sim.mapping import map_network
from sim.mapping.traffic import messages, rates
from sim.random_networks import Drawn
from sim.selfcheck import check

CASES = [
    # stride, kernel, padding, trailing, dilation, groups
    ((2, 2), (2, 2), (0, 0), (0, 0), (1, 1), 1),
    ((2, 2), (4, 4), (1, 1), (0, 0), (1, 1), 1),
    ((2, 2), (3, 3), (1, 1), (1, 1), (1, 1), 2),
    ((3, 1), (2, 3), (1, 1), (2, 0), (2, 1), 1),
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


def one_up(wire: Upsample, conv: Conv2d, shape: tuple[int, int, int] = (4, 6, 5), values: Range = SPIKES) -> Network:
    layers = (
        Layer("up", ("x",), wire),
        Layer("fire", ("up",), conv, LIF(5)),
        Layer("flat", ("fire",), Conv2d(weights(13, 2, len(conv.weight), 1, 1)), Accumulator()),
    )
    return Network((Input("x", shape, values),), layers, ("flat",))


@pytest.mark.lava
@pytest.mark.usefixtures("traces")
def test_every_variable_of_up_sampling_is_that_of_lavas_stock_models() -> None:
    """Whatever stride, kernel, padding and dilation, also behind nearest up-sampling, twice, and of negative values."""
    networks = [one_up(*transposed(weights(1, 4, 3, *case[1]), case[0], *case[2:])) for case in CASES]
    graded = Range(-100, 300)
    networks += [
        one_up(Upsample(2), Conv2d(weights(14, 3, 4, 3, 3), (1, 1), (1, 1))),
        one_up(Upsample((3, 2)), Conv2d(weights(15, 8, 1, 2, 4), (2, 1), (0, 2), (1, 2), 4), (4, 4, 7), graded),
        one_up(Upsample(4), Conv2d(weights(16, 3, 4, 6, 6), (2, 2), (2, 2)), values=graded),
    ]
    twice = (
        Layer("once", ("x",), Upsample(2, zeros=True, trailing=1)),
        Layer("again", ("once",), Upsample((1, 3))),
        Layer("sum", ("again",), Conv2d(weights(17, 2, 2, 3, 5), (1, 1), (1, 2)), Accumulator()),
    )
    networks.append(Network((Input("x", (2, 3, 4)),), twice, ("sum",)))
    random = np.random.default_rng(18)
    drawn = [
        Drawn(network, {"x": random.integers(*network.range("x"), (4, *network.shape("x")), endpoint=True)})
        for network in networks
    ]
    for simulated in (False, True):
        chosen = drawn[1:7:5] if simulated else drawn
        outcome = check(chosen, simulated=simulated)
        assert outcome.first is None, outcome.first
        assert outcome.compared == len(chosen)


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (one_up(*transposed(weights(1, 4, 3, 3, 3), 2, 1)), r"'fire': its 11 rows or columns are no multiple of 2"),
        (
            one_up(Upsample(2), Conv2d(weights(1, 3, 4, 2, 2)), values=Range(0, 1 << 20)),
            "'fire': its sums may leave 24",
        ),
    ],
)
def test_what_lava_has_no_form_of_is_refused_by_name(network, message) -> None:
    with pytest.raises(NetworkError, match=message):
        lava.run(network, {"x": np.zeros((1, 4, 6, 5))})
    with pytest.raises(NetworkError, match=message):
        states([(network, {"x": np.zeros((1, 4, 6, 5))})])


def test_ways_of_different_lengths_are_refused_where_a_network_remembers() -> None:
    network = pyramid()
    layers = [
        Layer(one.name, one.inputs, one.synapse, LIF(3, voltage_decay=100)) if one.name == "coarse" else one
        for one in network.layers
    ]
    slow = Network(network.inputs, tuple(layers), network.outputs)
    with pytest.raises(NetworkError, match="'both': ways of different lengths meet in it"):
        lava.run(slow, frames_of(slow, 1))


def test_up_sampled_spikes_count_once_for_every_connection() -> None:
    """Two channels, 2x2, each spike: nearest to 4x4 under a 3x3 kernel of 5 outputs; and kernel 2 at stride 2."""
    near = Network(
        (Input("x", (2, 2, 2)),),
        (Layer("up", ("x",), Upsample(2)), Layer("a", ("up",), Conv2d(np.ones((5, 2, 3, 3)), 1, 1), LIF(1))),
        ("a",),
    )
    wire, conv = transposed(np.ones((2, 5, 2, 2)), 2)
    apart = Network((Input("x", (2, 2, 2)),), (Layer("up", ("x",), wire), Layer("a", ("up",), conv, LIF(1))), ("a",))
    frames = {"x": np.ones((1, 2, 2, 2), int)}
    # Along an axis of 4 the windows of 3 with padding 1 hold 2 + 3 + 3 + 2 values.
    for network, synops, arrived in ((near, 10 * 10 * 2 * 5, 2 * 16), (apart, 8 * 4 * 5, 8)):
        [layer] = count(network, frames, engine.run(network, frames)).layers
        assert (layer.synops.tolist(), layer.messages.tolist()) == ([synops], [arrived])
        assert layer.active_updates.tolist() == [5 * 16]


def test_a_chips_cores_send_an_up_sampled_spike_once_to_each_core_that_reads_a_copy() -> None:
    """Sixteen by sixteen of one core, read as 32x32 by the four rows of cores that Loihi 2's 8,192 neurons need."""
    layers = (
        Layer("first", ("x",), Conv2d(np.full((8, 1, 1, 1), 2)), LIF(1)),
        Layer("up", ("first",), Upsample(2)),
        Layer("second", ("up",), Conv2d(np.full((32, 8, 1, 1), 2)), LIF(1)),
    )
    network = Network((Input("x", (1, 16, 16)),), layers, ("second",))
    chip = load_chip("loihi2")
    mapped = map_network(network, chip, "loihi2")
    assert not mapped.violations
    sent = messages(network, mapped, rates(network), chip.packing)
    senders = [number for number, core in enumerate(mapped.cores) if core.layer == "first"]
    readers = [core for core in mapped.cores if core.layer == "second"]
    boxes = {tuple(core.box) for core in readers}
    assert sent[senders].sum() == 8 * sum(
        (-(-box[1][1] // 2) - box[1][0] // 2) * (-(-box[2][1] // 2) - box[2][0] // 2) for box in boxes
    )
