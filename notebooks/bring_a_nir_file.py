# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
# ---

# %% [markdown]
# # Bring a NIR file
#
# Somebody else's network becomes integers, and what that costs is measured. Here it is made with nir itself, as snnTorch
# writes a convolution and leaky neurons (r = tau / dt, a step of 1e-4 s).

# %%
import tempfile
from pathlib import Path

import nir
import numpy as np

random = np.random.default_rng(0)
dt, beta = 1e-4, 0.9


def leaky(*shape):
    tau = dt / (1 - beta)
    full = [np.full(shape, value, np.float32) for value in (tau, tau / dt, 0.0, 0.6)]
    return nir.LIF(tau=full[0], r=full[1], v_leak=full[2], v_threshold=full[3], v_reset=full[2])


weight = random.normal(0, 0.3, (4, 2, 3, 3)).astype(np.float32)
nodes = {
    "input": nir.Input(np.array([2, 8, 8])),
    "conv": nir.Conv2d((8, 8), weight, (1, 1), (1, 1), (1, 1), 1, np.zeros(4, np.float32)),
    "lif": leaky(4, 8, 8),
    "output": nir.Output(np.array([4, 8, 8])),
}
folder = Path(tempfile.mkdtemp())
nir.write(folder / "theirs.nir", nir.NIRGraph(nodes, [("input", "conv"), ("conv", "lif"), ("lif", "output")]))
frames = (random.random((2, 30, 2, 8, 8)) < 0.2).astype(np.float32)  # sequence, frame, channel, row, column

# %% [markdown]
# What would go wrong with it elsewhere, worst first:

# %%
from netx.lint import lint

for finding in lint(folder / "theirs.nir"):
    print(finding.rule.severity.value, finding.rule.name, finding.place)

# %% [markdown]
# ```text
# warning ...
# note nir-to-be-quantised node/nodes/conv/weight
# note nir-written-by-subtracting node/nodes/lif
# ```
#
# The last note: the file does not say whether its neurons reset to zero or subtract. snnTorch's subtract unless they are
# told otherwise; these were. `Choices` says what no file does, as `--reset` does on the command line.

# %%
from netx.nir_graph import read_graph
from quantize.nir_import import Choices, import_graph, run_float

imported = import_graph(
    read_graph(folder / "theirs.nir"), {"x": frames}, writer="snntorch", choices=Choices(reset="zero")
)
network = imported.network
[layer] = [layer for layer in network.layers if layer.neuron is not None]
print(layer.name, network.shape(layer.name), "weights", layer.synapse.weight.min(), "to", layer.synapse.weight.max())
print("threshold", layer.neuron.threshold, "decays", layer.neuron.current_decay, layer.neuron.voltage_decay)

# %% [markdown]
# ```text
# lif 4x8x8 weights -178 to 150
# threshold 154 decays 4096 410
# ```
#
# A decay of 0.1 is 409.6 of 4096. The float graph runs node by node in double precision; the integers in the exact engine:

# %%
from sim import engine

integers = {name: values[0] for name, values in imported.calibration.integers.items()}
ours = engine.run(network, integers).spikes["lif"]
theirs = run_float(imported.graph, imported.calibration.floats, imported.dt, ("lif",)).values["lif"][0]
print(f"{(ours == theirs).mean():.1%} of neurons and frames agree; rates {theirs.mean():.3f} and {ours.mean():.3f}")

# %% [markdown]
# ```text
# ...% of neurons and frames agree; rates ... and ...
# ```

# %%
assert (ours == theirs).mean() > 0.98
assert abs(theirs.mean() - ours.mean()) < 0.01

# %% [markdown]
# The integers are a network like any other: it has a file, a proof, a place on a chip.

# %%
from netx import headroom
from netx.nir_file import write_nir_integers
from sim.hardware import load_chip
from sim.mapping import map_network

write_nir_integers(network, folder / "ours.nir")
mapping = map_network(network, load_chip("loihi2"), "loihi2")
print(
    "proven:", all(proof.proven for proof in headroom(network)), "- cores:", len(mapping.cores), "- fits:", mapping.fits
)

# %% [markdown]
# ```text
# proven: True - cores: 1 - fits: True
# ```
