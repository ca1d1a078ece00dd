"""A script for the environment of a peer: ``python peer_reader.py PEER FILE FRAMES SPIKES``.

Runs FILE in stock norse, snnTorch, sinabs or spikingjelly, with its defaults, on the frames of an .npy file, all as one
batch (frame, ...) from zero state, and writes what comes out to another. As sinabs_steps they are one sequence.
"""

import sys

import nir
import numpy as np
import torch


def norse(graph, frames):
    import norse.torch

    return norse.torch.from_nir(graph)(frames)[0]


def snntorch(graph, frames):
    from snntorch.import_nir import import_from_nir

    return import_from_nir(graph)(frames)[0]


def spikingjelly(graph, frames):
    from spikingjelly.activation_based.nir_exchange import import_from_nir

    return import_from_nir(graph)(frames, None)[0]


def sinabs(graph, frames):
    model = sinabs_model(graph, len(frames), 1)
    from sinabs.activation import SingleSpike

    for module in model.modules():
        if hasattr(module, "spike_fn"):
            module.spike_fn = SingleSpike
    return model(frames)


def sinabs_default(graph, frames):
    return sinabs_model(graph, len(frames), 1)(frames)


def sinabs_steps(graph, frames):
    return sinabs_model(graph, 1, len(frames))(frames)


def sinabs_model(graph, batch, steps):
    from sinabs.nir import from_nir

    return from_nir(graph, batch_size=batch, num_timesteps=steps)


def main(peer, file, frames, spikes):
    values = torch.from_numpy(np.load(frames)).float()
    with torch.no_grad():
        # nir 1.0.4, which sinabs asks for, has no type check to leave out.
        graph = nir.read(file) if nir.__version__ == "1.0.4" else nir.read(file, type_check=False)
        out = globals()[peer](graph, values)
    out = out[0] if isinstance(out, tuple) else out
    np.save(spikes, out.numpy())


if __name__ == "__main__":
    main(*sys.argv[1:])
