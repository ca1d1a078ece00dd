"""What a deployable network is, and its files."""

from netx.composed import added, transposed
from netx.errors import FormatError, HeadroomError, MonospikeError, NetworkError
from netx.headroom import LayerHeadroom, headroom, prove_headroom
from netx.network import Input, Layer, Network
from netx.neurons import LIF, Accumulator, Delta, Neuron, Sigma, SigmaDelta, channel_bias
from netx.synapses import (
    WIRES,
    Concat,
    Conv2d,
    Correlation,
    Dense,
    Direct,
    Flatten,
    Pool,
    Recurrent,
    Synapse,
    Upsample,
    Wire,
)
from netx.types import SPIKES, Range, Shape

__all__ = [
    "LIF",
    "SPIKES",
    "WIRES",
    "Accumulator",
    "Concat",
    "Conv2d",
    "Correlation",
    "Delta",
    "Dense",
    "Direct",
    "Flatten",
    "FormatError",
    "HeadroomError",
    "Input",
    "Layer",
    "LayerHeadroom",
    "MonospikeError",
    "Network",
    "NetworkError",
    "Neuron",
    "Pool",
    "Range",
    "Recurrent",
    "Shape",
    "Sigma",
    "SigmaDelta",
    "Synapse",
    "Upsample",
    "Wire",
    "added",
    "channel_bias",
    "headroom",
    "prove_headroom",
    "transposed",
]
