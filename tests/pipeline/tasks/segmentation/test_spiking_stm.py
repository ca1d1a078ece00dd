"""The student's parts are networks of integers that do what its modules do, and cost what was promised."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from netx.synapses import Concat, Conv2d, Upsample
from pipeline.core.config import ConfigError, parse_config
from pipeline.core.task import Batch
from pipeline.models.parameters import parameter_count
from pipeline.models.recorder import recording, slayer_twin
from pipeline.tasks.segmentation.initialisation import calibrate
from pipeline.tasks.segmentation.models.clip import through_clip
from pipeline.tasks.segmentation.models.config import SpikingStmConfig, StmConfig
from pipeline.tasks.segmentation.models.memory import MemoryNetwork
from pipeline.tasks.segmentation.models.spiking import DECODER, ENCODER, MEMORY, PARTS, SpikingStm, in_integers
from pipeline.tasks.segmentation.models.stm import Stm
from sim import engine
from sim.activity import describe
from sim.compare import compare

TINY = SpikingStmConfig(channels="tiny", height=32, width=48)


def clips(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Two clips of three frames with two objects and one."""
    masks = torch.zeros(2, 3, 32, 48, dtype=torch.int64)
    masks[:, :, 4:16, 4:20] = 1
    masks[0, :, 18:30, 24:44] = 2
    frames = torch.randint(0, 256, (2, 3, 3, 32, 48), generator=torch.Generator().manual_seed(seed)).float()
    return frames, masks


def built(config: SpikingStmConfig) -> SpikingStm:
    """A student with thresholds of its own, and biases that are not zero."""
    torch.manual_seed(3)
    frames, masks = clips(1)
    batch = Batch({"frames": frames, "masks": masks}, ("frames", "masks"))
    student = calibrate(SpikingStm(config), [batch], 0.2)
    with torch.no_grad():
        student.train()(frames, masks)
    return student.eval()


@pytest.fixture(scope="module")
def student() -> SpikingStm:
    return built(TINY)


@pytest.mark.parametrize("keys", ["membranes", "spikes"])
def test_clips_come_out_the_same_from_the_integers(student, keys) -> None:
    """Every logit, through memory and three frames; with keys that spike, similarities are Hamming distances."""
    model = student if keys == "membranes" else built(TINY.model_copy(update={"keys": keys}))
    frames, masks = clips(2)
    with torch.inference_mode():
        ours = model(frames, masks)
        theirs = through_clip(model.at_work(in_integers(model)), frames, masks)
    assert {"logits", "class", "read", "features_4", "features_8", "features_16"} <= set(theirs)
    for name, values in theirs.items():
        assert torch.equal(values, ours[name]), name
    assert ours["read"].unique().numel() > 4
    assert torch.equal(ours["read"], ours["read"].round())
    assert ours["read"].abs().max() <= 16
    assert all(0 < ours[f"features_{stride}"].mean() < 1 for stride in (4, 8, 16))
    if keys == "spikes":
        assert set(model.in_torch(ENCODER, {"image": torch.ones(1, 3, 32, 48)})["key"].unique().tolist()) <= {0.0, 1.0}


def test_slayers_blocks_do_the_same_in_every_part(student) -> None:
    pytest.importorskip("lava.lib.dl.slayer")
    twin, network, random = slayer_twin(student), student.network(), np.random.default_rng(4)
    for part in PARTS:
        own = student.part_of(network, part)
        frames = {
            one.name: random.integers(one.range.low, one.range.high + 1, (2, *one.shape)).astype(np.int32)
            for one in own.inputs
        }
        with torch.inference_mode():
            tensors = twin.graph(part).signals({name: torch.from_numpy(values) for name, values in frames.items()})
        slayer = recording("slayer", own, next(iter(frames.values())), tensors)
        assert compare(own, frames, engine.run(own, frames), [slayer]).identical, part


def test_parts_are_feed_forward_networks_that_do_not_know_each_other(student) -> None:
    network = student.network()
    assert {type(layer.synapse) for layer in network.layers} == {Conv2d, Concat, Upsample}
    sizes = {part: len(student.part_of(network, part).layers) for part in PARTS}
    assert sum(sizes.values()) == len(network.layers), sizes
    decoder = student.part_of(network, DECODER)
    assert [one.name for one in decoder.inputs] == ["read", "skip_4", "skip_8", "skip_16"]
    assert decoder.layer("join_8").inputs == ("up_16", "skip_8")
    assert student.part_of(network, ENCODER).outputs == ("conv_4", "conv_8", "conv_8_1", "conv_16", "conv_16_1", "key")
    assert student.part_of(network, MEMORY).outputs == ("value",)
    for layer in network.layers:
        if isinstance(layer.synapse, Conv2d):
            assert not (layer.synapse.weight % 2).any()


def test_every_layer_and_every_scale_learns(student) -> None:
    model = SpikingStm(student.config)
    answers = model(*clips(1))
    (answers["logits"].softmax(dim=1)[:, 1].log().mean() + answers["class"].square().mean()).backward()
    still = [name for name, p in model.named_parameters() if p.requires_grad and (p.grad is None or not p.grad.any())]
    assert still == []


def test_the_student_has_a_twentieth_of_the_parameters_and_a_thirtieth_of_the_operations() -> None:
    """Of the teacher that two cores train, by torch's counter of operations and by the connections of the integers."""
    height, width = 128, 224
    with torch.device("meta"):
        teacher = Stm(StmConfig(size="mobile", height=height, width=width)).eval()
        teachers = _operations(teacher, height, width)
    student = SpikingStm(SpikingStmConfig(height=height, width=width)).eval()
    assert parameter_count(teacher) / parameter_count(student) > 20
    students = _operations(student.at_work(), height, width)
    assert teachers / students > 30
    by_engine = describe(student.network()).synapses
    positions, config = height * width // 16**2, student.config.channels
    host = positions**2 * (config.key + config.value)
    assert teachers / 2 / (by_engine + host) > 30


def _operations(network: MemoryNetwork, height: int, width: int) -> int:
    """Of a frame, an object and one frame in memory."""
    frames, masks = torch.zeros(1, 3, height, width), torch.zeros(1, 1, height, width)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        encoded = network.encode(frames)
        memory = network.memorise(frames, encoded, masks, masks)
        network.decode(encoded, network.read(memory, encoded))
    return counter.get_total_flops()


def test_odd_sizes_and_unknown_names_are_refused() -> None:
    for kind, values, message in (
        (SpikingStmConfig, {"channels": "huge"}, "channels: .*is none of small, tiny"),
        (SpikingStmConfig, {"height": 100}, "height: .*multiple of 16"),
        (StmConfig, {"size": "huge"}, "size: .*is none of published, mobile, tiny"),
        (SpikingStmConfig, {"thresholds": {"conv_2": 2}}, r"thresholds\.conv_2: .*is even"),
    ):
        with pytest.raises(ConfigError, match=message):
            parse_config(values, kind, "here")
