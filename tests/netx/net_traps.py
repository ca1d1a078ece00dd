"""Files that fall into a trap of lava-dl, one for every rule about .net files, and sound ones beside them."""

import h5py
import numpy as np

from netx.lint import lint

CUBA = {"type": "CUBA", "iDecay": 4096, "vDecay": 4096, "vThMant": 5, "refDelay": 1, "gradedSpike": False}
SDNN = {"type": "SDNN", "vThMant": 3}
KERNEL = np.array([4, -2, 6, 2]).reshape(2, 2, 1, 1)
ONES = np.ones((8, 2))
"""Frames of (step, neuron): spikes everywhere, at all of eight steps."""


def write(path, *layers, numbers=None):
    """A file as lava-dl writes it: a mapping a layer, nested where a group is. numbers: the groups' names."""
    with h5py.File(path, "w") as file:
        for name, layer in zip(numbers or range(len(layers)), layers, strict=True):
            _put(file.create_group(f"layer/{name}"), layer)
    return path


def _put(group, content):
    for name, value in content.items():
        if isinstance(value, dict):
            _put(group.create_group(name), value)
        elif isinstance(value, str):
            group.create_dataset(name, (1,), "S10", [value.encode()])
        else:
            group[name] = value


def pixels(*shape, **more):
    return {"type": "input", "shape": shape, **more}


def conv(weight, shape, **more):
    out, ins, *kernel = np.shape(weight)
    window = {"stride": [1, 1], "padding": [0, 0], "dilation": [1, 1], "groups": 1, "neuron": CUBA}
    channels = {"inChannels": ins * more.get("groups", 1), "outChannels": out, "kernelSize": kernel}
    return {"type": "conv", "shape": shape, "weight": np.asarray(weight, float), **channels, **window, **more}


def dense(weight, kind="dense", **more):
    out, ins = np.shape(weight)
    sizes = {"type": kind, "shape": [out], "inFeatures": ins, "outFeatures": out, "neuron": CUBA}
    return {**sizes, "weight": np.asarray(weight, float), **more}


def flatten(size):
    return {"type": "flatten", "shape": [size, 1, 1]}


def neuron(**changed):
    return {**CUBA, **changed}


def without(layer, *names):
    return {name: value for name, value in layer.items() if name not in names}


def on_two(weight, **more):
    """A dense layer that reads two inputs."""
    return (pixels(2, 1, 1), dense(weight, **more))


FIRST, SECOND = conv(KERNEL, [2, 2, 1], neuron={**CUBA, "vThMant": 3}), dense([[2, 4, 6, -2]])
SOUND = (pixels(2, 2, 1), FIRST, flatten(4), SECOND)
TWO = [[4, 6]]

TRAPS = {
    "net-layers-not-numbered": {"layers": SOUND, "numbers": [0, 1, 2, 5]},
    "net-no-layers": {"layers": SOUND[:1]},
    "net-input-shape-missing": {"layers": SOUND[1:]},
    "net-layer-not-loaded": {"layers": (*SOUND[:2], {"type": "average", "shape": [1, 1, 1]})},
    "net-layer-left-out": {"layers": (*SOUND[:2], {"type": "dropout", "shape": [2, 2, 1]}, *SOUND[2:])},
    "net-input-not-first": {"layers": (*SOUND[:2], pixels(9, 9, 9), *SOUND[2:])},
    "net-input-neuron-not-driven": {"layers": (pixels(2, 2, 1, neuron=CUBA), *SOUND[1:]), "compile": True},
    "net-input-transform-truncated": {
        "layers": (pixels(2, 2, 1, neuron=CUBA, weight=[[5.7]], bias=[[-3.5]]), *SOUND[1:])
    },
    "net-conv-after-dense": {"layers": (*on_two(TWO), conv(np.full((1, 1, 1, 1), 2), [1, 1, 1]))},
    "net-flatten-missing": {"layers": (*SOUND[:2], SECOND)},
    "net-shape-disagrees": {"layers": (pixels(2, 2, 1), {**FIRST, "shape": [2, 3, 3]})},
    "net-input-size-disagrees": {"layers": (*SOUND[:3], dense([[2, 4, 6]]))},
    "net-groups-overflow": {
        "layers": (pixels(128, 1, 1), conv(np.full((128, 1, 1, 1), 6), [128, 1, 1], groups=128)),
        "frames": np.ones((3, 1, 1, 128)),
    },
    "net-window-overflows": {
        "layers": (pixels(2, 2, 1), conv(KERNEL, [2, 262, 261], padding=[130, 130])),
        "frames": np.ones((2, 1, 2, 2)),
    },
    "net-conv-delay-ignored": {"layers": (pixels(2, 2, 1), {**FIRST, "delay": [0.0, 3.0]})},
    "net-delay-clamped": {"layers": on_two(TWO, delay=[70.0])},
    "net-delay-truncated": {"layers": on_two(TWO, delay=[1.7]), "frames": ONES},
    "net-delay-not-usable": {"layers": on_two(TWO, delay=[1.0, 2, 3])},
    "net-weight-missing": {"layers": (pixels(2, 1, 1), without(dense(TWO), "weight"))},
    "net-weight-not-finite": {"layers": on_two([[4, np.nan]])},
    "net-weight-truncated": {"layers": on_two([[4.9, -6.9]])},
    "net-dense-all-zero": {"layers": on_two([[0, 0]])},
    "net-dense-weight-out-of-range": {"layers": on_two([[256, 2]])},
    "net-dense-weight-loses-bits": {"layers": on_two([[-256, 0]])},
    "net-conv-weight-out-of-range": {
        "layers": (pixels(2, 1, 1), conv(np.array([1000, 3]).reshape(1, 2, 1, 1), [1, 1, 1])),
        "frames": np.ones((2, 1, 1, 2)),
    },
    "net-weight-exponent-ignored": {"layers": on_two(TWO, wgtExp=2, neuron=neuron(weight_exp=1))},
    "net-neuron-missing": {"layers": (pixels(2, 2, 1), without(FIRST, "neuron"))},
    "net-default-neuron-integrates": {"layers": (pixels(2, 1, 1), without(dense(TWO), "neuron")), "frames": ONES},
    "net-neuron-not-loaded": {"layers": on_two(TWO, neuron=neuron(type="ALIF"))},
    "net-neuron-parameter": {"layers": on_two(TWO, neuron=without(CUBA, "iDecay"))},
    "net-decay-out-of-range": {"layers": on_two(TWO, neuron=neuron(vDecay=5000, vThMant=100)), "frames": ONES},
    "net-current-never-decays": {"layers": on_two(TWO, neuron=neuron(iDecay=0, vThMant=1000)), "frames": ONES},
    "net-remembers": {"layers": on_two(TWO, neuron=neuron(vDecay=1024, vThMant=100)), "frames": ONES},
    "net-threshold-unreachable": {
        "layers": (*on_two(TWO, neuron=neuron(vThMant=131072, vDecay=0), bias=[32000.0]), dense([[2]])),
        "frames": ONES,
    },
    "net-threshold-not-positive": {"layers": on_two(TWO, neuron=neuron(vThMant=-1)), "frames": 0 * ONES},
    "net-threshold-tie": {"layers": on_two(TWO, neuron=neuron(vThMant=4096))},
    "net-bias-not-finite": {"layers": on_two(TWO, bias=[np.inf])},
    "net-bias-truncated": {"layers": on_two(TWO, bias=[-2.9])},
    "net-bias-wraps": {"layers": on_two(TWO, bias=[40000.0]), "frames": 0 * ONES},
    "net-bias-shape": {"layers": (pixels(2, 2, 1), {**FIRST, "bias": [1.0, 2, 3]})},
    "net-refractory-ignored": {"layers": on_two(TWO, neuron=neuron(refDelay=4)), "frames": ONES},
    "net-graded-ignored": {"layers": on_two(TWO, neuron=neuron(gradedSpike=True)), "frames": ONES},
    "net-message-bits-not-loaded": {
        "layers": (*on_two(TWO, neuron=neuron(messageBits=8)), dense([[6]])),
        "frames": ONES,
    },
    "net-sigma-delta-not-reset": {
        "layers": (pixels(2, 1, 1), dense(TWO, neuron=SDNN)),
        "options": {"reset_interval": 2},
    },
    "headroom": {
        "layers": (pixels(600, 1, 1), conv(np.full((1, 600, 1, 1), 254), [1, 1, 1])),
        "frames": np.ones((3, 1, 1, 600)),
    },
    "headroom-over-time": {
        "layers": (pixels(20, 1, 1), dense(np.full((1, 20), 254), neuron=neuron(iDecay=1, vThMant=3))),
        "frames": np.ones((40, 20)),
    },
    "never-fires": {"layers": on_two(TWO, neuron=neuron(vThMant=11)), "frames": ONES},
    "always-fires": {"layers": on_two(TWO, bias=[8.0]), "frames": 0 * ONES},
    "silent-layer": {"layers": (*on_two(TWO, neuron=neuron(vThMant=11)), dense([[2]])), "frames": ONES},
}
OTHERS = {
    "sound": {"layers": SOUND, "frames": np.ones((4, 1, 2, 2))},
    "with-shape": {"layers": SOUND[1:], "options": {"input_shape": [1, 2, 2]}},
    "dense-first": {"layers": (SECOND,)},
    "dense_comp": {"layers": (*SOUND[:3], dense([[2, 4, 6, -2]], "dense_comp"))},
    "pool": {"layers": (*SOUND[:2], {"type": "pool", "shape": [2, 1, 1]})},
    "whole-delay": {"layers": on_two(TWO, delay=[1.0]), "frames": ONES},
    "graded": {"layers": SOUND, "frames": np.full((4, 1, 2, 2), 3)},
    "reachable": {
        "layers": on_two(TWO, neuron=neuron(vThMant=131071, vDecay=0), bias=[32000.0]),
        "frames": ONES,
    },
}
"""What the traps are measured against."""


def write_all(folder):
    """Their paths by name."""
    return {
        name: write(folder / f"{name}.net", *one["layers"], numbers=one.get("numbers"))
        for name, one in (TRAPS | OTHERS).items()
    }


def found_in(path):
    return {finding.rule.name for finding in lint(path)}
