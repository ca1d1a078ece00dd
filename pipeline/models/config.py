"""What the spiking layers of every model are like: neurons, surrogate gradients, thresholds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from netx import limits
from pipeline.core.config import Section


def _odd(threshold: int) -> int:
    if threshold % 2 == 0:
        raise ValueError("is even: membranes are even too, so only an odd threshold can never tie with one")
    return threshold


Threshold = Annotated[int, Field(ge=1, le=limits.THRESHOLD_MAX), AfterValidator(_odd)]
"""In weight units."""


class NeuronConfig(Section):
    """Leaky integrate-and-fire neurons, as SLAYER's CUBA block and Loihi have them.

    At one time step neither decay nor reset changes anything.
    """

    current_decay: float = Field(1.0, ge=0, le=1, description="share of the synaptic current lost at each step")
    voltage_decay: float = Field(0.5, ge=0, le=1, description="share of the membrane voltage lost at each step; ours")
    learn_decays: bool = False
    reset: Literal["zero", "subtract"] = Field(
        "zero",
        description='after a spike; "subtract" (IIR-SNN) exists in training alone, SLAYER and Lava reset to zero',
    )


class SurrogateConfig(Section):
    """Derivative that stands in for the spike's: ``scale / w * shape((v - threshold) / w)``, ``w = width * threshold``.

    Shapes of area one: exponential exp(-|x|) / 2 (lava-dl SLAYER), rectangle 1[|x| < 1] / 2 (STBP), triangle
    max(0, 1 - |x|) (IIR-SNN, with scale 0.3), atan 1 / (1 + (pi x)^2) (SpikingJelly). Defaults are ours.
    """

    shape: Literal["exponential", "rectangle", "triangle", "atan"] = "exponential"
    width: float = Field(1.0, gt=0, le=100)
    scale: float = Field(1.0, gt=0, le=100)


INITIAL_DEVIATION = 0.6
"""Standard deviation of the initial weights of spiking layers, SLAYER units: 38 of 256 steps. Ours."""


EXPECTED_RATE = 0.15
"""Share of inputs that spike, about 1 - Phi(1): what a threshold of one standard deviation lets through."""


Part = Literal["backbone", "neck", "correlation", "tower", "readout"]


@dataclass(frozen=True)
class LayerRole:
    """What a layer is for, as data: nothing is to be read off its name.

    part: of the model. module: the layer's name among its model's synapses and neurons; several layers share it where
    the same weights run on several inputs. side: the input that it belongs to, where the model has several. branch: of
    the head. first: it reads the model's input. pooling: it has no weights, and its spikes are others' spikes.
    """

    part: Part
    module: str
    side: str | None = None
    branch: str | None = None
    first: bool = False
    pooling: bool = False
