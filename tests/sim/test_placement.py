"""Traffic counted edge by edge, and placements judged against every placement there is."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from netx import LIF, Concat, Conv2d, Dense, Flatten, Input, Layer, MonospikeError, Network, Shape, Upsample
from sim.engine import run
from sim.hardware import Mesh, load_chip
from sim.mapping import Mapping, map_network
from sim.mapping.placement import TRIED, place, place_greedily
from sim.mapping.traffic import coordinates, distances, hops, messages, rates

RNG = np.random.default_rng(1)
CHIP = load_chip("loihi2")
assert CHIP.limits is not None
LIMITS, PACKING = CHIP.limits, CHIP.packing
assert PACKING is not None


def network() -> Network:
    """A strided, a grouped, an up-sampled and a joined convolution, and a full connection."""

    def weight(*shape: int) -> np.ndarray:
        return RNG.integers(-20, 30, shape) * 2

    return Network(
        (Input("frame", Shape(2, 10, 9)),),
        (
            Layer("first", ("frame",), Conv2d(weight(4, 2, 3, 3), padding=1), LIF(21)),
            Layer("strided", ("first",), Conv2d(weight(3, 4, 2, 2), stride=3), LIF(21)),
            Layer("grouped", ("first",), Conv2d(weight(4, 2, 2, 2), stride=3, groups=2), LIF(21)),
            Layer("beside", ("strided", "grouped"), Concat()),
            Layer("near", ("beside",), Upsample((2, 3))),
            Layer("apart", ("near",), Upsample(2, zeros=True)),
            Layer("upsampled", ("apart",), Conv2d(weight(2, 7, 3, 2), stride=2), LIF(21)),
            Layer("both", ("strided", "grouped"), Concat()),
            Layer("flat", ("both",), Flatten()),
            Layer("full", ("flat",), Dense(weight(5, 7 * 3 * 3)), LIF(21)),
        ),
        ("full", "upsampled"),
    )


def mapped(neurons: int = 40) -> Mapping:
    """The network on cores of few neurons, so that it takes many."""
    few = LIMITS.model_copy(update={"neurons": LIMITS.neurons.model_copy(update={"value": neurons})})
    return map_network(network(), CHIP.model_copy(update={"limits": few}), "few")


def by_edges(net: Network, mapping: Mapping, spikes: dict[str, np.ndarray]) -> np.ndarray:
    """Messages between cores in one frame: pairs of a neuron that spikes and a core where some neuron reads it.

    Who reads whom is found by what changes: one input neuron at a time, through a network without signs.
    """
    traffic = np.zeros((len(mapping.cores), len(mapping.cores)))
    for reader in ("strided", "grouped", "upsampled", "full"):
        layer = net.layer(reader)
        sources = ["first"] if reader in ("strided", "grouped") else ["strided", "grouped"]
        for source in sources:
            for neuron in zip(*np.nonzero(spikes[source][0]), strict=True):
                alone = {name: np.zeros(net.shape(name)) for name in sources}
                alone[source][neuron] = 1
                values = np.concatenate(list(alone.values()))
                if reader == "full":
                    values = values.reshape(-1, 1, 1)
                elif reader == "upsampled":
                    near = values.repeat(2, 1).repeat(3, 2)
                    values = np.zeros((7, 2 * near.shape[1] - 1, 2 * near.shape[2] - 1))
                    values[:, ::2, ::2] = near
                reached = positive(layer, values)
                sender = next(i for i, c in enumerate(mapping.cores) if c.layer == source and holds(c.box, neuron))
                for number, core in enumerate(mapping.cores):
                    if core.layer == reader and reached[core.box.slices].any():
                        traffic[sender, number] += 1
    return traffic


def holds(box, neuron) -> bool:
    return all(span.low <= place < span.high for span, place in zip(box, neuron, strict=True))


def positive(layer: Layer, values: np.ndarray) -> np.ndarray:
    """Which neurons of ``layer`` are connected to the one that is set: its synapse with every weight one, by hand."""
    synapse = layer.synapse
    if isinstance(synapse, Dense):
        return np.full((synapse.weight.shape[0], 1, 1), values.any())
    assert isinstance(synapse, Conv2d)
    shape = synapse.output_shape((Shape(*values.shape),))
    out = np.zeros(shape, bool)
    inputs, outputs = values.shape[0] // synapse.groups, shape.channel // synapse.groups
    for channel, row, column in np.ndindex(*shape):
        group, top, left = channel // outputs, row * synapse.stride[0], column * synapse.stride[1]
        seen = values[
            group * inputs : (group + 1) * inputs, top : top + synapse.kernel[0], left : left + synapse.kernel[1]
        ]
        out[channel, row, column] = seen.any()
    return out


def test_messages_are_those_that_spikes_on_frames_cause() -> None:
    net, mapping = network(), mapped()
    assert len(mapping.cores) > 12
    frame = RNG.integers(0, 2, (1, 2, 10, 9))
    recording = run(net, {"frame": frame})
    spikes = {name: np.asarray(values) for name, values in recording.spikes.items()}
    assert 0 < spikes["first"].mean() < 1
    counted = messages(net, mapping, rates(net, recording), PACKING)
    np.testing.assert_array_equal(counted, by_edges(net, mapping, spikes))


def test_without_frames_every_neuron_sends_once() -> None:
    net, mapping = network(), mapped()
    ones = {layer.name: np.ones((1, *net.shape(layer.name))) for layer in net.layers if layer.neuron is not None}
    np.testing.assert_array_equal(messages(net, mapping, rates(net), PACKING), by_edges(net, mapping, ones))


def test_silence_sends_nothing_and_can_be_placed() -> None:
    net, mapping = network(), mapped()
    recording = run(net, {"frame": np.zeros((2, 2, 10, 9), int)})
    silent = {name: np.zeros_like(values) for name, values in rates(net, recording).items()}
    traffic = messages(net, mapping, silent, PACKING)
    assert not traffic.any()
    assert CHIP.mesh is not None
    placed = place(mapping, traffic, CHIP.mesh)
    assert sorted(set(placed.placement)) == sorted(placed.placement)


def test_hops_follow_the_mesh_and_cross_from_chip_to_chip() -> None:
    mesh = Mesh(columns=3, rows=2, cores_per_tile=2, source="made up", read="first-hand")
    x, y = coordinates(mesh, 2)
    assert list(zip(x[:5], y[:5], strict=True)) == [(0, 0), (0, 0), (1, 0), (1, 0), (2, 0)]
    between = distances(mesh, 2)
    assert between[0, 1] == 0  # the same tile
    assert between[0, 2] == 1
    assert between[0, 6] == 1  # one row down
    assert between[4, 12] == 1  # over the edge to the next chip
    assert between[0, 23] == 5 + 1
    np.testing.assert_array_equal(between, between.T)


def test_a_placement_of_few_cores_is_the_best_of_all() -> None:
    mesh = Mesh(columns=3, rows=2, cores_per_tile=1, source="made up", read="first-hand")
    mapping = mapped(320)
    count = len(mapping.cores)
    assert 4 <= count <= 6
    for seed in range(3):
        traffic = np.random.default_rng(seed).integers(0, 50, (count, count)).astype(float)
        np.fill_diagonal(traffic, 0)
        best = min(hops(traffic, mapping.placed(sites), mesh) for sites in permutations(range(6), count))
        assert hops(traffic, place(mapping, traffic, mesh, seed), mesh) == best


@pytest.mark.parametrize("seed", [0, 1])
def test_a_placement_is_better_than_row_by_row_and_the_same_for_the_same_seed(seed: int) -> None:
    net, mapping = network(), mapped(8)
    assert CHIP.mesh is not None
    traffic = messages(net, mapping, rates(net), PACKING)
    tried: list[int] = []
    placed = place(mapping, traffic, CHIP.mesh, seed, tried.append)
    assert tried == list(range(1, TRIED + 1))
    assert hops(traffic, placed, CHIP.mesh) < 0.9 * hops(traffic, mapping, CHIP.mesh)
    assert place(mapping, traffic, CHIP.mesh, seed) == placed
    assert placed.cores == mapping.cores


def test_of_a_placement_no_exchange_of_two_sites_saves_anything() -> None:
    mesh = Mesh(columns=4, rows=3, cores_per_tile=2, source="made up", read="first-hand")
    mapping = mapped(40)
    count = len(mapping.cores)
    assert 12 < count <= 24
    traffic = np.random.default_rng(5).integers(0, 50, (count, count)).astype(float)
    np.fill_diagonal(traffic, 0)
    sites = place(mapping, traffic, mesh).placement
    cost = hops(traffic, mapping.placed(sites), mesh)
    for one in range(count):
        for site in range(24):
            other = [
                site if core == one else sites[one] if sites[core] == site else sites[core] for core in range(count)
            ]
            assert hops(traffic, mapping.placed(other), mesh) >= cost


def test_chips_that_are_not_needed_stay_empty_and_too_many_sites_are_refused() -> None:
    net, few = network(), mapped(40)
    assert CHIP.mesh is not None
    traffic = messages(net, few, rates(net), PACKING)
    many = map_network(net, CHIP, "many", 1000)
    assert many.chips == 1000
    assert max(place(many, messages(net, many, rates(net), PACKING), CHIP.mesh).placement) < 128
    far = few.placed(range(1 << 20, (1 << 20) + len(few.cores)))
    with pytest.raises(MonospikeError, match=r"few: placing looks at every two of 10\d+ cores"):
        place(far, traffic, CHIP.mesh)


def test_greedy_puts_a_star_of_cores_around_its_middle_and_a_placement_is_never_worse() -> None:
    mesh = Mesh(columns=4, rows=4, cores_per_tile=1, source="made up", read="first-hand")
    mapping = mapped(320)
    count = len(mapping.cores)
    star = np.zeros((count, count))
    star[2, [0, 1, 3, 4]] = (5, 1, 7, 3)
    # Every message crosses one tile, which is the least there is.
    assert hops(star, place_greedily(mapping, star, mesh), mesh) == star.sum()
    for seed in range(5):
        traffic = np.random.default_rng(seed).integers(0, 50, (count, count)).astype(float)
        np.fill_diagonal(traffic, 0)
        greedy = hops(traffic, place_greedily(mapping, traffic, mesh), mesh)
        assert hops(traffic, place(mapping, traffic, mesh, seed), mesh) <= greedy


def test_hundreds_of_cores_are_placed_and_a_chain_of_them_stays_together() -> None:
    mesh = Mesh(columns=8, rows=4, cores_per_tile=4, source="made up", read="first-hand")
    [one, *_] = mapped(200).cores
    cores = 500
    mapping = Mapping("many", 4, (), (one,) * cores, tuple(np.random.default_rng(0).permutation(512)[:cores].tolist()))
    traffic = np.zeros((cores, cores))
    traffic[np.arange(cores - 1), np.arange(1, cores)] = 1
    placed = place(mapping, traffic, mesh, 3)
    assert len(set(placed.placement)) == cores
    # A tile holds four cores: a path through 125 tiles crosses 124 times at the least.
    assert 124 <= hops(traffic, placed, mesh) <= 2 * 124
