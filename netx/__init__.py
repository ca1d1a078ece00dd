"""What a deployable network is, and its files."""

from netx.errors import FormatError, HeadroomError, MonospikeError, NetworkError
from netx.headroom import LayerHeadroom, headroom, prove_headroom
from netx.network import Input, Layer, Network
from netx.neurons import LIF, Accumulator, Delta, Neuron, Sigma, SigmaDelta, channel_bias
from netx.synapses import Concat, Conv2d, Correlation, Dense, Direct, Flatten, Pool, Recurrent, Synapse, Wire
from netx.types import SPIKES, Range, Shape

__all__ = [
    "LIF",
    "SPIKES",
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
    "Wire",
    "channel_bias",
    "headroom",
    "prove_headroom",
]
