"""A loss of layers that spike more than they may."""

from __future__ import annotations

import pytest
import torch

from pipeline.core.task import Batch
from pipeline.training.config import SpikeRateTerm
from pipeline.training.sparsity import SpikeRate
from pipeline.training.term import Context, NamedTensors, TrainingError


def spikes(rate: float, neurons: int = 20) -> torch.Tensor:
    signal = torch.zeros(1, 2, neurons // 2, 1, 1)
    signal.view(-1)[: round(rate * neurons)] = 1
    return signal.requires_grad_()


def test_layers_above_their_target_cost_its_square_and_others_nothing():
    layers = {"student/spikes/a": spikes(0.3), "student/spikes/b": spikes(0.05), "student/class": torch.ones(1)}
    layers["teacher/spikes/a"] = spikes(1.0)
    term = SpikeRate(SpikeRateTerm(kind="spike_rate", model="student", most=0.1, weight=50), NamedTensors(layers))
    [(name, loss)] = term(Context(NamedTensors(layers), Batch({}, ()), 0)).items()
    assert name == "student/spike_rate"
    assert loss.item() == pytest.approx(50 * ((0.3 - 0.1) ** 2 + 0) / 2)
    loss.backward()
    by_hand = 50 * 2 * (0.3 - 0.1) / 2 / 20  # of each neuron's spike
    torch.testing.assert_close(layers["student/spikes/a"].grad, torch.full((1, 2, 10, 1, 1), by_hand))
    assert not layers["student/spikes/b"].grad.any()
    assert layers["teacher/spikes/a"].grad is None
    assert term.teaches(name) == {"student"}


def test_a_model_that_does_not_spike_has_no_rate():
    section = SpikeRateTerm(kind="spike_rate", model="teacher")
    with pytest.raises(TrainingError, match="'teacher' has no layer that spikes"):
        SpikeRate(section, NamedTensors({"teacher/class": torch.ones(1), "student/spikes/a": torch.ones(1)}))
