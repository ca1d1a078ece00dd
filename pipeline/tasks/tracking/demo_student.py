"""The spiking student: a small Siamese tracker of lava-dl SLAYER CUBA blocks at one time step.

Template and search images share the backbone. The template's spikes are correlated depth-wise with the search spikes, a
spiking tower follows, and class, centre and box are read from membranes that never spike. With both decays at one a
CUBA neuron is the step function ``a + bias > threshold``, and the whole network is a function of one frame.

Trained quantisation-aware: the forward pass uses the integers that the network will have (straight-through gradient).
With ``quantised = False`` the same modules run on the real-valued weights: that is the float reference.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from netx import limits
from pipeline.models.quantisation import ChannelBias, QuantisedModule
from pipeline.models.slayer import slayer
from pipeline.tasks.tracking.crop import pixel_range
from pipeline.tasks.tracking.demo_config import StudentConfig
from quantize.slayer import WEIGHT_SCALE

READOUTS = {"class": 1, "centre": 1, "box": 4}
"""Read-outs and their channels: class and centre logits, and the raw box (``Student.distances``)."""

ReadOut: TypeAlias = dict[str, Tensor]
"""Membranes by read-out, float tensors in SLAYER units (weight units / 64), (frame, channel, row, column)."""


def _neuron_parameters(threshold: int) -> dict[str, float]:
    """Memoryless CUBA neuron. ``threshold`` in weight units; odd, so that no even membrane can tie with it."""
    return {
        "threshold": threshold / WEIGHT_SCALE,
        "current_decay": 1.0,
        "voltage_decay": 1.0,
        # SLAYER's surrogate is scale / (2 tau) * exp(-|v - threshold| / tau) with tau = 100 * tau_grad * threshold and
        # scale = 0.1 * scale_grad (slayer/neuron/cuba.py): this makes tau the threshold, and the peak 1 / (2 tau).
        "tau_grad": 0.01,
        "scale_grad": 10.0,
    }


def _spiking_conv(inputs: int, outputs: int, kernel: int, stride: int, padding: int, threshold: int) -> nn.Module:
    block = slayer.block.cuba.Conv(
        _neuron_parameters(threshold), inputs, outputs, kernel, stride, padding, delay_shift=False
    )
    nn.init.normal_(block.synapse.weight, std=0.6)
    block.neuron.norm = ChannelBias(outputs, centred=True)
    return block


def _fresh(neuron: nn.Module) -> nn.Module:
    """Let a SLAYER neuron, which keeps the spatial shape of its first input, take another one."""
    neuron.shape = None  # type: ignore[assignment]
    neuron.current_state = torch.zeros(1, device=neuron.current_state.device)
    neuron.voltage_state = torch.zeros(1, device=neuron.voltage_state.device)
    return neuron


class Student(QuantisedModule):
    """The tracker's network. Images are ``to_pixels``' integers, (frame, channel, height, width)."""

    def __init__(self, config: StudentConfig) -> None:
        super().__init__()
        self.config = config
        channels = 3
        self.backbone = nn.ModuleList()
        for layer in config.backbone:
            self.backbone.append(
                _spiking_conv(channels, layer.channels, layer.kernel, layer.stride, layer.padding, layer.threshold)
            )
            channels = layer.channels
        correlation = config.correlation
        channels *= correlation.copies
        self.correlation = slayer.neuron.cuba.Neuron(**_neuron_parameters(correlation.threshold))
        self.correlation.norm = ChannelBias(channels, centred=True)
        with torch.no_grad():  # the copies of a channel read its count against evenly spread thresholds
            spread = torch.linspace(-1, 1, correlation.copies + 2)[1:-1] * correlation.threshold / WEIGHT_SCALE
            self.correlation.norm.offset += spread.repeat(channels // correlation.copies)
        self.tower = nn.ModuleList()
        for layer in config.tower:
            self.tower.append(
                _spiking_conv(channels, layer.channels, layer.kernel, layer.stride, layer.padding, layer.threshold)
            )
            channels = layer.channels
        self.readouts = nn.ModuleDict()
        self.readout_bias = nn.ModuleDict()
        quantise = self.correlation.quantize_8bit
        for name, outputs in READOUTS.items():
            synapse = slayer.synapse.Conv(
                channels, outputs, config.readout_kernel, padding=config.readout_kernel // 2, pre_hook_fx=quantise
            )
            nn.init.normal_(synapse.weight, std=0.1)
            self.readouts[name] = synapse
            # Most positions are background: start from a class probability of about a tenth.
            self.readout_bias[name] = ChannelBias(outputs, centred=False, initial=-2.0 if name == "class" else 0.0)
        # SiamFC++ (megvii-research/video_analyst, track_head.py): distance = exp(scale * raw + shift) * stride, both
        # learned; this runs on the host.
        self.box_scale = nn.Parameter(torch.ones(()))
        self.box_shift = nn.Parameter(torch.full((), config.initial_box_shift))

    def features(self, image: Tensor) -> Tensor:
        """Backbone spikes, 0.0 or 1.0, (frame, channel, height, width)."""
        return list(self.backbone_spikes(image))[-1][0]

    def backbone_spikes(self, image: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """(spikes, membrane voltage in SLAYER units) of each backbone layer."""
        yield from _through(self.backbone, image)

    def head_spikes(self, template: Tensor, search: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """(spikes, membrane voltage) of the correlation and each tower layer, from template and search spikes."""
        current = self.correlate(template, search)
        spikes, voltage = _fire(self.correlation, current[..., None])
        yield spikes, voltage
        yield from _through(self.tower, spikes)

    def correlate(self, template: Tensor, search: Tensor) -> Tensor:
        """Depth-wise cross-correlation of each frame with its template (or with the single one), SLAYER units."""
        frames, channels = search.shape[:2]
        config = self.config.correlation
        kernels = template.expand(frames, -1, -1, -1).flatten(0, 1)[:, None]
        counts = F.conv2d(search.flatten(0, 1)[None], kernels, groups=frames * channels)
        current = counts.unflatten(1, (frames, channels))[0] * (config.gain / WEIGHT_SCALE)
        return current.repeat_interleave(config.copies, dim=1)

    def read(self, tower: Tensor) -> ReadOut:
        """Membranes of the three read-outs from the last tower spikes."""
        return {
            name: self.readout_bias[name](synapse(tower[..., None]))[..., 0] for name, synapse in self.readouts.items()
        }

    def forward(self, template: Tensor, search: Tensor) -> ReadOut:
        """Read-out and ``distances`` for each search crop against its template crop, RGB, uint8."""
        readout = self.head(self.features(self.images(template)), self.features(self.images(search)))
        return {**readout, "distances": self.distances(readout["box"])}

    def images(self, crops: Tensor) -> Tensor:
        """Crops, RGB, uint8, (frame, 3, side, side), as the first convolution reads them."""
        bits = self.config.pixel_bits
        return (crops >> (8 - bits)).float() + pixel_range(bits).low

    def head(self, template: Tensor, search: Tensor) -> ReadOut:
        """Read-out from template and search spikes."""
        return self.read(list(self.head_spikes(template, search))[-1][0])

    def distances(self, box: Tensor) -> Tensor:
        """Left, top, right and bottom distance from each position to the box's sides, in search-crop pixels."""
        return torch.exp((box * self.box_scale + self.box_shift).clamp(max=6.0)) * self.config.stride

    def _set_quantised(self, quantised: bool) -> None:
        hook = self.correlation.quantize_8bit if quantised else None
        for module in self.modules():
            if isinstance(module, slayer.synapse.Conv):
                module._pre_hook_fx = hook
            elif isinstance(module, ChannelBias):
                module.quantised = quantised

    @torch.no_grad()
    def project(self) -> None:
        """Clip weights to 8 bits and shrink any channel of the first layer that could leave the 24-bit accumulator."""
        magnitude = -pixel_range(self.config.pixel_bits).low
        for module in self.modules():
            if isinstance(module, slayer.synapse.Conv):
                module.weight.clamp_(limits.WEIGHT_MIN / WEIGHT_SCALE, (limits.WEIGHT_MAX - 1) / WEIGHT_SCALE)
        weight = self.backbone[0].synapse.weight
        # What a channel may use: the limit, less the largest bias, less half a step a weight for rounding.
        room = limits.ACTIVATION_MAX + limits.LOIHI_BIAS_MIN - magnitude * weight[0].numel()
        norm = weight.abs().sum(dim=(1, 2, 3, 4), keepdim=True) * (WEIGHT_SCALE * magnitude)
        weight.mul_((room / norm).clamp(max=1.0))


def _through(blocks: nn.ModuleList, spikes: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    for block in blocks:
        spikes, voltage = _fire(block.neuron, block.synapse(spikes[..., None]))
        yield spikes, voltage


def _fire(neuron: nn.Module, current: Tensor) -> tuple[Tensor, Tensor]:
    """What a SLAYER CUBA neuron's forward does, with the membrane voltage (before reset) beside the spikes."""
    _, voltage = _fresh(neuron).dynamics(current)
    return neuron.spike(voltage)[..., 0], voltage[..., 0]
