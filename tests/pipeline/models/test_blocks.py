"""Plain layers and SLAYER's: the same bits forwards, the same gradients, and after training the same weights."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from lava.lib.dl import slayer
from safetensors.torch import load_file
from torch import nn

from netx.errors import MonospikeError
from pipeline.core.config import parse_config
from pipeline.core.progress import Progress
from pipeline.models.blocks import find_blocks
from pipeline.models.config import NeuronConfig, SurrogateConfig
from pipeline.models.quantisation import ChannelBias
from pipeline.models.slayer_layers import SlayerBlocks, SlayerNeuron
from pipeline.models.spiking_layers import Neuron, PlainBlocks
from pipeline.tasks.tracking.config import TrainingConfig
from pipeline.tasks.tracking.task import Tracking
from pipeline.tasks.train import run_training
from pipeline.training.distributed import DistributedContext

pytestmark = pytest.mark.usefixtures("one_thread")

CPU = torch.device("cpu")
SURROGATES = [SurrogateConfig(), SurrogateConfig(width=0.37, scale=2.1)]
NEURONS = {
    "step functions": NeuronConfig(current_decay=1.0, voltage_decay=1.0),
    "leaky": NeuronConfig(current_decay=0.71, voltage_decay=0.29),
    "learning their leaks": NeuronConfig(current_decay=0.71, voltage_decay=0.29, learn_decays=True),
}


def layers(blocks: PlainBlocks | SlayerBlocks, stride: int = 2) -> tuple[nn.Module, nn.Module]:
    """A synapse and a neuron of the same parameters whatever they are made of."""
    synapse, neuron = blocks.synapse(3, 8, 5, stride, 0.6), blocks.neuron(151, ChannelBias(8, centred=True))
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        synapse.weight.copy_(torch.randn(synapse.weight.shape, generator=generator) * 0.6)
        neuron.norm.offset.copy_(torch.randn(8, generator=generator))
    return synapse, neuron


def spikes(*shape: int) -> torch.Tensor:
    return (torch.rand(shape, generator=torch.Generator().manual_seed(7)) < 0.4).float()


def assert_same(ours: torch.Tensor | None, theirs: torch.Tensor | None, name: str) -> None:
    assert (ours is None) == (theirs is None), name
    assert ours is None or torch.equal(ours, theirs), name


@pytest.mark.parametrize("surrogate", SURROGATES, ids=["default", "narrow"])
@pytest.mark.parametrize("neurons", NEURONS.values(), ids=NEURONS)
@pytest.mark.parametrize("steps", [1, 4])
def test_a_layer_answers_and_learns_bit_for_bit_as_slayers_does(steps, neurons, surrogate):
    outcomes = []
    for blocks in (PlainBlocks(neurons, surrogate), SlayerBlocks(neurons, surrogate)):
        synapse, neuron = layers(blocks)
        x = spikes(steps, 3, 3, 33, 31).requires_grad_()
        fired, voltage = neuron(synapse(x))
        weight = torch.randn(fired.shape, generator=torch.Generator().manual_seed(9))
        ((fired * weight).sum() + voltage.square().mean()).backward()
        found = {"spikes": fired.detach(), "voltages": voltage.detach(), "by input": x.grad}
        for module in (synapse, neuron):
            found |= {f"by {name}": parameter.grad for name, parameter in module.named_parameters()}
            found |= dict(module.named_buffers())
        outcomes.append({name: value for name, value in found.items() if not name.endswith("_state")})
    plain, slayers = outcomes
    assert plain.keys() == slayers.keys()
    for name, value in plain.items():
        assert_same(value, slayers[name], name)
    assert 0.05 < plain["spikes"].mean() < 0.95
    assert plain["by input"].count_nonzero() > 0.5 * plain["by input"].numel()
    assert (plain["by voltage_decay"] is not None) == neurons.learn_decays


@pytest.mark.parametrize("neurons", NEURONS.values(), ids=NEURONS)
def test_slayers_own_block_has_the_same_spikes_and_to_rounding_the_same_gradients(neurons):
    """``slayer.block.cuba.Conv`` as it comes, whose conv3d sums gradients in another order; SLAYER's decays lack a
    factor of -1/4096."""
    surrogate = SURROGATES[1]
    parameters = {
        "threshold": 151 / 64,
        "current_decay": neurons.current_decay,
        "voltage_decay": neurons.voltage_decay,
        "tau_grad": 0.01 * surrogate.width,
        "scale_grad": 10 * surrogate.scale,
        "requires_grad": neurons.learn_decays,
    }
    stock = slayer.block.cuba.Conv(parameters, 3, 8, 5, 2, delay_shift=False)
    stock.neuron.norm = ChannelBias(8, centred=True)
    synapse, neuron = layers(PlainBlocks(neurons, surrogate))
    stock.synapse.load_state_dict(synapse.state_dict())
    stock.neuron.load_state_dict(neuron.state_dict())
    ours, theirs = (spikes(4, 3, 3, 33, 31).requires_grad_() for _ in range(2))
    answer, expected = neuron(synapse(ours))[0], stock(theirs.movedim(0, -1)).movedim(-1, 0)
    assert torch.equal(answer, expected)
    weight = torch.randn(answer.shape, generator=torch.Generator().manual_seed(9))
    for outcome in (answer, expected):
        (outcome * weight).sum().backward()
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(synapse.weight.grad, stock.synapse.weight.grad, rtol=1e-4, atol=1e-4)
    if neurons.learn_decays:
        for name in ("current_decay", "voltage_decay"):
            ours, theirs = getattr(neuron, name).grad, getattr(stock.neuron, name).grad
            torch.testing.assert_close(ours, -theirs / 4096, rtol=1e-3, atol=0)


def test_the_gradient_of_a_leak_is_the_slope_of_its_voltage():
    """Of currents far above the grid of 1/4096, below a threshold out of reach, by finite differences."""
    settings = NeuronConfig(current_decay=1.0, voltage_decay=0.5, learn_decays=True)
    current = torch.full((2, 1, 1, 1, 1), 900.0)

    def second(decay: float, blocks: type) -> tuple[torch.Tensor, nn.Module]:
        neuron = blocks(settings, SurrogateConfig(), 131071, nn.Identity())
        neuron.voltage_decay.data.fill_(decay)
        return neuron(current)[1][1].sum(), neuron

    for kind in (Neuron, SlayerNeuron):
        value, neuron = second(2048, kind)
        value.backward()
        slope = (second(2148, kind)[0] - second(1948, kind)[0]).item() / 200
        assert neuron.voltage_decay.grad.item() == pytest.approx(slope, rel=1e-4)


TRAINING = {
    "task": "tracking",
    "name": "tiny",
    "seed": 3,
    "models": {
        "student": {
            "architecture": {"kind": "spiking", "width": "tiny", "template": 103, "search": 143, "box_shift": 1.4}
        }
    },
    "losses": [{"kind": "tracking", "model": "student"}],
    "data": [
        {
            "kind": "composed",
            "clips": 3,
            "composition": {"frames": 3, "height": 96, "width": 128, "object_size": [20, 30]},
        }
    ],
    "train": {"steps": 10, "batch": 2, "workers": 0, "save_every": 5, "optimiser": {"warm_up": 2}},
    "validation": {
        "sequences": 1,
        "composition": {"frames": 3, "height": 96, "width": 128, "object_size": [20, 30]},
    },
}


def trained(folder: Path, blocks: str, architecture: dict[str, object], steps: int = 10, **train: object) -> Path:
    values = {**TRAINING, "train": {**TRAINING["train"], **train, "blocks": blocks, "steps": steps}}
    student = {**TRAINING["models"]["student"]["architecture"], **architecture}
    config = parse_config({**values, "models": {"student": {"architecture": student}}}, TrainingConfig, "training")
    run_training(Tracking(), config, folder, DistributedContext(CPU), Progress(quiet=True))
    return folder / "student.safetensors"


@pytest.mark.parametrize(
    ("architecture", "train"),
    [
        ({}, {}),
        ({}, {"mixed_precision": True}),
        ({"time_steps": 3, "neurons": {"learn_decays": True}}, {"optimiser": {"weight_decay": 0.01}}),
        ({"encoder": "host", "conv5": "real", "head": "host"}, {}),
    ],
    ids=["one step", "mixed precision", "three steps that learn their leaks", "ends on the host"],
)
def test_ten_steps_of_training_give_the_same_weights(tmp_path, architecture, train):
    plain = load_file(trained(tmp_path / "plain", "plain", architecture, **train))
    slayers = load_file(trained(tmp_path / "slayer", "slayer", architecture, **train))
    assert plain.keys() == slayers.keys()
    for name, value in plain.items():
        assert torch.equal(value, slayers[name]), name
    states = [load_file(tmp_path / blocks / "state.safetensors") for blocks in ("plain", "slayer")]
    for name, value in states[0].items():
        assert torch.equal(value, states[1][name]), f"{name}, of the optimiser too"


def test_a_training_in_one_sort_of_blocks_goes_on_in_the_other(tmp_path, monkeypatch):
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    whole = load_file(trained(tmp_path / "whole", "plain", {}))
    with monkeypatch.context() as patch:
        patch.setattr("pipeline.tasks.train._Session._write", lambda _, __, step, *___: stop() if step == 6 else None)
        with pytest.raises(KeyboardInterrupt):
            trained(tmp_path / "both", "slayer", {})
    for name, value in load_file(trained(tmp_path / "both", "plain", {})).items():
        assert torch.equal(value, whole[name]), name


def test_slayers_blocks_are_taken_wherever_they_can_be_had(monkeypatch):
    plain, other = SurrogateConfig(), SurrogateConfig(shape="atan")
    assert isinstance(find_blocks("auto", NeuronConfig(), plain, CPU), SlayerBlocks)
    assert isinstance(find_blocks("slayer", NeuronConfig(), plain, CPU), SlayerBlocks)
    assert isinstance(find_blocks("plain", NeuronConfig(), plain, CPU), PlainBlocks)
    assert isinstance(find_blocks("auto", NeuronConfig(), plain, torch.device("cuda")), PlainBlocks)
    assert isinstance(find_blocks("auto", NeuronConfig(), other, CPU), PlainBlocks)
    with pytest.raises(MonospikeError, match=r"blocks: slayer cannot be had: surrogate.shape: SLAYER has the expon"):
        find_blocks("slayer", NeuronConfig(), other, CPU)
    for name in ("pipeline.models.slayer", "pipeline.models.slayer_layers"):
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "lava.lib.dl", None)  # as where it is not installed
    assert isinstance(find_blocks("auto", NeuronConfig(), plain, CPU), PlainBlocks)
    with pytest.raises(MonospikeError, match=r"blocks: slayer cannot be had: .*extra 'lava'.*blocks: plain"):
        find_blocks("slayer", NeuronConfig(), plain, CPU)
