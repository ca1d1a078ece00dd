"""The network that is measured: the AlexNet backbone of the single-step trackers of the S4 family, at full size.

Layers and sizes as in SiamFC++'s AlexNet at a search image of 303 pixels: three channels of 303 become 256 of 28, with
convolutions of 11 (stride 2), 5, 3, 3 and 3 pixels, without padding, and two OR poolings of 3 (stride 2).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from netx import LIF, Conv2d, Input, Layer, Network, Pool, Shape
from netx.arrays import IntArray

SIDE = 303
SPIKE_RATE = 0.15
_WEIGHT_SPREAD = 12
"""Standard deviation of the halved weights; it keeps every accumulator within 24 bits in the worst case."""
_LAYERS = (
    ("conv1", 3, 96, 11, 2, 343),
    ("pool1", 96, 96, 3, 2, 1),
    ("conv2", 96, 256, 5, 1, 1003),
    ("pool2", 256, 256, 3, 2, 1),
    ("conv3", 256, 384, 3, 1, 495),
    ("conv4", 384, 384, 3, 1, 593),
    ("conv5", 384, 256, 3, 1, 545),
)
"""Name, channels in and out, kernel, stride, threshold; with it 15 % to 20 % of each convolution's inputs spike."""


def backbone(seed: int = 0) -> Network:
    """The network with random even weights and odd thresholds, one input ``image`` of spikes."""
    rng = np.random.default_rng(seed)
    layers, source = [], "image"
    for name, into, out, kernel, stride, threshold in _LAYERS:
        if name.startswith("pool"):
            synapse: Conv2d | Pool = Pool((kernel, kernel), (stride, stride), weight=2)
        else:
            weight = np.rint(rng.normal(0, _WEIGHT_SPREAD, (out, into, kernel, kernel))).clip(-128, 127) * 2
            synapse = Conv2d(weight.astype(np.int32), (stride, stride))
        layers.append(Layer(name, (source,), synapse, LIF(threshold)))
        source = name
    return Network((Input("image", Shape(3, SIDE, SIDE)),), tuple(layers), (source,))


def random_frames(count: int, seed: int = 1) -> dict[str, IntArray]:
    """Random spikes at the rate of ``SPIKE_RATE``: (frame, 3, 303, 303)."""
    spikes = np.random.default_rng(seed).random((count, 3, SIDE, SIDE), np.float32) < SPIKE_RATE
    return {"image": spikes.astype(np.int32)}


class Float32Reference:
    """The same layers in plain PyTorch: float32 convolutions, thresholds and max pooling."""

    def __init__(self, network: Network) -> None:
        self._steps = [_float32_step(layer) for layer in network.layers]

    def run(self, frames: Mapping[str, npt.NDArray]) -> npt.NDArray[np.float32]:
        """Spikes of the last layer."""
        values = torch.from_numpy(frames["image"]).float()
        with torch.inference_mode():
            for step in self._steps:
                values = step(values)
        return values.numpy()


def _float32_step(layer: Layer) -> Callable[[torch.Tensor], torch.Tensor]:
    synapse, neuron = layer.synapse, layer.neuron
    if isinstance(synapse, Pool):
        return lambda values: F.max_pool2d(values, synapse.kernel, synapse.stride)
    assert isinstance(synapse, Conv2d)
    assert isinstance(neuron, LIF)
    weight = torch.from_numpy(synapse.weight.astype(np.float32))
    return lambda values: (F.conv2d(values, weight, None, synapse.stride) > neuron.threshold).float()
