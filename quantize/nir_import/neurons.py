r"""NIR's neurons in one discrete form.

Every kind becomes, per time step dt and with x as what its synapses send::

    i <- i + a_syn (w_in x - i)            (left out without a synaptic time constant: i = w_in x)
    v <- v + a_mem (v_leak - v + r i)      a_mem = dt / tau_mem, a_syn = dt / tau_syn
    spike = v > v_threshold;  v <- v_reset where it spiked

which is the forward Euler step that norse 1.1.0 takes (``functional/lif_box.py``, ``leaky_integrator_box.py``), with
the current of this step in the voltage of this step, and what snnTorch 1.0.0 writes its decays for (``export_nir.py``:
``tau = dt / (1 - beta)``). Integrators (IF, I) add ``r x`` at each step, without dt, as norse (``functional/iaf.py``)
and sinabs do: an input spike is an impulse. All states start at zero.

What no file says, and frameworks differ in, are ``Rules``: their defaults are those of this scheme.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

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

Reset: TypeAlias = Literal["zero", "subtract", "subtract-later", "zero-later"]
RESETS: tuple[Reset, ...] = get_args(Reset)


@dataclass(frozen=True)
class Rules:
    """What neurons do that their nodes do not say.

    fires_at_threshold: whether a voltage that equals the threshold fires.
    reset: ``zero``: to ``v_reset`` at once; ``subtract``: by the threshold at once; ``subtract-later``: by the
    threshold in the next step, after its decay; ``zero-later``: to ``v_reset`` in the next step, before the input of
    neurons without a synaptic current and together with it where there is one. Only the float graph can do the last
    three: Lava's LIF falls to zero at once (lava-nc 0.10.0 ``proc/lif/models.py``).
    several: as many spikes in one step as the voltage holds thresholds. The integers send one.
    late: the spike is sent a step after the threshold was passed.
    start: the voltage before the first step.
    """

    fires_at_threshold: bool = False
    reset: Reset = "zero"
    several: bool = False
    late: bool = False
    start: Literal["zero", "v_leak", "v_reset"] = "zero"

    @property
    def soft(self) -> bool:
        """Whether something is left of the voltage after a spike that the integers do not keep."""
        return self.reset in ("subtract", "subtract-later")


TIE = 1e-6
"""Relative: voltages so near the threshold equal it. Parameters are stored as float32, of 24 bits."""


@dataclass(frozen=True, eq=False)
class FloatNeuron:
    """The neurons of one layer; every array of one shape (channel, height, width).

    syn_decay, mem_decay: a_syn and a_mem, above 0 (1: forgets at once), mem_decay 0 for integrators.
    gain: what one unit of x adds to v in its first step. drive: what is added to v at each step, ``a_mem v_leak``.
    threshold, reset: infinity and 0 for read-outs. start: the voltage before the first step. fires_at: whether a
    voltage that equals the threshold fires.
    """

    syn_decay: Values
    mem_decay: Values
    gain: Values
    drive: Values
    threshold: Values
    reset: Values
    start: Values
    spikes: bool
    fires_at: bool = False

    @property
    def memoryless(self) -> bool:
        """Whether nothing outlives a step."""
        return bool((self.syn_decay == 1).all() and (self.mem_decay == 1).all())

    def reshaped(self, shape: Shape) -> FloatNeuron:
        """The same neurons in another shape of as many."""
        syn, mem, gain, drive, threshold, reset, start = (values.reshape(shape) for values in self.arrays)
        return FloatNeuron(syn, mem, gain, drive, threshold, reset, start, self.spikes, self.fires_at)

    @property
    def arrays(self) -> tuple[Values, Values, Values, Values, Values, Values, Values]:
        """All parameters."""
        return self.syn_decay, self.mem_decay, self.gain, self.drive, self.threshold, self.reset, self.start


def float_neuron(node: NirNode, shape: Shape, dt: float, rules: Rules) -> FloatNeuron:
    """The neurons of ``node`` for steps of ``dt`` seconds. Raises CannotError where an equation has no stable step."""

    def get(name: str, default: float | None = None) -> Values:
        return spread(node, name, shape, default)

    one, zero = np.ones(shape), np.zeros(shape)
    spikes = node.kind in SPIKING
    never = np.full(shape, np.inf)
    if node.kind == "Threshold":
        return FloatNeuron(one, one, one, zero, get("threshold"), zero, zero, True, rules.fires_at_threshold)
    threshold = get("v_threshold") if spikes else never
    reset = get("v_reset", 0.0) if spikes else zero
    start = zero if rules.start == "zero" else get(rules.start, 0.0)
    last = (threshold, reset, start, spikes, rules.fires_at_threshold)
    if node.kind in ("IF", "I"):
        return FloatNeuron(one, zero, get("r"), zero, *last)
    cuba = node.kind in ("CubaLIF", "CubaLI")
    mem = _decay(get("tau_mem" if cuba else "tau"), "tau_mem" if cuba else "tau", dt)
    syn = _decay(get("tau_syn"), "tau_syn", dt) if cuba else one
    gain = syn * get("w_in", 1.0) * mem * get("r") if cuba else mem * get("r")
    return FloatNeuron(syn, mem, gain, mem * get("v_leak"), *last)


def relay_neuron(shape: Shape) -> FloatNeuron:
    """Neurons that fire in the step in which a spike arrives over a weight of one."""
    one, zero = np.ones(shape), np.zeros(shape)
    return FloatNeuron(one, one, one, zero, one / 2, zero, zero, True)


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
            f"{name} is {tau.min():g} s, shorter than the time step of {dt:g} s, with which it would overshoot: where "
            "norse wrote the file with its default dt, pass --dt 1e-6, or export with norse.torch.to_nir(..., dt=1.0); "
            f"else pass the step that the network was trained with, --dt of less than {tau.min():g}"
        )
    return np.minimum(decay, 1.0)
