"""A script for the environment of a peer: ``python peer_reader.py PEER FILE FRAMES SPIKES``.

Runs FILE in stock norse, snnTorch or sinabs on the frames of an .npy file (frame, ...), all as one batch from zero
state, and writes what comes out to another. As sinabs_steps they are one sequence.
"""

import sys

import nir
import numpy as np
import torch


def norse(graph, frames):
    import norse.torch

    return norse.torch.from_nir(graph, dt=1e-4)(frames)[0]


def snntorch(graph, frames):
    from snntorch.import_nir import import_from_nir

    return import_from_nir(graph)(frames)[0]


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
        out = globals()[peer](nir.read(file, type_check=False), values)
    out = out[0] if isinstance(out, tuple) else out
    np.save(spikes, out.numpy())


if __name__ == "__main__":
    main(*sys.argv[1:])
