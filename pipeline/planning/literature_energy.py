"""Energy of a frame by the literature's rule: additions for spikes, multiply-accumulates for real values, no more.

``E = E_MAC * MACs + E_AC * synops``, as of the papers on spiking trackers (BICLab's Attention-SNN, table S1;
spikingjelly's compute_energy.py). What it covers is not said in all of them, so both scopes are given: the backbone
alone, and all that runs at every frame. The encoder's multiply-accumulates count at every time step, as there; computed
once and held, they would count once.

Beside a network that spikes stand its twins: networks of the same layers that do not, in 8-bit integers. All their
connections count at each frame, whatever the values. What the twins are is ours; prices are the same.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

from pipeline.core.operations import Work
from sim.energy import load_profile

Scope = Literal["backbone", "full"]
Arithmetic = Literal["fp32", "int8"]
Twin = Literal["int8", "binary"]
"""What a twin's activations are: 8-bit integers, so that each connection is a multiply-accumulate; or one bit, 0 or 1,
behind the first layer, so that it is an addition of the weight, or none. At one time step a spiking network is such a
one that skips the zeros."""
SCOPES: tuple[Scope, ...] = get_args(Scope)
ARITHMETICS: tuple[Arithmetic, ...] = get_args(Arithmetic)

TWINS: tuple[Twin, ...] = get_args(Twin)

_CONSTANTS = {
    "fp32": ("horowitz_45nm_fp32", ("multiply_accumulate",), "add"),
    "int8": ("horowitz_45nm_int8", ("multiply_8", "add_8"), "add_8"),
}
"""Profile of ``sim.energy`` with the sources; the constants that make a multiply-accumulate; that of an addition."""


class Prices(NamedTuple):
    """Picojoules of a multiply-accumulate and of an addition."""

    mac: float
    add: float


def prices(arithmetic: Arithmetic) -> Prices:
    """From the profiles: 4.6 and 0.9 pJ in 32-bit floating point, 0.23 and 0.03 pJ in 8-bit integers."""
    profile, macs, add = _CONSTANTS[arithmetic]
    constants = load_profile(profile).constants
    return Prices(sum(constants[name].picojoules for name in macs), constants[add].picojoules)


def joules(work: Work, scope: Scope, arithmetic: Arithmetic, encoder_once: bool = False) -> float:
    """Energy of a frame of ``work``."""
    price = prices(arithmetic)
    layers = [layer for layer in work.layers if layer.backbone or scope == "full"]
    macs, synops = sum(layer.macs for layer in layers), sum(layer.synops for layer in layers)
    if encoder_once:
        macs -= work.encoder_macs * (work.time_steps - 1)
    return (price.mac * macs + price.add * synops) * 1e-12


def twin_joules(work: Work, twin: Twin) -> float:
    """Energy of a frame of a network of the same layers that does not spike, all that runs at every frame."""
    price = prices("int8")
    each = [price.add if twin == "binary" and not layer.macs else price.mac for layer in work.layers]
    return sum(joules * layer.dense_macs for joules, layer in zip(each, work.layers, strict=True)) * 1e-12
