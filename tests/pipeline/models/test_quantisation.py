"""Weights and biases become even integers, thresholds odd ones, and what is neither is refused with its place."""

from __future__ import annotations

import pytest
import torch
from lava.lib.dl import slayer

from pipeline.models.quantisation import ChannelBias, quantise_even
from quantize.slayer import QuantizeError, odd_threshold, read_conv, read_lif


def test_quantising_rounds_to_even_integers_and_passes_the_gradient():
    values = torch.tensor([1e4, 0.0, 1.01 / 64, 3.01 / 64, -1.01 / 64, 300 / 64, -300 / 64], requires_grad=True)
    quantised = quantise_even(values, -256, 254)
    assert (quantised * 64).tolist() == [254, 0, 2, 4, -2, 254, -256]
    quantised.sum().backward()
    assert values.grad.tolist() == [1.0] * 7


def test_an_odd_threshold_decides_as_slayer_does_on_even_membranes():
    # SLAYER fires at equality from 4096 weight units on (its epsilon drowns in float32), and above it below.
    for threshold in (80, 81, 4094, 4095, 4096, 5000):
        neuron = slayer.neuron.cuba.Neuron(threshold / 64, current_decay=1.0, voltage_decay=1.0)
        membranes = torch.arange(threshold - 6, threshold + 7)
        membranes = membranes[membranes % 2 == 0]
        spikes = neuron((membranes / 64.0).reshape(1, -1, 1)).flatten().bool()
        assert torch.equal(spikes, membranes > odd_threshold(threshold)), threshold


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"voltage_decay": 0.5}, r"layer 'it': decays are 4096 and 2048 of 4096, so it keeps state"),
        ({"current_decay": 0.9}, r"layer 'it': decays are 3686 and 4096"),
    ],
)
def test_a_neuron_that_keeps_state_is_refused(change, complaint):
    parameters = {"threshold": 1.0, "current_decay": 1.0, "voltage_decay": 1.0, **change}
    with pytest.raises(QuantizeError, match=complaint):
        read_lif(slayer.neuron.cuba.Neuron(**parameters), torch.zeros(2), "it")


def test_what_is_no_even_integer_is_refused_with_its_place():
    neuron = slayer.neuron.cuba.Neuron(threshold=1.0, current_decay=1.0, voltage_decay=1.0)
    with pytest.raises(QuantizeError, match=r"layer 'it', bias\[1\] is 3.0: expected an even integer"):
        read_lif(neuron, torch.tensor([2.0, 3.0]) / 64, "it")
    with pytest.raises(QuantizeError, match=r"layer 'it', bias\[0\] is nan"):
        read_lif(neuron, torch.tensor([float("nan")]), "it")
    with pytest.raises(QuantizeError, match=r"channel 1: bias 5000 does not fit the chip's 13 bits"):
        read_lif(neuron, torch.tensor([2.0, 5000.0]) / 64, "it")
    with pytest.raises(QuantizeError, match=r"layer 'it': its SLAYER synapse has no quantiser"):
        read_conv(slayer.synapse.Conv(2, 2, 3), "it")


def test_the_bias_follows_the_batch_until_it_is_frozen():
    norm = ChannelBias(2, centred=True, momentum=0.5).train()
    current = torch.stack([torch.full((3, 3, 1), 2.0), torch.full((3, 3, 1), -1.0)])[None]
    assert norm(current).abs().max() == 0
    assert norm.running_mean.tolist() == [1.0, -0.5]
    norm.frozen = True
    assert norm(current)[0, :, 0, 0, 0].tolist() == [1.0, -0.5]
    assert norm.running_mean.tolist() == [1.0, -0.5]
