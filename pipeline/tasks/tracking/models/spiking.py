"""The spiking student: SiamFC++ whose ReLUs are spiking neurons; at one time step it is S4.

The image is shown ``time_steps`` times (direct encoding). Max pooling of spikes is their OR. What runs on the chip has
even integer weights and odd thresholds, straight-through in training, and stays in 24 bits (``project``). What is left
to the host is real-valued: the first convolution where ``encoder: host``, all behind the backbone where ``head: host``.

On the chip the template's spikes are correlated with the search spikes of the same time step, each count is read
against several thresholds (a thermometer code), and class, centre and box are membranes, averaged over the steps.

Beside what ``pipeline.tasks.tracking.models.siamfcpp`` names, a student answers ``spikes/LAYER``
and ``voltage/LAYER`` of each layer that spikes, (step, frame, channel, row, column),
voltages in SLAYER units before the reset.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from netx.types import SPIKES
from pipeline.models.blocks import Blocks
from pipeline.models.config import LayerRole
from pipeline.models.pixels import pixel_range, signed_pixels
from pipeline.models.quantisation import ChannelBias, QuantisedModule, fit_to_chip
from pipeline.models.spiking_layers import Neuron, PlainBlocks
from pipeline.tasks.tracking.models.config import SpikingConfig
from pipeline.tasks.tracking.models.siamfcpp import (
    BRANCHES,
    KERNELS,
    POOLED,
    BoxDecoder,
    Correlation,
    RealHead,
    Tensors,
    bgr,
)
from quantize.slayer import WEIGHT_SCALE

READOUTS = {"class": ("class", 1), "centre": ("class", 1), "box": ("box", 4)}
"""Read-outs: the branch whose tower they read, and their channels."""

SIDES = ("template", "search")
"""The inputs of a student, whose names come before those of the backbone's layers."""

READOUT_DEVIATION = 0.1
"""Standard deviation of the read-outs' initial weights, SLAYER units. Ours."""

INITIAL_CLASS_LOGIT = -2.0
"""Most positions are background: a class probability of about a tenth. Ours."""


@runtime_checkable
class Quantised(Protocol):
    """A module with an integer and a real-valued form."""

    quantised: bool


class HostEncoder(nn.Module):
    """The first convolution on the host: real-valued, normed, of the published BGR images."""

    def __init__(self, outputs: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, outputs, kernel, stride)
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, images: Tensor) -> Tensor:
        with torch.autocast(images.device.type, enabled=False):
            return self.norm(self.conv(images[0]))[None]


class SpikingSiamFCpp(QuantisedModule):
    """The whole student. Crops are RGB, uint8, (frame, 3, side, side)."""

    def __init__(self, config: SpikingConfig, blocks: Blocks | None = None) -> None:
        """blocks: plain ones where not given; SLAYER's make a student of the same bits with the same state."""
        super().__init__()
        self.config, self.time_steps = config, config.time_steps
        self.synapses, self.neurons = nn.ModuleDict(), nn.ModuleDict()
        self.blocks: Blocks = blocks or PlainBlocks(config.neurons, config.surrogate)
        self._add_backbone(self.blocks)
        if config.head == "host":
            self.matcher = RealHead(config)
            # Real-valued features get the norm that the teacher's last convolution has.
            self.feature_norm = nn.BatchNorm2d(config.width.backbone[-1]) if config.conv5 == "real" else nn.Identity()
        else:
            self._add_head(self.blocks)
            self.correlation = Correlation()
            self.decoder = BoxDecoder(config)
        self._quantised: list[Quantised] | None = None
        self._set_quantised(True)
        self.project()

    @property
    def roles(self) -> dict[str, LayerRole]:
        """What each layer is for, by the name that it has in tensors (``spikes/LAYER``) and in a ``Network``, in the
        order in which they run."""
        roles: dict[str, LayerRole] = {}
        for side in SIDES:
            for index in range(1, len(KERNELS) + 1):
                first = index == 1
                roles[f"{side}_conv{index}"] = LayerRole("backbone", f"conv{index}", side, first=first)
                if index in POOLED:
                    roles[f"{side}_pool{index}"] = LayerRole("backbone", f"pool{index}", side, pooling=True)
        if self.config.head == "host":
            return roles
        for branch in BRANCHES:
            for part, side in (("kernel", "template"), ("map", "search")):
                roles[f"{branch}_{part}"] = LayerRole("neck", f"{branch}_{part}", side, branch)
            name = f"{branch}_correlation"
            roles[name] = LayerRole("correlation", name, "search", branch)
            for index in range(1, self.config.width.tower + 1):
                name = f"{branch}_tower{index}"
                roles[name] = LayerRole("tower", name, "search", branch)
        for name, (branch, _) in READOUTS.items():
            roles[name] = LayerRole("readout", name, "search", branch)
        return roles

    @property
    def module_roles(self) -> dict[str, LayerRole]:
        """The same by the layers' names in ``synapses`` and ``neurons``; of those that serve both sides the first."""
        return {role.module: role for role in reversed(self.roles.values()) if not role.pooling}

    def _add_backbone(self, blocks: Blocks) -> None:
        config = self.config
        channels = (3, *config.width.backbone)
        for index, (kernel, stride) in enumerate(KERNELS, start=1):
            name, inputs, outputs = f"conv{index}", channels[index - 1], channels[index]
            if index == 1 and config.encoder == "host":
                self.synapses[name] = HostEncoder(outputs, kernel, stride)
                self.neurons[name] = blocks.neuron(config.threshold(name, 0), nn.Identity())
                continue
            if name in config.spiking_layers:
                self._add_spiking(blocks, name, inputs, outputs, kernel, stride)
            else:
                deviation = config.deviation(name, inputs * kernel * kernel)
                self.synapses[name] = blocks.synapse(inputs, outputs, kernel, stride, deviation)

    def _add_head(self, blocks: Blocks) -> None:
        config = self.config
        width, correlation = config.width, config.correlation
        for branch in BRANCHES:
            for part in ("kernel", "map"):
                self._add_spiking(blocks, f"{branch}_{part}", width.backbone[-1], width.neck, 3)
            norm = ChannelBias(width.neck * correlation.copies, centred=True)
            with torch.no_grad():  # the copies of a channel read its count against evenly spread thresholds
                spread = torch.linspace(-1, 1, correlation.copies + 2)[1:-1] * correlation.threshold / WEIGHT_SCALE
                norm.offset.add_(spread.repeat(width.neck))
            self.neurons[f"{branch}_correlation"] = blocks.neuron(correlation.threshold, norm)
            inputs = width.neck * correlation.copies
            for index in range(1, width.tower + 1):
                self._add_spiking(blocks, f"{branch}_tower{index}", inputs, width.head, 3)
                inputs = width.head
        self.biases = nn.ModuleDict()
        for name, (_, outputs) in READOUTS.items():
            self.synapses[name] = blocks.synapse(width.head, outputs, 1, 1, READOUT_DEVIATION)
            initial = INITIAL_CLASS_LOGIT if name == "class" else 0.0
            self.biases[name] = ChannelBias(outputs, centred=False, initial=initial)

    def _add_spiking(self, blocks: Blocks, name: str, inputs: int, outputs: int, kernel: int, stride: int = 1) -> None:
        fan_in = inputs * kernel * kernel
        deviation = self.config.deviation(name, fan_in)
        self.synapses[name] = blocks.synapse(inputs, outputs, kernel, stride, deviation)
        self.neurons[name] = blocks.neuron(self.config.threshold(name, fan_in), ChannelBias(outputs, centred=True))

    def program(self, template: Tensor) -> Tensors:
        """What stands for the target: its features, and the kernels of both branches."""
        tensors = self._backbone("template", self.images(template))
        if self.config.head == "host":
            return {**tensors, **self.matcher.program(tensors["template_features"])}
        for branch in BRANCHES:
            name = f"{branch}_kernel"
            self._fire(name, tensors["spikes/template_conv5"], tensors)
            tensors[name] = tensors[f"spikes/{name}"].mean(dim=0)
        return tensors

    def respond(self, target: Mapping[str, Tensor], search: Tensor) -> Tensors:
        """The answer to each search crop against its target, or against the single one."""
        tensors = self._backbone("search", self.images(search))
        if self.config.head == "host":
            return {**tensors, **self.matcher.respond(target, tensors["search_features"])}
        towers = {}
        for branch in BRANCHES:
            x = self._fire(f"{branch}_map", tensors["spikes/search_conv5"], tensors)
            current = self.correlate(target[f"spikes/{branch}_kernel"], x)
            x = self._fire(f"{branch}_correlation", current, tensors)
            tensors[f"{branch}_correlation"] = x.mean(dim=0)
            for index in range(1, self.config.width.tower + 1):
                x = self._fire(f"{branch}_tower{index}", x, tensors)
            towers[branch] = x
        for name, (branch, _) in READOUTS.items():
            tensors[name] = self.biases[name](self.synapses[name](towers[branch]).movedim(0, -1)).mean(dim=-1)
        return {**tensors, "distances": self.decoder(tensors["box"])}

    def forward(self, template: Tensor, search: Tensor) -> Tensors:
        target = self.program(template)
        return {**target, **self.respond(target, search)}

    def images(self, crops: Tensor) -> Tensor:
        """Crops as the first convolution reads them, float32: BGR on the host, signed RGB pixels on the chip."""
        if self.config.encoder == "host":
            return bgr(crops)
        return signed_pixels(crops, self.config.pixel_bits)

    def chip_input(self, crops: Tensor) -> Tensor:
        """What enters the chip at the first step, (frame, channel, row, column): pixels, or the encoder's spikes."""
        images = self.images(crops)
        if self.config.encoder == "chip":
            return images
        spikes, _ = self.neurons["conv1"](self.synapses["conv1"](images[None]))
        return spikes[0]

    def correlate(self, kernel: Tensor, search: Tensor) -> Tensor:
        """Current of the correlation's neurons: counts of coincidences times the gain, once for each copy.

        kernel, search: spikes (step, frame, channel, row, column); one kernel may serve all frames.
        """
        steps, frames = search.shape[:2]
        config = self.config.correlation
        with torch.autocast(search.device.type, enabled=False):
            counts = self.correlation(search.flatten(0, 1), kernel.expand(-1, frames, -1, -1, -1).flatten(0, 1))
        current = counts * (config.gain / WEIGHT_SCALE)
        return current.repeat_interleave(config.copies, dim=1).unflatten(0, (steps, frames))

    def _backbone(self, role: str, images: Tensor) -> Tensors:
        """From images to features. role: "template" or "search", which comes before the layers' names."""
        tensors: Tensors = {}
        x = images[None]
        for index in range(1, len(KERNELS) + 1):
            name = f"conv{index}"
            current = self.synapses[name](x)
            if name not in self.neurons:
                features = self.feature_norm(current.mean(dim=0))
                return {**tensors, f"membrane/{role}_{name}": current, f"{role}_features": features}
            if index == 1:
                current = current.repeat(self.time_steps, 1, 1, 1, 1)
            x = self._fire(name, current, tensors, f"{role}_{name}", is_current=True)
            if index in POOLED:
                x = self._pooled(name, x, tensors[f"voltage/{role}_{name}"])
                tensors[f"spikes/{role}_pool{index}"] = x
        tensors[f"{role}_features"] = x.mean(dim=0)
        return tensors

    def _pooled(self, name: str, spikes: Tensor, voltages: Tensor) -> Tensor:
        """The OR of the spikes in each window.

        At one time step that is whether the highest membrane spikes: a quarter of the spikes to reckon, and a gradient
        for the neuron that decides instead of the first of those that spike.
        """
        single = self.time_steps == 1
        values = (voltages if single else spikes).flatten(0, 1)
        if not torch.is_grad_enabled():
            # Several times as fast channels last, in which the next convolution wants them anyway.
            values = values.contiguous(memory_format=torch.channels_last)
        pooled = F.max_pool2d(values, 3, 2).unflatten(0, spikes.shape[:2])
        return self.neurons[name].spikes(pooled) if single else pooled

    def _fire(
        self, name: str, x: Tensor, tensors: Tensors, label: str | None = None, is_current: bool = False
    ) -> Tensor:
        current = x if is_current or name not in self.synapses else self.synapses[name](x)
        spikes, voltage = self.neurons[name](current)
        tensors[f"spikes/{label or name}"], tensors[f"voltage/{label or name}"] = spikes, voltage
        return spikes

    def _of_two_forms(self) -> list[Quantised]:
        """Asked of each module once: a tracker changes the form at every frame, and asking takes milliseconds."""
        if self._quantised is None:
            self._quantised = [module for module in self.modules() if isinstance(module, Quantised)]
        return self._quantised

    def _set_quantised(self, quantised: bool) -> None:
        for module in self._of_two_forms():
            module.quantised = quantised
        for name, neuron in self.neurons.items():
            if isinstance(neuron, Neuron):
                neuron.on_grid = quantised and (name != "conv1" or self.config.encoder == "chip")

    @torch.no_grad()
    def project(self) -> None:
        """Clip weights to 8 bits, and shrink any channel whose accumulator an input could take out of 24 bits."""
        for name, synapse in self.synapses.items():
            if not isinstance(synapse, HostEncoder):
                fit_to_chip(synapse.weight, pixel_range(self.config.pixel_bits) if name == "conv1" else SPIKES)
