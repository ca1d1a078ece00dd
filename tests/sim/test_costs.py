"""Operations, energy and time of mapped networks, against counts and sums by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

from netx import (
    LIF,
    Accumulator,
    Conv2d,
    Dense,
    Flatten,
    FormatError,
    Input,
    Layer,
    MonospikeError,
    Network,
    Range,
    Shape,
)
from sim import engine
from sim.costs import Cost, Operations, count_operations, price_mapped
from sim.hardware import Chip, load_chip
from sim.mapping import Mapping, map_network


def measured(
    network: Network, frames: np.ndarray, chip: Chip, placement: tuple[int, ...] | None = None
) -> tuple[Mapping, Operations]:
    mapping = map_network(network, chip, "chip")
    mapping = mapping if placement is None else mapping.placed(placement)
    values = {network.inputs[0].name: frames}
    recording = engine.run(network, values)
    assert chip.mesh is not None
    assert chip.packing is not None
    return mapping, count_operations(network, values, recording, mapping, chip.mesh, chip.packing)


def priced(network: Network, frames: np.ndarray, name: str, **how: float) -> Cost:
    chip = load_chip(name)
    _, operations = measured(network, frames, chip)
    return price_mapped(operations, chip, network.depth(network.outputs[0]), **how)


def two_cores() -> tuple[Network, np.ndarray]:
    """Two inputs, three neurons, one read-out: [1, 0] makes neurons 0 and 2 spike, [0, 0] makes 2 spike by its bias."""
    first = Dense(np.array([[4, 0], [0, 4], [2, 2]]))
    layers = (
        Layer("first", ("x",), first, LIF(2, np.array([0, 0, 3]))),
        Layer("second", ("first",), Dense(np.array([[2, 2, 0]])), Accumulator()),
    )
    frames = np.array([[1, 0], [0, 0]]).reshape(2, 2, 1, 1)
    return Network((Input("x", Shape(2, 1, 1)),), layers, ("second",)), frames


def convolutional() -> tuple[Network, np.ndarray]:
    """Two convolutions, the first on four cores, and a full connection."""
    rng = np.random.default_rng(1)
    layers = (
        Layer("conv1", ("x",), Conv2d(2 * rng.integers(-30, 34, (8, 2, 3, 3)), padding=1), LIF(101)),
        Layer("conv2", ("conv1",), Conv2d(2 * rng.integers(-30, 34, (16, 8, 3, 3)), stride=2), LIF(201)),
        Layer("flat", ("conv2",), Flatten()),
        Layer("dense", ("flat",), Dense(2 * rng.integers(-30, 30, (10, 16 * 9 * 9))), Accumulator()),
    )
    frames = rng.random((3, 2, 20, 20)) < 0.3
    return Network((Input("x", Shape(2, 20, 20)),), layers, ("dense",)), frames.astype(np.uint8)


def full() -> tuple[Network, np.ndarray]:
    """Full connections 784-128-64-10, without a bias."""
    rng = np.random.default_rng(2)
    sizes = (784, 128, 64, 10)
    neurons = (LIF(301), LIF(151), Accumulator())
    layers = tuple(
        Layer(f"dense{i}", ("x" if i == 0 else f"dense{i - 1}",), Dense(2 * rng.integers(-30, 33, (out, into))), neuron)
        for i, (into, out, neuron) in enumerate(zip(sizes[:-1], sizes[1:], neurons, strict=True))
    )
    frames = rng.random((3, 784, 1, 1)) < 0.1
    return Network((Input("x", Shape(784, 1, 1)),), layers, ("dense2",)), frames.astype(np.uint8)


def test_every_operation_of_a_small_network_is_the_one_counted_by_hand() -> None:
    _, operations = measured(*two_cores(), load_chip("loihi1_sanafe"))
    by_hand = {
        # frame, core
        "messages_in": [[1, 2], [0, 1]],
        "synops": [[3, 2], [0, 1]],
        "effective_synops": [[2, 1], [0, 0]],
        "dense_synops": [[3, 2], [0, 1]],
        "effective_dense_synops": [[2, 1], [0, 0]],
        "convolution_synops": [[0, 0], [0, 0]],
        "graded_synops": [[0, 0], [0, 0]],
        "dendrite_updates": [[3, 1], [0, 1]],
        "neurons": [[3, 1], [3, 1]],
        "soma_updates": [[3, 1], [1, 1]],
        "idle_neurons": [[0, 0], [2, 0]],
        "spikes": [[2, 0], [1, 0]],
        "messages_out": [[2, 0], [1, 0]],
        "hops_east_west": [[0, 0], [0, 0]],
        "hops_north_south": [[0, 0], [0, 0]],
    }
    assert {name: operations.counts[name].tolist() for name in by_hand} == by_hand


def test_messages_cross_as_many_tiles_as_lie_between_their_cores() -> None:
    chip = load_chip("loihi1_sanafe")  # 8 tiles in a row, 4 cores a tile
    network, frames = two_cores()
    _, operations = measured(network, frames, chip, (0, 4 * (2 * 8 + 5)))
    assert operations.counts["hops_east_west"].tolist() == [[10, 0], [5, 0]]
    assert operations.counts["hops_north_south"].tolist() == [[4, 0], [2, 0]]


def test_joules_and_seconds_are_counts_times_the_constants_of_the_file() -> None:
    network, frames = two_cores()
    cost = priced(network, frames[:1], "loihi1_sanafe")
    units = cost.by_unit()
    # 3 + 2 dense operations, 4 neurons read and updated, 2 spikes, 2 messages within their tile
    assert units["synapse"].typical == pytest.approx(5 * 35.5e-12)
    assert units["soma"].typical == pytest.approx((4 * (51.2 + 21.6) + 2 * 69.3) * 1e-12)
    assert units["axon out"].typical == pytest.approx(2 * 111e-12)
    assert units["mesh"].typical == 0
    assert cost.dynamic.low == pytest.approx((3 * 35.5 + 4 * 72.8 + 2 * 69.3 + 2 * 111) * 1e-12 / 1.12)
    assert cost.dynamic.high == pytest.approx(cost.dynamic.typical / 0.88)
    # The first core updates three neurons and sends twice, in one tile's barrier; or receives one message besides.
    sending, receiving = 3 * 9.7 + 2 * 30 + 2 * 5.1, 16 + 3 * 3.8
    assert cost.step is not None
    assert cost.step.typical == pytest.approx((sending + 600) * 1e-9)
    assert cost.step.high == pytest.approx((sending + receiving + 600) * 1e-9 / 0.75)
    assert cost.latency is not None
    assert cost.latency.typical == pytest.approx(2 * cost.step.typical)
    assert cost.times is not None
    assert (cost.times.slowest.tolist(), cost.times.doing) == ([0], "sending")


def test_layers_and_units_add_up_to_the_whole() -> None:
    network, frames = convolutional()
    for name in ("loihi1_sanafe", "loihi1_davies2018"):
        cost = priced(network, frames, name, steps=3)
        for parts in (cost.by_layer().values(), cost.by_unit().values()):
            assert np.sum(list(parts), axis=0) == pytest.approx(list(cost.dynamic))
        assert cost.dynamic.low < cost.dynamic.typical <= cost.dynamic.high


def test_what_cores_send_to_each_other_is_what_arrives() -> None:
    network, frames = convolutional()
    mapping, operations = measured(network, frames, load_chip("loihi1_sanafe"))
    own = [number for number, core in enumerate(mapping.cores) if core.layer == "conv1"]
    from_outside = operations.counts["messages_in"][:, own].sum(axis=1)
    arrived = operations.counts["messages_in"].sum(axis=1) - from_outside
    assert arrived.tolist() == operations.counts["messages_out"].sum(axis=1).tolist()
    assert operations.counts["hops_east_west"].sum() > 0  # conv2 sits in the next tile


def test_a_network_that_sees_nothing_costs_its_neurons_and_the_barrier() -> None:
    network, frames = full()
    cost = priced(network, np.zeros_like(frames), "loihi1_sanafe")
    assert cost.dynamic.typical == pytest.approx((128 + 64 + 10) * 51.2e-12)
    assert cost.step is not None
    assert cost.step.typical == pytest.approx((128 * 6 + 600) * 1e-9)


def test_messages_that_carry_numbers_are_counted_apart_and_named_as_unpriced() -> None:
    layers = (Layer("conv", ("x",), Conv2d(np.full((2, 1, 3, 3), 2)), Accumulator()),)
    network = Network((Input("x", Shape(1, 5, 5), Range(0, 31)),), layers, ("conv",))
    frames = np.zeros((1, 1, 5, 5), np.int64)
    frames[0, 0, 2, 2], frames[0, 0, 0, 0] = 9, 4  # the middle is read by 9 windows, the corner by one
    cost = priced(network, frames, "loihi1_sanafe")
    assert cost.operations.per_frame("synops") == 0
    assert cost.unpriced == {"graded_synops": 2 * (9 + 1)}
    assert cost.by_unit()["synapse"].high == 0


def test_of_a_chip_without_published_energies_nothing_is_priced_and_static_energy_needs_a_time() -> None:
    network, frames = full()
    cost = priced(network, frames, "loihi2")
    assert not cost.priced
    assert (cost.step, cost.static) == (None, None)
    assert cost.unpriced["synops"] == cost.operations.per_frame("synops") > 0
    timed = priced(network, frames, "loihi2", steps=3, step_seconds=1e-4)
    assert timed.static is not None
    assert timed.static.typical == pytest.approx(0.232 * 3e-4)


def test_barriers_between_the_tiles_of_the_table_are_interpolated() -> None:
    network, frames = two_cores()
    chip = load_chip("loihi1_davies2018")
    _, operations = measured(network, frames, chip, (0, 4))
    times = price_mapped(operations, chip, 2).times
    assert times is not None
    assert times.barrier.typical == pytest.approx((113 + (465 - 113) / 31) * 1e-9)


def broken(tmp_path: Path, change: object) -> Path:
    chip = yaml.safe_load((Path(load_chip.__code__.co_filename).parent / "loihi1_sanafe.yaml").read_text())
    for key, value in change.items():  # type: ignore[attr-defined]
        chip["mapped"][key] = value
    path = tmp_path / "chip.yaml"
    path.write_text(yaml.safe_dump(chip))
    return path


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"operations": [{"unit": "soma", "count": "neurons", "energy": "magic"}]},
            "energies that are not there: magic",
        ),
        ({"operations": [{"unit": "soma", "count": "neurons"}]}, "needs an energy, a latency or both"),
        ({"operations": [{"unit": "soma", "count": "wishes", "energy": "state_access"}]}, "wishes|Input should be"),
        ({"barrier": [{"tiles": 4, "latency": "barrier_4_tiles"}, {"tiles": 1, "latency": "axon_in"}]}, "have to grow"),
        ({"accuracy": {"energy": 1.5, "time": 0, "source": "x", "read": "first-hand"}}, "less than 1"),
        ({"static": {"what": "x", "watts": -1, "source": "x", "read": "first-hand"}}, "greater than 0"),
    ],
)
def test_a_chip_file_that_prices_wrongly_is_refused_with_file_and_key(
    tmp_path: Path, change: dict[str, object], said: str
) -> None:
    path = broken(tmp_path, change)
    with pytest.raises(FormatError, match=said) as error:
        load_chip(path)
    assert str(path) in str(error.value)
    assert "mapped" in str(error.value)


def test_a_chip_without_a_section_for_cores_says_which_have_one() -> None:
    network, frames = full()
    chip = load_chip("loihi1_sanafe")
    _, operations = measured(network, frames, chip)
    with pytest.raises(MonospikeError, match="no section 'mapped'"):
        price_mapped(operations, chip.model_copy(update={"mapped": None}), 1)
