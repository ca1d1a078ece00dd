"""Which layers a spiking model is built of: lava-dl's SLAYER blocks, or the plain ones of the same bits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, Protocol, TypeVar

import torch
from torch import nn

from netx.errors import MonospikeError
from pipeline.models.config import NeuronConfig, SurrogateConfig
from pipeline.models.spiking_layers import PlainBlocks

BlockChoice = Literal["slayer", "plain", "auto"]

ModelT = TypeVar("ModelT", bound=nn.Module)


class Blocks(Protocol):
    """Makes a model's layers: ``PlainBlocks``, or ``pipeline.models.slayer_layers.SlayerBlocks``."""

    def synapse(
        self, inputs: int, outputs: int, kernel: int, stride: int, deviation: float, padding: int = 0
    ) -> nn.Module: ...

    def neuron(self, threshold: int, norm: nn.Module) -> nn.Module: ...


def find_blocks(choice: BlockChoice, neurons: NeuronConfig, surrogate: SurrogateConfig, device: torch.device) -> Blocks:
    """What a model is to be trained in. ``auto`` is SLAYER's wherever lava-dl is installed and has such neurons.

    On a GPU ``auto`` is the plain ones: there SLAYER compiles CUDA code of its own, which needs nvcc and ninja.
    Raises MonospikeError where ``slayer`` is asked for and cannot be had.
    """
    if choice == "plain" or (choice == "auto" and device.type != "cpu"):
        return PlainBlocks(neurons, surrogate)
    try:
        from pipeline.models.slayer_layers import SlayerBlocks  # here, because all else of this module needs no Lava

        return SlayerBlocks(neurons, surrogate)
    except MonospikeError as missing:
        if choice == "auto":
            return PlainBlocks(neurons, surrogate)
        raise MonospikeError(f"blocks: slayer cannot be had: {missing}. 'blocks: plain' gives the same bits") from None


def built_of(model: ModelT, blocks: Blocks) -> ModelT:
    """A model of the same state and mode in other layers: they give the same bits, and the same gradients.

    model: of a class that is made from its ``config`` and a maker of layers.
    """
    kind: Callable[[Any, Blocks], ModelT] = type(model)
    twin = kind(model.config, blocks)
    twin.load_state_dict(model.state_dict())
    return twin.train(model.training)


def name_of(blocks: Blocks) -> str:
    """In words."""
    return "plain ones, with SLAYER's bits" if isinstance(blocks, PlainBlocks) else "lava-dl's SLAYER"
