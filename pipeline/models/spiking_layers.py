"""Spiking layers in plain torch that give the bits of lava-dl's SLAYER CUBA blocks, without lava and faster: those of
what they answer, and those of every gradient. So each operation below is SLAYER's own, in its order.

Signals are (step, frame, channel, row, column); potentials are in SLAYER units, weight units over 64. Names of
parameters, and what ``quantize.slayer`` reads off a block, are those of lava-dl 0.6.0, so that states load either way.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.grad import conv2d_input, conv2d_weight

from netx import limits
from netx.types import Pair
from pipeline.models.config import NeuronConfig, SurrogateConfig
from pipeline.models.quantisation import quantise_even
from quantize.slayer import WEIGHT_SCALE

STATE_SCALE = limits.DECAY_ONE
"""SLAYER keeps current and voltage as integers of 1/4096 (``s_scale``, slayer/neuron/cuba.py)."""

_EPSILON = 0.01 / STATE_SCALE
"""What SLAYER adds to a threshold so that a voltage equal to it does not spike (``threshold_eps``, same file). In
float32 it is lost from a threshold of 64 on, where only the spike is affected and not the reset; so is it here."""


class _Truncate(torch.autograd.Function):
    """To whole 1/4096, towards zero, as SLAYER's cast to integers does; the gradient passes."""

    @staticmethod
    def forward(_: Any, values: Tensor) -> Tensor:
        # torch.trunc takes many times as long as all of these; a scale that is a power of two divides exactly.
        scaled = values * STATE_SCALE
        return scaled.abs().floor_().copysign_(scaled).mul_(1 / STATE_SCALE)

    @staticmethod
    def backward(_: Any, *gradients: Tensor) -> Tensor:
        return gradients[0]


class _Integrate(torch.autograd.Function):
    """``v[n] = leak(v[n - 1], reset) + x[n]`` from rest, where ``leak(v) = sgn(v) * ((|v| * (4096 - decay)) >> 12)`` of
    whole 1/4096, exact in float32 for magnitudes below 4096 (slayer/neuron/dynamics/leaky_integrator.py).

    Whatever resets a neuron lets the gradient pass, as it does in SLAYER. The gradient of the decay is the sum over all
    neurons and steps of ``-v[n - 1] / 4096`` times that of v[n].
    """

    @staticmethod
    def forward(context: Any, inputs: Tensor, decay: Tensor, threshold: float | None, subtracts: bool) -> Tensor:
        """inputs: (step, ...). threshold: where the neuron resets, None for never. subtracts: by the threshold."""
        steps = [inputs[0]]
        for step in inputs[1:]:
            kept = steps[-1]
            if threshold is not None:
                fired = kept > threshold
                kept = kept - fired * threshold if subtracts else kept * ~fired
            steps.append(_leaked(kept, decay) + step)
        output = torch.stack(steps)
        context.save_for_backward(output, decay)
        return output

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None, None]:
        output, decay = context.saved_tensors
        kept = 1 - torch.round(decay) / STATE_SCALE
        by_input = torch.zeros_like(gradients[0])
        by_input[-1] = gradients[0][-1]
        for step in reversed(range(len(by_input) - 1)):
            by_input[step] = kept * by_input[step + 1] + gradients[0][step]
        # SLAYER sums over (frame, channel, row, column, step).
        products = (by_input[1:] * output[:-1]).movedim(0, -1).flatten()
        return by_input, -products.sum(dim=0, keepdim=True) / STATE_SCALE, None, None


def _leaked(voltage: Tensor, decay: Tensor) -> Tensor:
    """The product has up to 36 bits, so upper and lower 12 bits of |v| are multiplied apart."""
    kept = STATE_SCALE - torch.round(decay)
    magnitude = voltage.abs() * STATE_SCALE
    upper = torch.floor(magnitude / STATE_SCALE)
    lower = magnitude - upper * STATE_SCALE
    return torch.sign(voltage) * (upper * kept + torch.floor(lower * kept / STATE_SCALE)) / STATE_SCALE


class _Spike(torch.autograd.Function):
    """1.0 where the voltage passes the threshold; its derivative is the surrogate's."""

    @staticmethod
    def forward(context: Any, voltage: Tensor, threshold: float, surrogate: SurrogateConfig) -> Tensor:
        context.save_for_backward(voltage)
        context.threshold, context.surrogate = threshold, surrogate
        # Written as numbers at once: truth values and their conversion take several times as long.
        return torch.ge(voltage, threshold + _EPSILON, out=torch.empty_like(voltage))

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (voltage,) = context.saved_tensors
        return derivative(voltage, context.threshold, context.surrogate).mul_(gradients[0]), None, None


def derivative(voltage: Tensor, threshold: float, surrogate: SurrogateConfig) -> Tensor:
    """The surrogate derivative at ``voltage``; both in SLAYER units. Formulas: ``SurrogateConfig``."""
    if surrogate.shape == "exponential":
        return _slayers_derivative(voltage, threshold, surrogate)
    width = surrogate.width * threshold
    area = 0.5 if surrogate.shape == "rectangle" else 1.0
    # In place from here on, and in as few steps as may be: training spends its time on passes over memory.
    x = (voltage - threshold).abs_()
    if surrogate.shape == "rectangle":
        shape = (x < width).to(voltage.dtype)
    elif surrogate.shape == "triangle":
        shape = x.mul_(-1 / width).add_(1).clamp_(min=0)
    else:
        shape = x.mul_(torch.pi / width).square_().add_(1).reciprocal_()
    return shape.mul_(area * surrogate.scale / width)


def slayers_surrogate(surrogate: SurrogateConfig) -> dict[str, float]:
    """SLAYER's parameters of the exponential one: its tau is 100 * tau_grad * threshold, its scale 0.1 * scale_grad
    (``TAU_RHO_MULT`` and ``SCALE_RHO_MULT``, slayer/neuron/cuba.py)."""
    return {"tau_grad": 0.01 * surrogate.width, "scale_grad": 10 * surrogate.scale}


def _slayers_derivative(voltage: Tensor, threshold: float, surrogate: SurrogateConfig) -> Tensor:
    """``scale / (2 tau) * exp(-|v - threshold| / tau)``, rounded where SLAYER rounds (slayer/spike/spike.py)."""
    parameters = slayers_surrogate(surrogate)
    tau = torch.tensor(parameters["tau_grad"] * threshold * 100, dtype=voltage.dtype, device=voltage.device)
    scale = torch.tensor(parameters["scale_grad"] * 0.1, dtype=voltage.dtype, device=voltage.device)
    x = (voltage - (threshold + _EPSILON)).abs_().div_(-tau).exp_()
    return x.mul_(scale / 2 / tau)


class Neuron(nn.Module):
    """Current-based leaky integrate-and-fire neurons of one layer, starting at rest, with a bias for each channel."""

    threshold: float
    on_grid: bool

    def __init__(self, settings: NeuronConfig, surrogate: SurrogateConfig, threshold: int, norm: nn.Module) -> None:
        """threshold: in weight units. norm: acts on the current, (frame, channel, row, column, step)."""
        super().__init__()
        self.settings, self.surrogate, self.threshold = settings, surrogate, threshold / WEIGHT_SCALE
        self.on_grid = False  # True while all currents are whole weight units, of which nothing can be cut off
        for name, decay in (("current_decay", settings.current_decay), ("voltage_decay", settings.voltage_decay)):
            start = torch.tensor([decay * limits.DECAY_ONE])
            self.register_parameter(name, nn.Parameter(start, requires_grad=settings.learn_decays))
        self.norm = norm

    def forward(self, current: Tensor) -> tuple[Tensor, Tensor]:
        """(spikes, voltages before the reset) of each step of ``current``."""
        current = self._integrated(self._to_grid(current), self.current_decay, None)
        current = self._to_grid(self.norm(current.movedim(0, -1)).movedim(-1, 0))
        voltages = self._integrated(current, self.voltage_decay, self.threshold)
        return self.spikes(voltages), voltages

    def spikes(self, voltages: Tensor) -> Tensor:
        """1.0 where a voltage passes the threshold, else 0.0."""
        return _Spike.apply(voltages, self.threshold, self.surrogate)

    @property
    def cx_current_decay(self) -> int:
        """Share of the current lost at each step, 0..4096."""
        return int(torch.round(self.current_decay.detach()).clamp(0, limits.DECAY_ONE))

    @property
    def cx_voltage_decay(self) -> int:
        """Share of the voltage lost at each step, 0..4096."""
        return int(torch.round(self.voltage_decay.detach()).clamp(0, limits.DECAY_ONE))

    @property
    def v_th_mant(self) -> int:
        """Threshold in weight units."""
        return round(self.threshold * WEIGHT_SCALE)

    def _to_grid(self, values: Tensor) -> Tensor:
        return values if self.on_grid else _Truncate.apply(values)

    def _integrated(self, inputs: Tensor, decay: nn.Parameter, threshold: float | None) -> Tensor:
        if self.settings.learn_decays:
            decay.data.clamp_(0, limits.DECAY_ONE)  # where SLAYER does it
        elif len(inputs) == 1 or (threshold is None and self.settings.current_decay == 1):
            return inputs  # nothing is left of the step before, and there is nothing to learn
        return _Integrate.apply(inputs, decay, threshold, self.settings.reset == "subtract")


class _ExactConvolution(torch.autograd.Function):
    """A convolution in float32, whose sums have to be exact; its gradients need not be, and may take bfloat16."""

    @staticmethod
    def forward(context: Any, images: Tensor, weight: Tensor, stride: Pair, padding: Pair, reduced: bool) -> Tensor:
        context.save_for_backward(images, weight)
        context.stride, context.padding, context.reduced = stride, padding, reduced
        with torch.autocast(images.device.type, enabled=False):
            return F.conv2d(images, weight, stride=stride, padding=padding)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor, None, None, None]:
        images, weight = context.saved_tensors
        dtype = torch.bfloat16 if context.reduced else torch.float32
        gradient = gradients[0].to(dtype)
        by_weight = conv2d_weight(images.to(dtype), weight.shape, gradient, context.stride, context.padding)
        by_image = None
        if context.needs_input_grad[0]:
            by_image = conv2d_input(images.shape, weight.to(dtype), gradient, context.stride, context.padding).float()
        return by_image, by_weight.float(), None, None, None


def _autocasts(device: torch.device) -> bool:
    """Whether reduced precision is allowed where exactness isn't needed."""
    return torch.is_autocast_cpu_enabled() if device.type == "cpu" else torch.is_autocast_enabled()


class Synapse(nn.Module):
    """A convolution whose weights are, while ``quantised``, even integers in [-256, 254] over 64."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, deviation: float, padding: int = 0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel, 1) * deviation)
        self.stride, self.padding, self.dilation, self.groups = (stride, stride), (padding, padding), (1, 1), 1
        self.quantised = True

    def pre_hook_fx(self, weight: Tensor, descale: bool = False) -> Tensor:
        """SLAYER's ``quantize_8bit``; in weight units where ``descale``."""
        quantised = quantise_even(weight, limits.WEIGHT_MIN, limits.WEIGHT_MAX - 1)
        return quantised * WEIGHT_SCALE if descale else quantised

    def forward(self, x: Tensor) -> Tensor:
        weight = self.pre_hook_fx(self.weight) if self.quantised else self.weight
        return convolve(x, weight, self.stride, self.padding)


def convolve(x: Tensor, weight: Tensor, stride: Pair, padding: Pair) -> Tensor:
    """A convolution of each step and frame, padded with zeros.

    x: (step, frame, channel, row, column). weight: (output, input, row, column, 1), as SLAYER has it.
    """
    images = x.flatten(0, 1).contiguous(memory_format=torch.channels_last)
    answer = _ExactConvolution.apply(images, weight[..., 0], stride, padding, _autocasts(x.device))
    return answer.unflatten(0, x.shape[:2])


class PlainBlocks:
    """Makes the layers of a student in plain torch."""

    def __init__(self, settings: NeuronConfig, surrogate: SurrogateConfig) -> None:
        self._settings, self._surrogate = settings, surrogate

    def synapse(
        self, inputs: int, outputs: int, kernel: int, stride: int, deviation: float, padding: int = 0
    ) -> nn.Module:
        """A convolution with integer weights, whose initial ones have the standard deviation ``deviation``."""
        return Synapse(inputs, outputs, kernel, stride, deviation, padding)

    def neuron(self, threshold: int, norm: nn.Module) -> nn.Module:
        """Spiking neurons; ``norm`` acts on their current."""
        return Neuron(self._settings, self._surrogate, threshold, norm)
