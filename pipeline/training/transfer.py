"""A spiking student that starts from a real-valued model's convolutions, not from weights at random. Ours.

What a norm does to a convolution, and how much an input's channel says when it spikes, goes into the weights; what is
left of the norm is a shift, which the student's own mean and threshold stand for. Towers and read-outs start at random:
behind the correlation student and teacher have nothing alike.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from statistics import NormalDist

import torch
from torch import Tensor, nn

from pipeline.models.plain import Synapse
from pipeline.models.siamfcpp import BRANCHES, KERNELS, ConvNorm, SiamFCpp
from pipeline.models.spiking import HostEncoder, SpikingSiamFCpp

LIKE_RATE = 0.25
"""Share of neurons that spike before training. Ours: of 0.15 to 0.5 the spikes of a last convolution were most like the
teacher's features with 0.25 and 0.3."""

_THRESHOLD = NormalDist().inv_cdf(1 - LIKE_RATE)
"""The same as a threshold, in deviations above the mean."""

_SHARES = 10_000
"""Quantiles that stand for a normal distribution."""

_SPREAD = 8.0
"""Largest factor that evens out a channel, so that one which says nothing does not become noise."""

_SMALL = 1e-6
"""Deviation of a channel that says nothing at all, SLAYER units."""

PreHook = Callable[[nn.Module, tuple[Tensor, ...]], tuple[Tensor]]


def start_like(student: SpikingSiamFCpp, model: SiamFCpp, template: Tensor, search: Tensor) -> None:
    """Give ``student`` the convolutions of ``model``, up to the correlation, or to the end where its head is real.

    The membranes of all channels of a layer get one deviation on the crops ``template`` and ``search``, and the
    layer's weights the deviation that weights at random would have; thresholds are for ``calibrate``, with LIKE_RATE.

    Both have the same width.
    """
    with torch.no_grad():
        taken = [name for name, block, said in _blocks(model) if _take(student, name, block, said)]
        if student.config.head == "host":
            student.matcher.load_state_dict(model.matcher.state_dict())
        _even_out(student, [name for name in taken if name in student.neurons], template, search)
        if student.config.conv5 == "real":
            _take_features(student, model)
        student.project()


def _blocks(model: SiamFCpp) -> Iterator[tuple[str, ConvNorm, Tensor | None]]:
    """Layers by the student's names, in order, and what a spike of each input channel says; None of pixels."""
    said: Tensor | None = None
    for index in range(1, len(KERNELS) + 1):
        block = model.backbone.get_submodule(f"conv{index}")
        assert isinstance(block, ConvNorm)
        yield f"conv{index}", block, said
        said = _said_by_spikes(block)
    for branch in BRANCHES:
        for part, blocks in (("kernel", model.matcher.neck.kernels), ("map", model.matcher.neck.maps)):
            block = blocks[branch]
            assert isinstance(block, ConvNorm)
            yield f"{branch}_{part}", block, said


def _said_by_spikes(block: ConvNorm) -> Tensor:
    """Of each channel the mean output above the threshold, where a neuron spikes, less that below; shape (channel,).

    The norm's output is taken for normal: its shift and scale are all that is asked for.
    """
    shares = (torch.arange(_SHARES) + 0.5) / _SHARES
    normal = torch.special.ndtri(shares)[:, None]
    outputs = block.norm.bias + block.norm.weight.abs() * normal
    outputs = outputs.relu() if block.relu else outputs
    spikes = normal[:, 0] > _THRESHOLD
    return outputs[spikes].mean(dim=0) - outputs[~spikes].mean(dim=0)


def _take(student: SpikingSiamFCpp, name: str, block: ConvNorm, said: Tensor | None) -> bool:
    """Whether the weights that ``block`` has for ``name`` are now those of integers, which need evening out."""
    synapse = dict(student.synapses.items()).get(name)
    sign = block.norm.weight.sign()  # a spike is where the norm's output is high
    if isinstance(synapse, HostEncoder):
        conv, norm = block.conv.state_dict(), block.norm.state_dict()
        turned = {key: value * sign.reshape(-1, *[1] * (value.ndim - 1)) for key, value in conv.items()}
        synapse.conv.load_state_dict(turned)
        seen = {"running_mean": norm["running_mean"] * sign, "running_var": norm["running_var"]}
        synapse.norm.load_state_dict({**synapse.norm.state_dict(), **seen})
    if not isinstance(synapse, Synapse):
        return False
    weight = block.conv.weight * sign.reshape(-1, 1, 1, 1)
    # The published network reads pixels as BGR, the chip as RGB.
    weight = weight.flip(1) if said is None else weight * said.reshape(1, -1, 1, 1)
    synapse.weight.copy_(weight[..., None])
    return True


def _take_features(student: SpikingSiamFCpp, model: SiamFCpp) -> None:
    """Where no neuron reads the last convolution, its norm is the teacher's, and its weights are as large as others."""
    synapse, block = student.synapses["conv5"], model.backbone.get_submodule("conv5")
    assert isinstance(block, ConvNorm)
    wanted = student.config.deviation("conv5", synapse.weight[0].numel())
    synapse.weight.mul_(wanted / synapse.weight.square().mean().sqrt())
    student.feature_norm.weight.copy_(block.norm.weight.abs())  # signs are in the weights
    student.feature_norm.bias.copy_(block.norm.bias)


def _even_out(student: SpikingSiamFCpp, names: Collection[str], template: Tensor, search: Tensor) -> None:
    """Layer after layer bring the membranes of all channels to one deviation, on crops."""
    neurons = {name: student.neurons[name] for name in names}
    thresholds = {name: neuron.threshold for name, neuron in neurons.items()}
    done: set[str] = set()
    hooks = [neuron.register_forward_pre_hook(_evening(student, name, done)) for name, neuron in neurons.items()]
    student.apply(_keep_norm)
    with student.float_weights():
        student(template, search)
    student.train()
    for hook in hooks:
        hook.remove()
    for name, neuron in neurons.items():
        neuron.threshold = thresholds[name]


def _keep_norm(module: nn.Module) -> None:
    """A norm of the host's has what it needs from the teacher."""
    if isinstance(module, nn.BatchNorm2d):
        module.eval()


def _evening(student: SpikingSiamFCpp, name: str, done: set[str]) -> PreHook:
    synapse, neuron = student.synapses[name], student.neurons[name]
    wanted = student.config.deviation(name, synapse.weight[0].numel())

    def even_out(_: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor]:
        if name in done:  # the layer has its weights since it saw the template
            return (inputs[0],)
        done.add(name)
        deviations = inputs[0].std(dim=(0, 1, 3, 4)).clamp(min=_SMALL)
        factors = (deviations.median() / deviations).clamp(1 / _SPREAD, _SPREAD)
        weight = synapse.weight * factors.reshape(-1, 1, 1, 1, 1)
        scale = wanted / weight.square().mean().sqrt()
        synapse.weight.copy_(weight * scale)
        neuron.threshold = _THRESHOLD * float(deviations.median() * scale)  # so that the layers after it see spikes
        return (inputs[0] * (factors * scale).reshape(-1, 1, 1),)

    return even_out
