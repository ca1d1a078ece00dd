"""What a deployable network is, and its files."""

from netx.errors import FormatError, HeadroomError, MonospikeError, NetworkError
from netx.headroom import LayerHeadroom, headroom, prove_headroom
from netx.network import Input, Layer, Network
from netx.neurons import LIF, Accumulator, Neuron, channel_bias
from netx.synapses import Concat, Conv2d, Correlation, Dense, Flatten, Pool, Synapse, Wire
from netx.types import SPIKES, Range, Shape

__all__ = [
    "LIF",
    "SPIKES",
    "Accumulator",
    "Concat",
    "Conv2d",
    "Correlation",
    "Dense",
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
    "Shape",
    "Synapse",
    "Wire",
    "channel_bias",
    "headroom",
    "prove_headroom",
]
