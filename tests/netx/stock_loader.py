"""A child process that loads ``.net`` files with lava-dl's own loader and runs what it gets in Lava's own models.

``python stock_loader.py JOB OUTCOME``: JSON in, JSON out. A job names files, each with the loader's options and maybe
frames, (step, column, row, channel) or (step, channel). The outcome says for each what was raised, or what every layer
was loaded as, and what it did. Lava's models are called one after the other (sim.lava.stepper): no runtime, no waiting.
"""

import json
import os
import sys
import warnings
from pathlib import Path

import lava.lib.dl.slayer as slayer
import numpy as np
import torch
from lava.lib.dl.netx.hdf5 import Network
from lava.magma.compiler.compiler import Compiler
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.proc.io.source import RingBuffer
from lava.utils.weightutils import clip_weights, determine_sign_mode, truncate_weights

from sim.lava.blocks import Part
from sim.lava.stepper import Channel, Feed, built

_VARIABLES = ("du", "dv", "vth", "bias_mant", "bias_exp", "spike_exp", "state_exp", "bias", "groups", "padding")


def main(job, outcome):
    with Path(job).open() as file:
        wanted = json.load(file)
    found = {"ties": ties()}
    for name, one in wanted.items():
        warnings.simplefilter("ignore")
        found[name] = outcome_of(one["path"], one.get("options", {}), one.get("frames"), one.get("compile"))
    Path(outcome).write_text(json.dumps(found))
    sys.stdout.flush()
    os._exit(0)


def outcome_of(path, options, frames, compiles):
    try:
        options = {name: tuple(value) if isinstance(value, list) else value for name, value in options.items()}
        network = Network(net_config=path, **options)
        layers = [described(block) for block in network.layers]
        if compiles:
            compile_driven(network)
        if frames is not None:
            for layer, seen in zip(layers, stepped(network.layers, np.array(frames)), strict=True):
                layer |= seen
    except Exception as error:  # whatever it is, it is the outcome
        return {"raises": f"{type(error).__name__}: {error}"}
    return {"raises": None, "layers": layers}


def compile_driven(network):
    source = RingBuffer(data=np.zeros((*network.inp.shape, 1)))
    source.s_out.connect(network.inp)
    Compiler().compile(source, Loihi2SimCfg(select_tag="fixed_pt"))


def ties():
    """Whether SLAYER fires at a sum of exactly 64 * 64, and at one above, with a threshold of 64."""
    neuron = {"threshold": 64.0, "current_decay": 1.0, "voltage_decay": 1.0}
    block = slayer.block.cuba.Dense(neuron, 3, 2, delay_shift=False)
    weight = np.array([[128, 128, -256], [2, 0, 0]]) / 64
    block.synapse.weight.data[:] = torch.from_numpy(weight.reshape(block.synapse.weight.shape)).float()
    frames = torch.tensor([[16.0, 16.0, 0.0], [16.0, 16.0, -1.0]])  # graded, for a sum as large as this
    return block(frames[:, :, None])[:, 0, 0].tolist()


def described(block):
    said = {"block": type(block).__name__, "neuron": type(block.neuron).__name__}
    said["parameters"] = sorted(block.neuron.proc_params._parameters)
    if hasattr(block, "transform"):
        said["transform"] = {name: int(value) for name, value in block.transform.items()}
    for process in (block.neuron, getattr(block, "synapse", None)):
        for name in _VARIABLES:
            if process is not None and hasattr(process, name):
                said[name] = np.asarray(getattr(process, name).init).tolist()
    synapse = getattr(block, "synapse", None)
    if synapse is not None and hasattr(synapse, "weights"):
        # What Lava's fixed-point Dense does to its weights on the first step (lava-nc, proc/dense/models.py).
        parameters = synapse.proc_params
        mode = determine_sign_mode(synapse.weights.init)
        weight = clip_weights(synapse.weights.init, mode, num_bits=8)
        weight = truncate_weights(weight, mode, parameters["num_weight_bits"])
        said["weight"] = (weight * 2.0 ** parameters["weight_exp"]).tolist()
    elif synapse is not None and hasattr(synapse, "weight"):
        # Back from Lava's (out, column, row, in), flipped, to torch's order.
        said["weight"] = synapse.weight.init.transpose(0, 3, 2, 1)[:, :, ::-1, ::-1].tolist()
    if hasattr(synapse, "delays"):
        said["delays"] = synapse.delays.init.tolist()
    return said


def stepped(blocks, frames):
    source = Channel(frames.shape[1:])
    layers, before = [], source
    for block in blocks:
        synapse, neuron = block.synapse, block.neuron
        activation, output = Channel(synapse.a_out.shape), Channel(neuron.s_out.shape)
        reads = [Feed(before, synapse.s_in.shape)]
        model = built(synapse, part(synapse), s_in=reads, a_out=[activation])
        fires = built(neuron, part(neuron), a_in=[Feed(activation, neuron.a_in.shape)], s_out=[output])
        layers.append((model, fires, activation, output))
        before = output
    seen = [{"activation": [], "spikes": [], "v": []} for _ in blocks]
    for time, frame in enumerate(frames, 1):
        source.send(frame)
        for (synapse, neuron, activation, output), record in zip(layers, seen, strict=True):
            synapse.run_spk()
            neuron.time_step = time
            neuron.run_spk()
            record["activation"].append(activation.sent.tolist())
            record["spikes"].append(output.sent.tolist())
            record["v"].append(np.asarray(neuron.v).tolist())
    return seen


def part(process):
    return Part(type(process).__name__, {})


if __name__ == "__main__":
    main(*sys.argv[1:])
