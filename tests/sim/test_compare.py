"""Two engines part: the first place is found, and the numbers tell the likely cause."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from netx import LIF, Accumulator, Conv2d, Input, Layer, Network, NetworkError, Range
from sim import engine
from sim.compare import compare
from sim.recording import Recording


def tracker(weight=None, bias=(), threshold: int = 41) -> Network:
    """Two spiking convolutions and a read-out on graded pixels."""
    rng = np.random.default_rng(7)
    first = rng.integers(-20, 21, (4, 2, 3, 3)) * 2
    second = rng.integers(-20, 21, (5, 4, 3, 3)) * 2 if weight is None else weight
    return Network(
        (Input("pixels", (2, 12, 12), Range(-8, 7)),),
        (
            Layer("conv1", ("pixels",), Conv2d(first), LIF(41)),
            Layer("conv2", ("conv1",), Conv2d(second, stride=2, padding=1), LIF(threshold, bias)),
            Layer("score", ("conv2",), Conv2d(np.full((1, 5, 1, 1), 2)), Accumulator()),
        ),
        ("score",),
    )


@pytest.fixture(scope="module")
def frames():
    return {"pixels": np.random.default_rng(8).integers(-8, 8, (6, 2, 12, 12))}


@pytest.fixture(scope="module")
def recording(frames) -> Recording:
    return engine.run(tracker(), frames)


def altered(recording: Recording, layer: str, membrane, spikes=None) -> Recording:
    new = {**recording.spikes} if spikes is None else {**recording.spikes, layer: spikes}
    return replace(recording, engine="other", membranes={**recording.membranes, layer: membrane}, spikes=new)


def divergence(frames, recording, other):
    result = compare(tracker(), frames, recording, [other])
    assert not result.identical
    return result.first_divergence


def test_equal_recordings_are_identical_in_every_layer(frames, recording):
    result = compare(tracker(), frames, recording, [replace(recording, engine="other")])
    assert result.identical
    assert [layer.name for layer in result.layers] == ["conv1", "conv2", "score"]
    assert [layer.differing for layer in result.layers] == [0, 0, 0]
    assert [layer.spikes for layer in result.layers[:2]] == [recording.spikes[n].sum() for n in ("conv1", "conv2")]
    assert result.layers[1].compared == 6 * 5 * 5 * 5


def test_one_changed_weight_is_named_with_its_place_and_amount(frames, recording):
    weight = np.array(tracker().layer("conv2").synapse.weight)
    weight[3, 1, 2, 0] += 6
    other = replace(engine.run(tracker(weight), frames), engine="other")
    first = divergence(frames, recording, other)
    assert first.layer == "conv2"
    assert first.neuron[0] == 3
    assert "weight[out 3, in 1, row 2, column 0] is off by +6" in first.cause
    place = (first.frame, *first.neuron)
    assert first.membranes["slayer" if "slayer" in first.membranes else "engine"] == recording.membranes["conv2"][place]
    assert first.membranes["other"] == first.membranes["engine"] + 6
    # No neuron before it differs: not in an earlier frame, and not earlier in its frame.
    same = recording.membranes["conv2"] == other.membranes["conv2"]
    assert same.reshape(-1)[: np.ravel_multi_index(place, same.shape)].all()


def test_a_changed_weight_of_a_grouped_layer_is_named_too():
    rng = np.random.default_rng(1)
    weight = rng.integers(-9, 10, (6, 1, 3, 3)) * 2
    source = {"spikes": rng.integers(0, 2, (3, 3, 8, 8))}

    def network(values):
        layer = Layer("depthwise", ("spikes",), Conv2d(values, groups=3), LIF(5))
        return Network((Input("spikes", (3, 8, 8)),), (layer,), ("depthwise",))

    reference = engine.run(network(weight), source)
    changed = weight.copy()
    changed[5, 0, 1, 2] -= 4
    other = replace(engine.run(network(changed), source), engine="other")
    cause = compare(network(weight), source, reference, [other]).first_divergence.cause
    assert "weight[out 5, in 0, row 1, column 2] is off by -4" in cause


def test_a_changed_bias_is_named_with_its_channel(frames, recording):
    other = replace(engine.run(tracker(bias=[0, 0, 10, 0, 0]), frames), engine="other")
    first = divergence(frames, recording, other)
    assert "another bias: every membrane of channel 2 is off by +10" in first.cause


def test_a_tie_at_the_threshold_is_told_from_another_threshold(frames):
    at_even = engine.run(tracker(threshold=40), frames)
    membrane = at_even.membranes["conv2"]
    assert (membrane == 40).any(), "the frames should make a tie"
    fires_at_equality = altered(at_even, "conv2", membrane, (membrane >= 40).astype(np.uint8))
    cause = compare(tracker(threshold=40), frames, at_even, [fires_at_equality]).first_divergence.cause
    assert cause.startswith("threshold tie: the membrane equals the threshold 40")
    other = replace(engine.run(tracker(threshold=61), frames), engine="other")
    cause = compare(tracker(threshold=40), frames, at_even, [other]).first_divergence.cause
    assert cause.startswith("another threshold")


def test_a_layer_read_a_frame_late_is_called_a_delay(frames, recording):
    membrane, spikes = recording.membranes["conv2"], recording.spikes["conv2"]
    late = altered(recording, "conv2", np.roll(membrane, 1, axis=0), np.roll(spikes, 1, axis=0))
    assert divergence(frames, recording, late).cause.startswith("delay: other gives what engine gave 1 frame(s) before")


def test_swapped_rows_and_columns_are_called_axis_order(frames, recording):
    membrane, spikes = recording.membranes["conv1"], recording.spikes["conv1"]
    turned = altered(recording, "conv1", membrane.transpose(0, 1, 3, 2), spikes.transpose(0, 1, 3, 2))
    assert "rows and columns are swapped" in divergence(frames, recording, turned).cause


def test_a_wrap_at_24_bits_is_called_overflow(frames, recording):
    membrane = recording.membranes["conv2"].copy()
    membrane[2, 1, 0, 3] -= 1 << 18
    first = divergence(frames, recording, altered(recording, "conv2", membrane))
    assert first.cause.startswith("overflow")
    assert (first.frame, first.neuron) == (2, (1, 0, 3))


def test_differences_of_one_unit_are_called_rounding(frames, recording):
    membrane = recording.membranes["score"].copy()
    membrane[1, 0, 2, 2] += 1
    membrane[3, 0, 1, 1] -= 1
    assert divergence(frames, recording, altered(recording, "score", membrane)).cause.startswith("rounding")


def test_the_first_layer_that_differs_is_named_not_those_it_upsets(frames, recording):
    weight = np.array(tracker().layer("conv2").synapse.weight)
    weight[:, 0, 0, 0] += 2
    other = replace(engine.run(tracker(weight), frames), engine="other")
    result = compare(tracker(), frames, recording, [other])
    assert result.first_divergence.layer == "conv2"
    assert [layer.differing > 0 for layer in result.layers] == [False, True, True]


def test_a_recording_of_something_else_is_refused(frames, recording):
    small = {name: value[:2] for name, value in frames.items()}
    with pytest.raises(NetworkError, match=r"layer 'conv1'.*shape"):
        compare(tracker(), frames, recording, [replace(engine.run(tracker(), small), engine="other")])


def test_a_recording_survives_its_file(tmp_path, recording):
    recording.save(tmp_path / "it.npz")
    loaded = Recording.load(tmp_path / "it.npz")
    assert loaded.engine == recording.engine
    for kind in ("spikes", "membranes"):
        stored = getattr(loaded, kind)
        assert stored.keys() == getattr(recording, kind).keys()
        for name, values in getattr(recording, kind).items():
            np.testing.assert_array_equal(stored[name], values)
            assert stored[name].dtype == values.dtype
