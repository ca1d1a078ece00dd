"""How a spiking student starts: calibrated thresholds, or weights from another model, layer by layer.

A student that is initialised from a real-valued model comes as near to it as it can, by least squares. Ours.

Each layer gets the weights with which the spikes that reach it say best what the model's layer says of the same crops,
and then the threshold at which the wanted share of its neurons spikes: the next layer starts from its spikes, with all
that was lost before them. What a norm does to a layer goes into its weights and, as a shift, into mean and threshold.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress

import torch
from torch import Tensor, nn

from pipeline.core.task import Batch
from pipeline.models.config import LayerRole
from pipeline.models.quantisation import ChannelBias
from pipeline.models.spiking_layers import Neuron
from pipeline.tasks.tracking.checkpoint import Model
from pipeline.tasks.tracking.losses import on_target, true_distances
from pipeline.tasks.tracking.models.config import SpikingConfig
from pipeline.tasks.tracking.models.siamfcpp import BRANCHES, KERNELS, ConvNorm, SiamFCpp
from pipeline.tasks.tracking.models.spiking import HostEncoder, SpikingSiamFCpp
from pipeline.training.calibration import NECK_RATE, RATE, calibrated_thresholds, set_threshold
from pipeline.training.least_squares import SAMPLES, Fit, Maps, fitted_convolution
from quantize.slayer import WEIGHT_SCALE

INITIAL_RATE = 0.25
"""Share of neurons that spike before training. Ours: of 0.15 to 0.5 the spikes of a last convolution were most like the
teacher's features with 0.25 and 0.3."""

FITTED_BATCHES = 4
"""Batches that weights are fitted to. Ours."""

_SPREAD = 8.0
"""Largest factor that evens out a channel, so that one which says nothing does not become noise."""

_SMALL = 1e-6
"""Deviation of a channel that says nothing at all."""

_COUNTED, _FEWER = 0.5, 0.4
"""Share of positions at which the first copy of a correlation's channel spikes; of these the share at which the next
one does, and so on. What matters is how high a count is. Ours."""


def calibrate(student: SpikingSiamFCpp, template: Tensor, search: Tensor, rate: float = RATE) -> SpikingSiamFCpp:
    """A student with the weights of ``student``, made of plain layers, and thresholds that ``template`` and ``search``
    crops call for.

    template, search: RGB, uint8, (pair, 3, side, side). rate: share of neurons that are to spike, between 0 and 1; at
    least NECK_RATE where template and search meet. Thresholds that the configuration names stay, as does the
    correlation's. The new ones are part of the result's configuration.
    """
    state = {name: value.clone() for name, value in student.state_dict().items()}  # means are learned in training alone
    given, roles = student.config.thresholds, student.module_roles
    neurons = _to_calibrate(student)
    rates = {name: _rate(roles[name], rate) for name in neurons if name not in given}
    found = calibrated_thresholds(neurons, rates, lambda: student(template, search))
    return with_thresholds(student.config, {**given, **found}, state)


def with_thresholds(
    config: SpikingConfig, thresholds: Mapping[str, int], state: Mapping[str, Tensor]
) -> SpikingSiamFCpp:
    """A student of plain layers with the tensors of ``state`` and thresholds that are part of its configuration."""
    student = SpikingSiamFCpp(config.model_copy(update={"thresholds": dict(thresholds)}))
    student.load_state_dict(state)
    return student


def _to_calibrate(student: SpikingSiamFCpp) -> dict[str, Neuron]:
    """The layers whose thresholds follow from what reaches them; a correlation's is the weight of a coincidence."""
    return {
        name: neuron
        for name, neuron in student.neurons.items()
        if name in student.config.spiking_layers and isinstance(neuron, Neuron)
    }


def _rate(role: LayerRole, rate: float) -> float:
    return max(rate, NECK_RATE) if role.part == "neck" else rate


def _correlation_of(student: SpikingSiamFCpp, branch: str | None) -> str:
    found = [name for name, role in student.module_roles.items() if (role.part, role.branch) == ("correlation", branch)]
    return found[0]


class _ReachedError(Exception):
    """A forward pass came as far as it was needed."""


def initialise_from(
    student: SpikingSiamFCpp, model: Model, shown: Sequence[Batch], rate: float = INITIAL_RATE
) -> SpikingSiamFCpp:
    """A student with the architecture of ``student`` that is as like ``model`` as its layers can be on the batches
    ``shown``; its thresholds are part of its configuration.

    model: the teacher, or a student whose head is on the host, of which the backbone stays as it is. Both have the same
    width. rate: share of neurons that are to spike, as in ``calibrate``. The membranes of all channels of a layer have
    one deviation, and its weights the deviation that weights at random would have; read-outs have the scale of the
    model's. What the host does in real values is the model's own.
    """
    thresholds, roles = dict(student.config.thresholds), student.module_roles
    student.eval()  # on a batch's own means it would be another network than the one that will run
    with torch.no_grad():
        answers = _layer_answers(model, shown)
        _take_what_is_real(student, model)
        taken = _take_backbone(student, model) if isinstance(model, SpikingSiamFCpp) else {}
        thresholds |= taken
        for name, synapse in student.synapses.items():
            if name in taken:
                continue
            if not isinstance(synapse, HostEncoder):
                first = roles[name].first
                _give(student, name, _first(model, answers[name]) if first else _fit(student, name, answers, shown))
                student.project()
            if name in student.neurons:
                currents = _centred(student, name, shown)
                if name in _to_calibrate(student) and name not in thresholds:
                    thresholds[name] = set_threshold(student.neurons[name], currents, _rate(roles[name], rate))
            if roles[name].part == "neck" and roles[name].side == "search":
                correlation = _correlation_of(student, roles[name].branch)
                _spread_copies(student, correlation, _centred(student, correlation, shown))
        _settle(student, shown)
    return with_thresholds(student.config, thresholds, student.state_dict())


def _layer_answers(model: Model, shown: Sequence[Batch]) -> Mapping[str, Maps]:
    """What each real-valued layer of the model answers before its ReLU, by the student's names."""
    matcher = model.matcher
    blocks = dict(model.backbone.named_children()) if isinstance(model, SiamFCpp) else {}
    for branch in BRANCHES:
        blocks |= {f"{branch}_kernel": matcher.neck.kernels[branch], f"{branch}_map": matcher.neck.maps[branch]}
        tower = matcher.head.towers[branch]
        blocks |= {f"{branch}_tower{index}": block for index, block in enumerate(tower.children(), start=1)}
    blocks |= dict(matcher.head.readouts.items())
    answers: dict[str, list[Tensor]] = defaultdict(list)
    hooks = []
    for name, block in blocks.items():
        assert isinstance(block, ConvNorm)
        hooks.append(block.norm.register_forward_hook(lambda _, __, answer, name=name: answers[name].append(answer)))
    for batch in shown:
        batch.through(model.eval())
    for hook in hooks:
        hook.remove()
    return answers


def _take_what_is_real(student: SpikingSiamFCpp, model: Model) -> None:
    encoder = student.synapses["conv1"]
    if isinstance(encoder, HostEncoder) and isinstance(model, SiamFCpp):
        encoder.load_state_dict(model.backbone.get_submodule("conv1").state_dict())
    if student.config.head == "chip":
        student.decoder.load_state_dict(model.matcher.decoder.state_dict())
        return
    student.matcher.load_state_dict(model.matcher.state_dict())
    if student.config.conv5 == "real" and isinstance(model, SiamFCpp):
        norm = model.backbone.get_submodule("conv5").get_submodule("norm")
        assert isinstance(norm, nn.BatchNorm2d)
        student.feature_norm.weight.copy_(norm.weight.abs())  # its membranes follow the norm's answer, turned or not
        student.feature_norm.bias.copy_(norm.bias)


def _take_backbone(student: SpikingSiamFCpp, model: SpikingSiamFCpp) -> dict[str, int]:
    """Give the student the model's backbone; returns its thresholds."""
    thresholds = {}
    for name in (f"conv{index}" for index in range(1, len(KERNELS) + 1)):
        student.synapses[name].load_state_dict(model.synapses[name].state_dict())
        if name in model.neurons:
            student.neurons[name].load_state_dict(model.neurons[name].state_dict())
            student.neurons[name].threshold = model.neurons[name].threshold
            thresholds[name] = round(model.neurons[name].threshold * WEIGHT_SCALE)
    return thresholds


def _settle(student: SpikingSiamFCpp, shown: Sequence[Batch]) -> None:
    """Let the norm of real-valued features see its membranes."""
    norm = getattr(student, "feature_norm", None)
    if isinstance(norm, nn.BatchNorm2d):
        usual = norm.momentum
        norm.momentum = None  # type: ignore[assignment]  # the mean over all batches
        norm.reset_running_stats()
        norm.train()
        for batch in shown:
            batch.through(student)
        norm.momentum = usual


def _centred(student: SpikingSiamFCpp, name: str, shown: Sequence[Batch]) -> list[Tensor]:
    """What reaches a layer's neurons, (step, frame, channel, row, column), whose mean its norm now takes away."""
    neuron = student.neurons[name]
    calls = 2 if student.module_roles[name].part == "backbone" else 1  # the backbone sees templates, too
    currents = _seen(student, neuron, calls, shown)
    if isinstance(neuron.norm, ChannelBias):
        # Templates and search crops count alike, as they do in training.
        neuron.norm.running_mean.copy_(torch.stack([c.mean(dim=(0, 1, 3, 4)) for c in currents]).mean(dim=0))
    return currents


def _seen(student: SpikingSiamFCpp, module: nn.Module, calls: int, shown: Sequence[Batch]) -> list[Tensor]:
    """The first argument of the calls of ``module``, of which there are ``calls`` for each batch."""
    seen: list[Tensor] = []

    def look(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        seen.append(inputs[0])
        if len(seen) % calls == 0:
            raise _ReachedError

    hook = module.register_forward_pre_hook(look)
    for batch in shown:
        with suppress(_ReachedError):
            batch.through(student)
    hook.remove()
    return seen


def _target(batch: Batch, answer: Tensor) -> Tensor:
    """Bool (frame, row, column): the positions of a score map whose box means something."""
    return on_target(true_distances(batch["box"], answer.shape[-1], batch["search"].shape[-1]), batch["same"])


def _first(model: Model, answers: Maps) -> Fit:
    """The convolution of pixels, which needs no fitting: the model's own, without what shifts its answer. The published
    network reads BGR, the chip RGB."""
    assert isinstance(model, SiamFCpp), "a student hands its backbone on"
    block = model.backbone.get_submodule("conv1")
    assert isinstance(block, ConvNorm)
    norm = block.norm
    assert isinstance(norm, nn.BatchNorm2d)
    assert norm.running_var is not None
    scale = norm.weight / (norm.running_var + norm.eps).sqrt()
    spread = torch.cat([answer.movedim(1, 0).flatten(1) for answer in answers], dim=1).std(dim=1)
    return Fit(block.conv.weight.flip(1) * scale.reshape(-1, 1, 1, 1), torch.zeros_like(scale), spread)


def _fit(student: SpikingSiamFCpp, name: str, answers: Mapping[str, Maps], shown: Sequence[Batch]) -> Fit:
    synapse, wanted, role = student.synapses[name], answers[name], student.module_roles[name]
    inputs = [x.mean(dim=0) for x in _seen(student, synapse, len(wanted) // len(shown), shown)]
    masks = [_target(batch, wanted[0]) for batch in shown] if role.part == "readout" and role.branch == "box" else None
    return fitted_convolution(inputs, wanted, masks, synapse.weight.shape[2], synapse.stride[0])


def _give(student: SpikingSiamFCpp, name: str, fit: Fit) -> None:
    """Set a layer's weights: a read-out's as they are, those of neurons so that all channels deviate alike."""
    weight = student.synapses[name].weight
    if student.module_roles[name].part == "readout":
        weight.copy_(fit.weight[..., None])
        student.biases[name].offset.copy_(fit.bias)
        return
    even = (fit.deviation.median() / fit.deviation.clamp(min=_SMALL)).clamp(1 / _SPREAD, _SPREAD)
    rows = fit.weight * even.reshape(-1, 1, 1, 1)
    scale = student.config.deviation(name, rows[0].numel()) / rows.square().mean().sqrt().clamp(min=_SMALL)
    weight.copy_((rows * scale)[..., None])


def _spread_copies(student: SpikingSiamFCpp, name: str, currents: Sequence[Tensor]) -> None:
    """Let the copies of each channel of a correlation spike at counts that are less and less frequent."""
    neuron, copies = student.neurons[name], student.config.correlation.copies
    step = student.config.correlation.gain / WEIGHT_SCALE
    counts = torch.cat(list(currents), dim=1)[:, :, ::copies].movedim(2, 0).flatten(1)
    counts -= neuron.norm.running_mean[::copies, None]
    counts = counts[:, :: counts.shape[1] // SAMPLES + 1]
    for copy in range(copies):
        reached = torch.quantile(counts, 1 - _COUNTED * _FEWER**copy, dim=1)
        # Half a count above, where rounding moves nothing.
        neuron.norm.offset[copy::copies] = neuron.threshold - reached - step / 2
