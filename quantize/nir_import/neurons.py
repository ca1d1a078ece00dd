r"""NIR's neurons in one discrete form.

Every kind becomes, per time step dt and with x as what its synapses send::

    i <- i + a_syn (w_in x - i)            (left out without a synaptic time constant: i = w_in x)
    v <- v + a_mem (v_leak - v + r i)      a_mem = dt / tau_mem, a_syn = dt / tau_syn
    spike = v > v_threshold;  v <- v_reset where it spiked

which is the forward Euler step that norse 1.1.0 takes (``functional/lif_box.py``, ``leaky_integrator_box.py``), with
the current of this step in the voltage of this step, and what snnTorch 1.0.0 writes its decays for (``export_nir.py``:
``tau = dt / (1 - beta)``). Integrators (IF, I) add ``r x`` at each step, without dt, as norse (``functional/iaf.py``)
and sinabs do: an input spike is an impulse. All states start at zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from netx.nir_graph import NirNode
from netx.types import Shape
from quantize.nir_import.errors import CannotError
from quantize.nir_import.operators import Float

SPIKING = ("IF", "LIF", "CubaLIF", "Threshold")
READING = ("I", "LI", "CubaLI")
"""The kinds without spikes: their voltage is a read-out."""

_ALMOST_ONE = 1e-3
"""How far dt / tau may lie above one and still be one: tau is often stored as a float32 of dt."""

Values: TypeAlias = Float
"""One value for each neuron, shape (channel, height, width)."""


@dataclass(frozen=True, eq=False)
class FloatNeuron:
    """The neurons of one layer; every array of one shape (channel, height, width).

    syn_decay, mem_decay: a_syn and a_mem, above 0 (1: forgets at once), mem_decay 0 for integrators.
    gain: what one unit of x adds to v in its first step. drive: what is added to v at each step, ``a_mem v_leak``.
    threshold, reset: infinity and 0 for read-outs.
    """

    syn_decay: Values
    mem_decay: Values
    gain: Values
    drive: Values
    threshold: Values
    reset: Values
    spikes: bool

    @property
    def memoryless(self) -> bool:
        """Whether nothing outlives a step."""
        return bool((self.syn_decay == 1).all() and (self.mem_decay == 1).all())

    def reshaped(self, shape: Shape) -> FloatNeuron:
        """The same neurons in another shape of as many."""
        syn, mem, gain, drive, threshold, reset = (values.reshape(shape) for values in self.arrays)
        return FloatNeuron(syn, mem, gain, drive, threshold, reset, self.spikes)

    @property
    def arrays(self) -> tuple[Values, ...]:
        """All parameters."""
        return self.syn_decay, self.mem_decay, self.gain, self.drive, self.threshold, self.reset


def float_neuron(node: NirNode, shape: Shape, dt: float) -> FloatNeuron:
    """The neurons of ``node`` for steps of ``dt`` seconds. Raises CannotError where an equation has no stable step."""

    def get(name: str, default: float | None = None) -> Values:
        return spread(node, name, shape, default)

    one, zero = np.ones(shape), np.zeros(shape)
    spikes = node.kind in SPIKING
    never = np.full(shape, np.inf)
    if node.kind == "Threshold":
        return FloatNeuron(one, one, one, zero, get("threshold"), zero, True)
    threshold = get("v_threshold") if spikes else never
    reset = get("v_reset", 0.0) if spikes else zero
    if node.kind in ("IF", "I"):
        return FloatNeuron(one, zero, get("r"), zero, threshold, reset, spikes)
    cuba = node.kind in ("CubaLIF", "CubaLI")
    mem = _decay(get("tau_mem" if cuba else "tau"), "tau_mem" if cuba else "tau", dt)
    syn = _decay(get("tau_syn"), "tau_syn", dt) if cuba else one
    gain = syn * get("w_in", 1.0) * mem * get("r") if cuba else mem * get("r")
    return FloatNeuron(syn, mem, gain, mem * get("v_leak"), threshold, reset, spikes)


def relay_neuron(shape: Shape) -> FloatNeuron:
    """Neurons that fire in the step in which a spike arrives over a weight of one."""
    one, zero = np.ones(shape), np.zeros(shape)
    return FloatNeuron(one, one, one, zero, one / 2, zero, True)


def spread(node: NirNode, name: str, shape: Shape, default: float | None = None) -> Values:
    """A parameter for each neuron of ``shape``: stored for each, for each channel, or once for all."""
    if name not in node.values:
        if default is None:
            raise CannotError(f"{name} is missing")
        return np.full(shape, default)
    values = np.asarray(node.values[name], np.float64)
    if values.size == 1:
        return np.full(shape, float(values.ravel()[0]))
    if values.size == shape.size:
        return values.reshape(shape)
    if values.size == shape.channel:
        return np.broadcast_to(values.reshape(-1, 1, 1), shape).copy()
    raise CannotError(f"{name} has {values.size} values for {shape} neurons")


def _decay(tau: Values, name: str, dt: float) -> Values:
    if (tau <= 0).any():
        raise CannotError(f"{name} is {tau.min():g}: expected a positive time")
    decay = dt / tau
    if (decay > 1 + _ALMOST_ONE).any():
        raise CannotError(
            f"{name} is {tau.min():g} s, shorter than the time step of {dt:g} s, with which it would overshoot: "
            f"use a dt of at most {tau.min():g}"
        )
    return np.minimum(decay, 1.0)
