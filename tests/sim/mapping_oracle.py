"""What nengo-loihi says a layer takes of a Loihi 1 core: cases as JSON in, bits and axons as JSON out.

Run by a Python that has nengo-loihi 1.1.0, which does not go with our versions of NumPy.
"""

import json
import sys
import warnings

import numpy as np

warnings.simplefilter("ignore")
if not hasattr(np, "product"):
    np.product = np.prod

from nengo.transforms import ChannelShape, Convolution  # noqa: E402
from nengo_loihi.block import Synapse  # noqa: E402
from nengo_loihi.conv import conv2d_loihi_weights  # noqa: E402


def dense(case):
    synapse = Synapse(case["inputs"])
    synapse.set_weights(np.ones((case["inputs"], case["outputs"])))
    return {"bits": int(synapse.bits()), "axons": int(synapse.n_axons)}


def convolution(case):
    kernel, shape = (case["kernel"], case["kernel"]), (case["height"], case["width"], case["inputs"])
    weight = np.random.default_rng(0).normal(size=(*kernel, case["inputs"], case["outputs"]))
    transform = Convolution(
        case["outputs"],
        ChannelShape(shape, channels_last=True),
        strides=tuple(case["stride"]),
        padding="valid",
        kernel_size=kernel,
        init=weight,
    )
    weights, indices, axon_to_weight, offsets = conv2d_loihi_weights(transform)
    synapse = Synapse(case["height"] * case["width"])
    synapse.set_population_weights(weights, indices, axon_to_weight, offsets)
    # Those with an offset below zero reach nothing.
    return {"bits": int(synapse.bits()), "axons": int((np.asarray(offsets) >= 0).sum())}


json.dump([dense(case) if case["kind"] == "dense" else convolution(case) for case in json.load(sys.stdin)], sys.stdout)
