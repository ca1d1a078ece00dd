"""The student's integers are what its modules do, on every layer; and how many cores it takes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from netx import Concat, Conv2d, Network, Pool, Upsample
from pipeline.core.config import ConfigError, parse_config
from pipeline.models.pixels import to_pixels
from pipeline.models.recorder import recording, slayer_twin
from pipeline.tasks.detection.models.config import STRIDES, SpikingYoloxConfig
from pipeline.tasks.detection.models.spiking import INPUT, SpikingYolox, nodes
from quantize.slayer import WEIGHT_SCALE
from sim import engine
from sim.compare import compare
from sim.hardware import load_chip
from sim.mapping import map_network

UNSET = SpikingYoloxConfig(width="tiny", side=64, classes=2, top_down="upsample")
CONFIG = UNSET.model_copy(update={"thresholds": {node.name: 31 for node in nodes(UNSET) if node.kind == "conv"}})
"""Thresholds so low that all layers spike without training."""


@pytest.fixture(scope="module")
def student() -> SpikingYolox:
    """Untrained, but for a pass in which its neurons' means are taken."""
    torch.manual_seed(4)
    model = SpikingYolox(CONFIG)
    for _ in range(30):
        model(pictures(2))
    return model.eval()


def pictures(count: int) -> torch.Tensor:
    return torch.randint(0, 256, (count, 3, CONFIG.side, CONFIG.side)).float()


@pytest.fixture(scope="module")
def network(student) -> Network:
    return student.network()


def test_spikes_and_membranes_of_the_network_are_those_of_the_modules(student, network):
    shown = pictures(3)
    frames = to_pixels(shown.numpy().astype(np.uint8).transpose(0, 2, 3, 1), CONFIG.pixel_bits)
    with torch.inference_mode():
        tensors = student(shown)
    ran = engine.run(network, {INPUT: frames})
    ours = recording("modules", network, frames, tensors)
    assert set(ours.spikes) == set(ran.spikes)
    for name, spikes in ours.spikes.items():
        assert np.array_equal(ran.spikes[name], spikes), name
        assert np.array_equal(ran.membranes[name], ours.membranes[name]), name
    assert {f"read_{name}_{stride}" for name in ("class", "object", "box") for stride in STRIDES} == set(
        network.outputs
    )
    assert all(0 < spikes.mean() < 1 for spikes in ran.spikes.values())


def test_the_host_multiplies_each_read_out_by_a_scale_of_its_own(student, network):
    shown = pictures(1)
    frames = to_pixels(shown.numpy().astype(np.uint8).transpose(0, 2, 3, 1), CONFIG.pixel_bits)
    with torch.no_grad():
        student.scales["box_16"].fill_(0.5)
        answers = student(shown)
        student.scales["box_16"].fill_(1.0)
    ran = engine.run(network, {INPUT: frames}).membranes
    assert np.array_equal(answers["box_16"].numpy(), ran["read_box_16"] / WEIGHT_SCALE * 0.5)
    assert np.array_equal(answers["class_8"].numpy(), ran["read_class_8"] / WEIGHT_SCALE)


def test_slayers_blocks_do_the_same(student, network):
    pytest.importorskip("lava.lib.dl.slayer")
    shown = pictures(2)
    frames = to_pixels(shown.numpy().astype(np.uint8).transpose(0, 2, 3, 1), CONFIG.pixel_bits)
    with torch.inference_mode():
        twin = slayer_twin(student)(shown)
    slayer = recording("slayer", network, frames, twin)
    compared = compare(network, {INPUT: frames}, engine.run(network, {INPUT: frames}), [slayer])
    assert compared.identical
    assert len(compared.layers) == 8 + 2 + 3 + 2 + 6 + 9, "backbone, ways down, neck, pooling, towers, read-outs"


def test_it_is_a_plain_feed_forward_network_of_even_weights_and_odd_thresholds(network):
    assert {type(layer.synapse) for layer in network.layers} == {Conv2d, Pool, Concat, Upsample}
    for layer in network.layers:
        if isinstance(layer.synapse, Conv2d):
            assert not (layer.synapse.weight % 2).any()
        if hasattr(layer.neuron, "threshold"):
            assert layer.neuron.threshold % 2 == 1
    for stride in STRIDES:
        side = CONFIG.side // stride
        assert network.shape(f"read_box_{stride}") == (4, side, side)
    assert network.layer("merge_8").inputs == ("stage_8", "up_16"), "a fine map has the coarser one's spikes"
    assert network.layer("join_16").inputs == ("top_16", "pool_8"), "a coarse map has the finer one's"


def test_without_a_way_down_and_without_skips_there_are_fewer_wires():
    def wires(**changes) -> set[type]:
        config = UNSET.model_copy(update=changes)
        return {type(layer.synapse) for layer in SpikingYolox(config).network().layers if layer.neuron is None}

    assert wires(top_down="none") == {Concat}
    assert wires(top_down="none", skips=False) == set()


def test_every_layer_learns():
    model = SpikingYolox(CONFIG)
    answers = model(pictures(2))
    sum(
        answers[f"{name}_{stride}"].square().sum() for name in ("class", "object", "box") for stride in STRIDES
    ).backward()
    still = [name for name, p in model.named_parameters() if p.requires_grad and (p.grad is None or not p.grad.any())]
    assert still == []


@pytest.mark.parametrize("changes", [{"classes": 20}, {"classes": 2, "top_down": "upsample"}, {"skips": False}])
def test_the_size_called_chip_fits_one_loihi_2(changes):
    config = SpikingYoloxConfig(width="chip", side=160, **changes)
    mapping = map_network(SpikingYolox(config).network(), load_chip("loihi2"), "loihi2")
    assert not mapping.violations
    assert len(mapping.cores) <= 120


def test_an_unknown_width_and_an_even_threshold_are_refused():
    with pytest.raises(ConfigError, match=r"width: .*is none of small, chip, tiny"):
        parse_config({"width": "huge"}, SpikingYoloxConfig, "here")
    with pytest.raises(ConfigError, match="top_down: puts maps side by side"):
        parse_config({"top_down": "upsample", "skips": False}, SpikingYoloxConfig, "here")
    with pytest.raises(ConfigError, match=r"thresholds\.conv_2: .*is even"):
        parse_config({"thresholds": {"conv_2": 2}}, SpikingYoloxConfig, "here")
