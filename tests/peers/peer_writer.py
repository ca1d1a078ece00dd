"""A script for the environment of a framework: ``python peer_writer.py CASE FOLDER``.

Builds the network of CASE in the framework, runs it on drawn frames, exports it with the framework's own exporter, and
leaves ``net.nir`` and ``net.npz`` in FOLDER: frames (frame, ...), and under ``spikes`` what its last neurons sent.
"""

import sys
from itertools import pairwise
from pathlib import Path

import nir
import numpy as np

SEED, FRAMES = 3, 60
SIZES = (8, 6, 4)
RANDOM = np.random.default_rng(SEED)


def drawn_frames(*shape):
    return (RANDOM.random((FRAMES, *shape)) < 0.4).astype(np.float32)


def weights(rows, columns, low=-0.25, high=0.75):
    return RANDOM.uniform(low, high, (rows, columns)).astype(np.float32)


# spikingjelly 2.0.0


def in_spikingjelly(make, dt=1e-4, shape=SIZES[:1], layers=None):
    import torch
    from spikingjelly.activation_based import functional, layer
    from spikingjelly.activation_based.nir_exchange import export_to_nir

    if layers is None:
        layers = []
        for before, after in pairwise(SIZES):
            linear = layer.Linear(before, after, bias=False)
            linear.weight.data = torch.from_numpy(weights(after, before))
            layers += [linear, make()]
    net = torch.nn.Sequential(*layers)
    frames = drawn_frames(*shape)
    with torch.no_grad():
        spikes = np.concatenate([net(torch.from_numpy(frame[None])).numpy() for frame in frames])
    functional.reset_net(net)
    return export_to_nir(net, torch.from_numpy(frames[:1]), dt=dt), frames, spikes


def spikingjelly_if():
    from spikingjelly.activation_based import neuron

    return in_spikingjelly(lambda: neuron.IFNode(v_reset=0.0))


def spikingjelly_if_reset():
    """A reset voltage of 0.2, at which spikingjelly's neurons start, too; a step of 1 ms."""
    from spikingjelly.activation_based import neuron

    return in_spikingjelly(lambda: neuron.IFNode(v_reset=0.2, v_threshold=1.2), dt=1e-3)


def spikingjelly_lif():
    from spikingjelly.activation_based import neuron

    return in_spikingjelly(lambda: neuron.LIFNode(tau=2.0, decay_input=False, v_reset=0.0), dt=1e-3)


def spikingjelly_lif_decayed():
    from spikingjelly.activation_based import neuron

    return in_spikingjelly(lambda: neuron.LIFNode(tau=3.0, decay_input=True, v_reset=0.0, v_threshold=0.4))


def spikingjelly_ties():
    """Weights that are multiples of a power of two: voltages equal their threshold now and then."""
    import torch
    from spikingjelly.activation_based import layer, neuron

    linear = layer.Linear(8, 6, bias=False)
    linear.weight.data = torch.from_numpy(RANDOM.integers(-1, 5, (6, 8)).astype(np.float32) / 8)
    return in_spikingjelly(None, layers=[linear, neuron.IFNode(v_reset=0.0)])


def spikingjelly_conv():
    import torch
    from spikingjelly.activation_based import layer, neuron

    torch.manual_seed(SEED)
    layers = [layer.Conv2d(2, 4, 3, padding=1), neuron.IFNode(v_reset=0.0), layer.AvgPool2d(2), layer.Flatten()]
    layers += [layer.Linear(4 * 9, 5), neuron.LIFNode(tau=2.0, decay_input=False, v_reset=0.0, v_threshold=0.2)]
    layers[0].weight.data *= 3
    return in_spikingjelly(None, shape=(2, 6, 6), layers=layers)


# norse 1.1.0


def in_norse(cell, dt=None, gain=1.0):
    import norse.torch as n
    import torch

    layers = []
    for before, after in pairwise(SIZES):
        linear = torch.nn.Linear(before, after)
        linear.weight.data, linear.bias.data = torch.from_numpy(gain * weights(after, before)), torch.zeros(after)
        layers += [linear, cell(after)]
    net = n.SequentialState(*layers)
    frames = drawn_frames(SIZES[0])
    state, spikes = None, []
    with torch.no_grad():
        for frame in torch.from_numpy(frames):
            out, state = net(frame[None], state)
            spikes.append(out[0].numpy())
    kwargs = {} if dt is None else {"dt": dt}
    return n.to_nir(net, torch.zeros(1, SIZES[0]), **kwargs), frames, np.stack(spikes)


def norse_lif_cell(dt=None):
    import norse.torch as n
    import torch

    def cell(size):
        p = {"tau_syn_inv": 200.0, "tau_mem_inv": 100.0, "v_leak": 0.0, "v_th": 1.0, "v_reset": 0.0}
        return n.LIFCell(n.LIFParameters(**{name: torch.full((size,), value) for name, value in p.items()}))

    return in_norse(cell, dt)


def norse_lif_cell_in_seconds():
    return norse_lif_cell(1.0)


def norse_box_leak():
    """Neurons that leak towards 0.3 and start there."""
    import norse.torch as n
    import torch

    def cell(size):
        p = {"tau_mem_inv": 100.0, "v_leak": 0.3, "v_th": 0.45, "v_reset": 0.0}
        return n.LIFBoxCell(n.LIFBoxParameters(**{name: torch.full((size,), value) for name, value in p.items()}))

    return in_norse(cell, 1.0)


def norse_iaf():
    import norse.torch as n
    import torch

    return in_norse(lambda size: n.IAFCell(n.IAFParameters(v_th=torch.full((size,), 1.0))), 1.0)


# snnTorch 1.0.0


def in_snntorch(make, low=-0.25, high=0.75):
    import snntorch.export_nir as exporter
    import torch

    layers = []
    for before, after in pairwise(SIZES):
        linear = torch.nn.Linear(before, after)
        linear.weight.data, linear.bias.data = torch.from_numpy(weights(after, before, low, high)), torch.zeros(after)
        layers += [linear, make(after)]
    net = torch.nn.Sequential(*layers)
    frames = drawn_frames(SIZES[0])
    with torch.no_grad():
        spikes = np.concatenate([net(torch.from_numpy(frame[None])).numpy() for frame in frames])
    return exporter.export_to_nir(net, torch.zeros(1, SIZES[0]), ignore_dims=[0]), frames, spikes


def snntorch_neuron(kind, size, **more):
    import snntorch as snn
    import torch

    parameters = {"beta": torch.full((size,), 0.8), "threshold": torch.full((size,), 1.0), "init_hidden": True}
    if kind == "Synaptic":
        parameters["alpha"] = torch.full((size,), 0.6)
    return getattr(snn, kind)(**parameters, **more)


def snntorch_leaky():
    return in_snntorch(lambda size: snntorch_neuron("Leaky", size))


def snntorch_leaky_at_once():
    return in_snntorch(lambda size: snntorch_neuron("Leaky", size, reset_delay=False))


def snntorch_leaky_zero():
    return in_snntorch(lambda size: snntorch_neuron("Leaky", size, reset_mechanism="zero"))


def snntorch_synaptic():
    return in_snntorch(lambda size: snntorch_neuron("Synaptic", size), high=0.4)


def snntorch_synaptic_zero():
    return in_snntorch(lambda size: snntorch_neuron("Synaptic", size, reset_mechanism="zero"), high=0.4)


def snntorch_synaptic_zero_at_once():
    more = {"reset_mechanism": "zero", "reset_delay": False}
    return in_snntorch(lambda size: snntorch_neuron("Synaptic", size, **more), high=0.4)


# sinabs 3.1.3


def in_sinabs(make, shape=SIZES[:1], layers=None):
    import nirtorch
    import sinabs.nir
    import torch

    if layers is None:
        layers = []
        for before, after in pairwise(SIZES):
            linear = torch.nn.Linear(before, after)
            linear.weight.data, linear.bias.data = torch.from_numpy(weights(after, before)), torch.zeros(after)
            layers += [linear, make(after)]
    net = torch.nn.Sequential(*layers)
    frames = drawn_frames(*shape)
    with torch.no_grad():
        spikes = net(torch.from_numpy(frames[None] if len(shape) == 1 else frames)).numpy()
    spikes = spikes[0] if len(shape) == 1 else spikes
    sample = torch.from_numpy(frames[None, :1] if len(shape) == 1 else frames[:1])
    return nirtorch.extract_nir_graph(net, sinabs.nir._extract_sinabs_module, sample, model_name="n"), frames, spikes


def sinabs_neuron(kind, size, single, reset, **more):
    import sinabs.activation as activation
    import sinabs.layers as layers
    import torch

    more |= {"spike_fn": activation.SingleSpike} if single else {}
    more |= {"reset_fn": activation.MembraneReset()} if reset else {}
    if kind == "LIF":
        more |= {"tau_mem": torch.full((size,), 20.0)}
    return getattr(layers, kind)(spike_threshold=torch.full((size,), 1.0), shape=(1, size), **more)


def sinabs_iaf():
    return in_sinabs(lambda size: sinabs_neuron("IAF", size, False, False))


def sinabs_iaf_single_reset():
    return in_sinabs(lambda size: sinabs_neuron("IAF", size, True, True))


def sinabs_lif():
    """Input is divided by the time constant: thresholds are low accordingly."""

    def make(size):
        neuron = sinabs_neuron("LIF", size, False, False)
        neuron.spike_threshold.data *= 0.1
        return neuron

    return in_sinabs(make)


def sinabs_lif_whole_single_reset():
    return in_sinabs(lambda size: sinabs_neuron("LIF", size, True, True, norm_input=False))


# rockpool 3.1.0


def rockpool():
    import torch
    from rockpool.nn.combinators import Sequential
    from rockpool.nn.modules.torch import LIFTorch, LinearTorch
    from rockpool.nn.modules.torch.nir import to_nir

    layers = []
    for before, after in pairwise(SIZES):
        linear = LinearTorch((before, after), weight=torch.from_numpy(weights(after, before, -0.03, 0.09).T.copy()))
        layers += [linear, LIFTorch(after, tau_mem=torch.tensor(0.02), tau_syn=torch.tensor(0.01), dt=1e-3)]
    net = Sequential(*layers)
    frames = drawn_frames(SIZES[0])
    with torch.no_grad():
        spikes, _, _ = net(torch.from_numpy(frames[None]))
    return to_nir(net, torch.from_numpy(frames[None])), frames, spikes[0].numpy()


# mlx-snn 0.5.0


def in_mlx(make, high=0.75):
    import mlx.core as mx
    import mlx.nn as nn
    import mlxsnn

    layers = []
    for number, (before, after) in enumerate(pairwise(SIZES)):
        linear = nn.Linear(before, after, bias=False)
        linear.weight = mx.array(weights(after, before, high=high))
        layers += [(f"fc{number}", linear), (f"n{number}", make())]
    frames = drawn_frames(SIZES[0])
    states = {name: module.init_state(1, size) for (name, module), size in zip(layers[1::2], SIZES[1:], strict=True)}
    spikes = []
    for frame in frames:
        values = mx.array(frame[None])
        for name, module in layers:
            if name in states:
                values, states[name] = module(values, states[name])
            else:
                values = module(values)
        spikes.append(np.array(values)[0])
    return mlxsnn.export_to_nir(layers, input_shape=SIZES[:1]), frames, np.stack(spikes)


def mlx_leaky():
    import mlxsnn

    return in_mlx(lambda: mlxsnn.Leaky(beta=0.8))


def mlx_synaptic():
    import mlxsnn

    return in_mlx(lambda: mlxsnn.Synaptic(alpha=0.6, beta=0.8), high=0.4)


def mlx_synaptic_zero():
    import mlxsnn

    return in_mlx(lambda: mlxsnn.Synaptic(alpha=0.6, beta=0.8, reset_mechanism="zero"), high=0.4)


def mlx_if():
    import mlxsnn

    return in_mlx(lambda: mlxsnn.IF())


# spyx 1.0.0


def in_spyx(make, high=0.75, recurrent=False):
    import jax.numpy as jnp
    import spyx.nir
    import spyx.nn
    from flax import nnx

    rngs = nnx.Rngs(0)
    layers = []
    for before, after in pairwise(SIZES):
        linear = nnx.Linear(before, after, use_bias=False, rngs=rngs)
        linear.kernel[...] = jnp.array(weights(after, before, high=high).T)
        layers += [linear, make((after,), rngs)]
        if recurrent:
            layers[-1].recurrent_w[...] = jnp.array(weights(after, after, -0.3, 0.2))
    net = spyx.nn.Sequential(*layers)
    frames = drawn_frames(SIZES[0])
    spikes, _ = spyx.nn.run(net, jnp.array(frames[:, None]))
    size, last = {"input": np.array(SIZES[:1])}, {"output": np.array([SIZES[-1]])}
    return spyx.nir.to_nir(net, size, last), frames, np.array(spikes)[:, 0]


def spyx_lif():
    import spyx.nn

    return in_spyx(lambda shape, rngs: spyx.nn.LIF(shape, beta=0.8, rngs=rngs))


def spyx_if():
    import spyx.nn

    return in_spyx(lambda shape, rngs: spyx.nn.IF(shape, rngs=rngs))


def spyx_cuba():
    import spyx.nn

    return in_spyx(lambda shape, rngs: spyx.nn.CuBaLIF(shape, alpha=0.6, beta=0.8, rngs=rngs), high=0.4)


def spyx_recurrent():
    import spyx.nn

    return in_spyx(lambda shape, rngs: spyx.nn.RLIF(shape, beta=0.8, rngs=rngs), recurrent=True)


def main(case, folder):
    graph, frames, spikes = globals()[case]()
    for node in graph.nodes.values():  # nir 1.0.8 writes no parameter without axes
        for name, value in vars(node).items():
            if hasattr(value, "detach"):
                setattr(node, name, value.detach().numpy())
    nir.write(Path(folder) / "net.nir", graph)
    np.savez(Path(folder) / "net.npz", frames=frames, spikes=spikes.reshape(len(frames), -1))


if __name__ == "__main__":
    main(*sys.argv[1:])
