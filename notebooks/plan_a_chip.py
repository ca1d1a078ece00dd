# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
# ---

# %% [markdown]
# # Plan a chip
#
# What does a network take of a chip, and what does a frame cost there? A small network of three layers, on Loihi 1 with
# SANA-FE's calibrated constants.

# %%
import numpy as np

from netx import LIF, Conv2d, Dense, Flatten, Input, Layer, Network

random = np.random.default_rng(0)


def even(*shape):
    return 2 * random.integers(-20, 30, shape)


network = Network(
    inputs=(Input("image", (1, 28, 28)),),
    layers=(
        Layer("conv1", ("image",), Conv2d(even(16, 1, 5, 5), stride=2), LIF(201)),
        Layer("conv2", ("conv1",), Conv2d(even(32, 16, 3, 3), stride=2), LIF(401)),
        Layer("flat", ("conv2",), Flatten()),
        Layer("digit", ("flat",), Dense(even(10, 32 * 25)), LIF(401)),
    ),
    outputs=("digit",),
)

# %% [markdown]
# ## Does it fit?

# %%
from sim.hardware import chip_names, load_chip
from sim.mapping import map_network

print(", ".join(chip_names()))
chip = load_chip("loihi1_sanafe")
mapping = map_network(network, chip, "loihi1_sanafe")
for layer in mapping.layers:
    print(f"{layer.name:6} {len(layer.cores)} cores, bound by {layer.binding}")
print("fits:", mapping.fits)

# %% [markdown]
# ```text
# horowitz_45nm_fp32, horowitz_45nm_int8, loihi1_davies2018, loihi1_sanafe, loihi2
# conv1  3 cores, bound by neurons
# conv2  1 cores, bound by neurons
# digit  1 cores, bound by axons_in
# fits: True
# ```
#
# ## What does a frame cost?
#
# Real frames run in the exact engine, and what every core does is counted and priced by the chip's file: low, typical and
# high, dynamic energy alone.

# %%
from pipeline.planning.plan import Question, make_plan
from pipeline.planning.values import summary_lines
from sim import engine

frames = {"image": (random.random((8, 1, 28, 28)) < 0.2).astype(np.uint8)}
recording = engine.run(network, frames)
plan = make_plan(network, frames, recording, Question("loihi1_sanafe", chip, place=True))
print("\n".join(summary_lines(plan)))

# %% [markdown]
# ```text
# 5 cores on 1 x loihi1_sanafe: fits
# a frame, mean of 8: 58 spikes, 14,440 synops, 50 messages, 2,952 neurons updated
# dynamic energy 579 nJ (510 to 662)
#   synapse  347 nJ (302 to 394)
#   soma     227 nJ (203 to 262)
#   axon out 5.52 nJ (4.93 to 6.28)
#   mesh     3.15 pJ (2.81 to 3.58)
# time step 15.3 µs (12 to 31.5); answered after 46 µs (36 to 94.6)
# 65,183 frames a second, one after another
# slowest is core 1 of layer 'conv1', receiving
# note: no static power is known of this chip: the energies are dynamic ones
# ```
#
# By layer, and the core that the others wait for:

# %%
for name, energy in plan.cost.by_layer().items():
    print(f"{name}: {energy.typical * 1e9:.1f} nJ")

# %% [markdown]
# ```text
# conv1: 449.3 nJ
# conv2: 129.2 nJ
# digit: 0.9 nJ
# ```
#
# On Loihi 2 the same operations are counted, and not priced: nobody has published what one costs there.

# %%
loihi2 = make_plan(network, frames, recording, Question("loihi2", load_chip("loihi2")))
print("priced:", loihi2.cost.priced)
print({name: round(count) for name, count in loihi2.cost.unpriced.items() if count})

# %% [markdown]
# ```text
# priced: False
# {'synops': 14440, 'dendrite_updates': 2952, 'soma_updates': 2952, 'spikes': 58, 'messages_out': 50}
# ```
#
# ## A chip of your own
#
# A chip is a YAML file; one with 100 words of synaptic memory a core does not hold this network, and says so by rule, place
# and mend.

# %%
few = chip.limits.synapse_words.model_copy(update={"value": 100})
small = chip.model_copy(update={"limits": chip.limits.model_copy(update={"synapse_words": few})})
for violation in map_network(network, small, "small").violations:
    print(violation)

# %% [markdown]
# ```text
# fan-in memory: layer 'digit', every neuron: the synapses of one neuron take 800 words, a core of small has 100: prune inputs, use fewer weight bits, or sum 8 parts of the input in neurons of their own
# ```
