"""What a frame costs a model, counted in two ways and against counts of other making."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from pipeline.core.operations import Work
from pipeline.planning.literature_energy import joules
from pipeline.tasks.tracking import operations as module
from pipeline.tasks.tracking.models.config import WIDTHS, SiamFCppConfig, SpikingConfig
from pipeline.tasks.tracking.models.initialisation import calibrate
from pipeline.tasks.tracking.models.siamfcpp import SiamFCpp
from pipeline.tasks.tracking.models.spiking import SpikingSiamFCpp
from pipeline.tasks.tracking.operations import View, work

SIZES = {"width": WIDTHS["tiny"], "template": 103, "search": 143}
CHIP = {}
HOST = {"encoder": "host", "conv5": "real", "head": "host"}


@pytest.fixture(scope="module")
def shown():
    """Two targets, three frames each, of smooth noise: pure noise makes nothing spike behind the first layer."""
    torch.manual_seed(7)

    def smooth(count: int, side: int) -> torch.Tensor:
        coarse = torch.rand(count, 3, side // 12, side // 12) * 255
        return F.interpolate(coarse, size=(side, side), mode="bilinear").to(torch.uint8)

    return [View(smooth(1, 103), smooth(3, 143)) for _ in range(2)]


def student(shown, time_steps: int, **parts) -> SpikingSiamFCpp:
    torch.manual_seed(5)
    model = SpikingSiamFCpp(SpikingConfig(**SIZES, time_steps=time_steps, **parts))
    model = calibrate(model, shown[0].template.repeat(2, 1, 1, 1), shown[0].search[:2])
    model.freeze_norms()
    return model.eval()


def connections_travelled(spikes: torch.Tensor, weight: torch.Tensor) -> float:
    """Synops of a convolution without padding, stride 1: each spike times the outputs that read its pixel. Derived
    from the gradient of the layer's sum, of weights of one. spikes: (frame, channel, row, column)."""
    ones = torch.ones_like(spikes[:1]).requires_grad_()
    F.conv2d(ones, torch.ones(weight.shape[:4])).sum().backward()
    return float((spikes * ones.grad).sum()) / len(spikes)


@pytest.mark.parametrize("parts", [CHIP, HOST], ids=["all on the chip", "encoder and head on the host"])
def test_at_one_time_step_the_engines_spikes_and_the_models_give_the_same_counts(shown, parts):
    model = student(shown, 1, **parts)
    counted = work(model, shown)
    assert module._work(model, module.by_model(model, shown)) == counted
    assert counted.layers[0].spikes > 0
    assert sum(layer.synops for layer in counted.layers[2:]) > 0


@pytest.mark.parametrize("parts", [CHIP, HOST], ids=["all on the chip", "encoder and head on the host"])
def test_synops_of_several_steps_are_spikes_times_their_connections(shown, parts):
    model = student(shown, 3, **parts)
    found = {layer.layer: layer for layer in work(model, shown).layers}
    expected = {"search_conv2": 0.0, "search_conv3": 0.0, "search_conv5": 0.0}
    sources = {"search_conv2": "search_pool1", "search_conv3": "search_pool2", "search_conv5": "search_conv4"}
    for view in shown:
        with torch.inference_mode():
            answer = model.respond(model.program(view.template), view.search)
        for layer, source in sources.items():
            weight = model.synapses[layer.removeprefix("search_")].weight
            for step in range(3):
                spikes = answer[f"spikes/{source}"][step].clone()
                expected[layer] += connections_travelled(spikes, weight) / len(shown)
    for layer, value in expected.items():
        assert value > 0
        assert found[layer].synops == pytest.approx(value, rel=1e-5), layer


def test_the_encoder_counts_at_every_step_unless_it_is_held(shown):
    once, thrice = (work(student(shown, steps), shown) for steps in (1, 3))
    side = (143 - 11) // 2 + 1
    assert once.layers[0].macs == side * side * 6 * 3 * 11 * 11
    assert thrice.layers[0].macs == 3 * once.layers[0].macs
    synops = sum(layer.synops for layer in thrice.layers)
    assert joules(thrice, "full", "fp32", encoder_once=True) == pytest.approx(
        once.layers[0].macs * 4.6e-12 + synops * 0.9e-12
    )


def test_the_rate_is_of_all_spiking_neurons_and_steps(shown):
    model = student(shown, 3)
    rates = []
    for view in shown:
        with torch.inference_mode():
            answer = model.respond(model.program(view.template), view.search)
        rates.append([value.mean(dim=(0, 1)) for name, value in answer.items() if name.startswith("spikes/")])
    total = sum(float(layer.sum()) for view in rates for layer in view) / len(shown)
    assert work(model, shown).spike_rate == pytest.approx(total / sum(layer.numel() for layer in rates[0]), rel=1e-5)


def test_the_published_teacher_costs_what_its_layers_multiply(shown):
    counted = work(SiamFCpp(SiamFCppConfig(width=WIDTHS["alexnet"])), shown)
    assert sum(layer.macs for layer in counted.layers if layer.backbone) == pytest.approx(6.4722e9, rel=1e-4)
    assert sum(layer.macs for layer in counted.layers) == pytest.approx(8.561e9, rel=1e-3)
    assert joules(counted, "backbone", "fp32") == pytest.approx(29.8e-3, rel=1e-2)
    assert joules(counted, "full", "fp32") == pytest.approx(39.4e-3, rel=1e-2)
    assert counted.spike_rate == 0


def test_a_heads_real_values_count_once_whatever_the_steps(shown):
    head = [
        {layer.layer: layer.macs for layer in work(student(shown, steps, **HOST), shown).layers if not layer.backbone}
        for steps in (1, 3)
    ]
    assert head[0] == head[1]
    assert sum(head[0].values()) > 0


def test_a_real_valued_head_costs_a_student_what_it_costs_the_teacher(shown):
    counted = (work(model, shown) for model in (student(shown, 1, **HOST), SiamFCpp(SiamFCppConfig(**SIZES))))
    ours, theirs = (sum(layer.macs for layer in one.layers if not layer.backbone) for one in counted)
    assert ours == theirs


def test_work_survives_json(shown):
    counted = work(student(shown, 1), shown)
    assert Work.from_json(counted.to_json()) == counted
