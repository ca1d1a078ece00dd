"""A spiking student that starts from its teacher's convolutions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.core.task import Batch
from pipeline.datasets.pictures import open_pictures
from pipeline.datasets.synthetic.compose import compose
from pipeline.datasets.synthetic.composition import CompositionSpec
from pipeline.tasks.tracking.checkpoint import load_model
from pipeline.tasks.tracking.models.config import WIDTHS, SiamFCppConfig, SpikingConfig
from pipeline.tasks.tracking.models.initialisation import INITIAL_RATE, calibrate, initialise_from
from pipeline.tasks.tracking.models.siamfcpp import SiamFCpp
from pipeline.tasks.tracking.models.spiking import HostEncoder, SpikingSiamFCpp
from pipeline.training.calibration import NECK_RATE

ROOT = Path(__file__).parents[4]
SIDES = {"width": WIDTHS["tiny"], "template": 103, "search": 143}
BACKBONE = [f"conv{index}" for index in range(1, 6)]
NECK = ["class_kernel", "class_map", "box_kernel", "box_map"]


def crops(side: int, frames: int = 4) -> torch.Tensor:
    """Random blocks of several sizes: something that neighbours share."""
    rng = np.random.default_rng(side)
    sizes = (32, 8, 1)
    layers = [rng.integers(0, 255 // len(sizes), (frames, 3, side // n + 1, side // n + 1)) for n in sizes]
    coarse = [layer.repeat(n, 2).repeat(n, 3)[..., :side, :side] for layer, n in zip(layers, sizes, strict=True)]
    return torch.from_numpy(sum(coarse).astype(np.uint8))


def teacher(seed: int = 1) -> SiamFCpp:
    """Not trained, but with norms that have seen something, of which some turn their channel round."""
    torch.manual_seed(seed)
    model = SiamFCpp(SiamFCppConfig(**SIDES, head_deviation=0.02))
    norms = [module for module in model.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    with torch.no_grad():
        for norm in norms:
            norm.weight.copy_(torch.randn(norm.num_features).sign() * (0.5 + torch.rand(norm.num_features)))
            norm.bias.copy_(torch.randn(norm.num_features) * 0.3)
            norm.momentum = None  # the mean over all batches
        for _ in range(2):
            model(crops(103), crops(143))
    return model.eval()


def batch(template: torch.Tensor, search: torch.Tensor) -> Batch:
    """Pairs of a target in the middle."""
    middle, side = search.shape[-1] / 2, template.shape[-1] / 4
    box = torch.tensor([middle - side, middle - side, 2 * side, 2 * side]).repeat(len(search), 1)
    return Batch(
        {"template": template, "search": search, "box": box, "same": torch.ones(len(search), dtype=torch.bool)},
        ("template", "search"),
    )


def started(model: SiamFCpp | SpikingSiamFCpp, **options: object) -> SpikingSiamFCpp:
    torch.manual_seed(9)
    student = SpikingSiamFCpp(SpikingConfig(**SIDES, **options))
    return initialise_from(student, model, [batch(crops(103), crops(143))])


@pytest.fixture(scope="module")
def trained() -> tuple[SiamFCpp, Batch]:
    """The teacher that comes with the package, and crops of a clip composed from photographs."""
    model = load_model(ROOT / "pipeline" / "model_zoo" / "weights" / "small-teacher" / "small-teacher.safetensors")
    assert isinstance(model, SiamFCpp)
    spec = CompositionSpec(frames=4, height=320, width=320, object_size=(60, 100))
    frames = np.stack(
        [clip.frames[-1][:303, :303] for clip in (compose(open_pictures("builtin"), spec, n) for n in range(6))]
    )
    search = torch.from_numpy(frames.transpose(0, 3, 1, 2).copy())
    return model, batch(search[..., 88:215, 88:215].contiguous(), search)


@pytest.fixture(scope="module")
def alike(trained) -> tuple[SpikingSiamFCpp, dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """The student, and what it and its teacher answer."""
    model, shown = trained
    torch.manual_seed(9)
    student = initialise_from(SpikingSiamFCpp(SpikingConfig(width=model.config.width)), model, [shown])
    student.freeze_norms()
    with torch.no_grad():
        return student, shown.through(student), shown.through(model)


def agreement(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    """Mean correlation, over the channels, of maps (frame, channel, row, column)."""
    pairs = zip(ours.movedim(1, 0).flatten(1), theirs.movedim(1, 0).flatten(1), strict=True)
    return float(np.nanmean([np.corrcoef(first, second)[0, 1] for first, second in pairs]))


def test_its_membranes_and_spikes_follow_the_teachers_features(trained, alike):
    model, shown = trained
    _, ours, theirs = alike
    torch.manual_seed(9)
    at_random = SpikingSiamFCpp(SpikingConfig(width=model.config.width))
    at_random = calibrate(at_random, shown["template"], shown["search"], INITIAL_RATE)
    with torch.no_grad():
        random = shown.through(at_random)
    assert abs(agreement(random["spikes/search_conv5"][0], theirs["search_features"])) < 0.1
    assert agreement(ours["spikes/search_conv5"][0], theirs["search_features"]) > 0.6
    assert agreement(ours["voltage/search_conv5"][0], theirs["search_features"]) > 0.75


def test_it_finds_the_target_where_its_teacher_does_before_it_is_trained(alike):
    _, ours, theirs = alike
    assert agreement(ours["class"], theirs["class"]) > 0.6
    assert agreement(ours["centre"], theirs["centre"]) > 0.5


def test_the_wanted_share_of_neurons_spikes_and_copies_at_ever_higher_counts(alike):
    student, ours, _ = alike
    for name in [*BACKBONE[1:], "class_map", "class_tower2"]:
        rate = max(INITIAL_RATE, NECK_RATE) if name.endswith("_map") else INITIAL_RATE
        spikes = ours[f"spikes/search_{name}" if name in BACKBONE else f"spikes/{name}"]
        assert spikes.mean() == pytest.approx(rate, abs=0.04), name
    copies = ours["spikes/box_correlation"][0].unflatten(1, (-1, student.config.correlation.copies)).mean(dim=(0, 3, 4))
    assert (copies[:, 0] >= copies[:, 1]).all()
    assert copies.mean(dim=0)[0] > 1.5 * copies.mean(dim=0)[1] > 0.05


def test_the_membranes_of_a_layers_channels_have_one_deviation(alike):
    _, ours, _ = alike
    for name in BACKBONE:
        deviations = ours[f"voltage/search_{name}"].std(dim=(0, 1, 3, 4))
        assert deviations.max() < 1.6 * deviations.min(), name


def test_a_layers_weights_are_as_large_as_those_at_random():
    """So that as many integers tell them apart, and the learning rate means the same."""
    student = started(teacher())
    for name in [*BACKBONE, *NECK, "class_tower1", "box_tower1"]:
        weight = student.synapses[name].weight
        wanted = student.config.deviation(name, weight[0].numel())
        assert float(weight.square().mean().sqrt()) == pytest.approx(wanted, rel=0.05), name


def test_a_student_with_a_real_head_hands_on_its_backbone_as_it_is_and_its_head_as_spikes():
    host = started(teacher(), head="host")
    with torch.no_grad():
        for synapse in host.synapses.values():
            synapse.weight.add_(0.1 * torch.randn_like(synapse.weight))
    host.eval()
    student = started(host).eval()
    with torch.no_grad():
        ours, theirs = (model(crops(103), crops(143)) for model in (student, host))
    for name in BACKBONE:
        assert torch.equal(ours[f"spikes/search_{name}"], theirs[f"spikes/search_{name}"]), name
    for name in ("class_kernel", "box_kernel"):  # the same spikes make the same membranes, but for the scale
        assert agreement(ours[f"voltage/{name}"][0], theirs[name]) > 0.95, name


def test_one_function_gives_one_start_however_its_norms_are_written():
    """A row of weights three times as large, and turned round, that its norm divides by three and turns back."""
    model, same = teacher(), teacher()
    with torch.no_grad():
        for index, name in enumerate(BACKBONE):
            block = same.backbone.get_submodule(name)
            row = index % len(block.norm.weight)
            block.conv.weight[row].mul_(-3)
            block.conv.bias[row].mul_(-3)
            block.norm.running_mean[row].mul_(-3)
            block.norm.running_var[row].mul_(9)
            block.norm.weight[row].neg_()
    for before, after in zip(
        model(crops(103), crops(143)).values(), same(crops(103), crops(143)).values(), strict=True
    ):
        torch.testing.assert_close(before, after, rtol=1e-3, atol=1e-3)
    with torch.no_grad():
        ours, theirs = (started(start).eval()(crops(103), crops(143)) for start in (model, same))
    for name in BACKBONE:  # within the rounding to integers, by which both even out their channels
        assert agreement(ours[f"voltage/search_{name}"][0], theirs[f"voltage/search_{name}"][0]) > 0.97, name


def test_an_encoder_on_the_host_is_the_teachers():
    model = teacher()
    encoder = started(model, encoder="host").synapses["conv1"]
    assert isinstance(encoder, HostEncoder)
    images = torch.rand(2, 3, 40, 40) * 255
    block = model.backbone.get_submodule("conv1")
    torch.testing.assert_close(encoder.eval()(images[None])[0], block.norm(block.conv(images)), rtol=1e-4, atol=1e-4)


def test_a_head_on_the_host_is_the_teachers():
    model = teacher()
    matcher = started(model, encoder="host", conv5="real", head="host").matcher
    for key, value in model.matcher.state_dict().items():
        assert torch.equal(matcher.state_dict()[key], value), key


def test_real_features_are_turned_and_scaled_as_the_teachers_and_finely_rounded():
    model = teacher()
    student = started(model, encoder="host", conv5="real", head="host")
    norm = model.backbone.get_submodule("conv5").norm
    with torch.no_grad():
        features = student(crops(103), crops(143))["search_features"].movedim(1, 0).flatten(1)
    assert (norm.weight < 0).any(), "some channels are turned round"
    torch.testing.assert_close(features.mean(dim=1), norm.bias.detach(), rtol=0, atol=1e-3)
    torch.testing.assert_close(features.std(dim=1), norm.weight.abs().detach(), rtol=0.02, atol=0)
    weight = student.synapses["conv5"].weight
    wanted = student.config.deviation("conv5", weight[0].numel())
    assert float(weight.square().mean().sqrt()) == pytest.approx(wanted, rel=0.05)


def test_a_dead_channel_stays_finite():
    model = teacher()
    with torch.no_grad():
        model.backbone.get_submodule("conv2").conv.weight[0].zero_()
    assert all(torch.isfinite(value).all() for value in started(model).state_dict().values())
