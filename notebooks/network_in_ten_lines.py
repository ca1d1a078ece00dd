# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
# ---

# %% [markdown]
# # A network in ten lines
#
# A network is a value: layers of integers, checked when it is made. Two layers that find a corner, ten lines:

# %%
import numpy as np

from netx import LIF, Accumulator, Conv2d, Input, Layer, Network

corner = np.array([[[[2, 2, 2], [2, -4, -4], [2, -4, -4]]]])
network = Network(
    inputs=(Input("image", (1, 8, 8)),),
    layers=(
        Layer("corners", ("image",), Conv2d(corner), LIF(threshold=9)),
        Layer("count", ("corners",), Conv2d(np.full((1, 1, 6, 6), 2)), Accumulator()),
    ),
    outputs=("count",),
)
print(network.shape("corners"), network.shape("count"), network.memoryless)

# %% [markdown]
# ```text
# 1x6x6 1x1x1 True
# ```
#
# Weights are even and the threshold is odd, so that no sum can equal it. The proof that no input whatever can leave the 24
# bits of Lava, channel by channel:

# %%
from netx import prove_headroom

for proof in prove_headroom(network):
    print(f"{proof.layer}: at most {proof.worst_case} of {proof.limit}")

# %% [markdown]
# ```text
# corners: at most 16 of 131071
# count: at most 72 of 131071
# ```
#
# The exact engine runs it, one frame a time step. A square whose upper left corner lies in the image:

# %%
from sim import engine

frame = np.zeros((1, 1, 8, 8), np.uint8)
frame[0, 0, 2:6, 3] = frame[0, 0, 2, 3:7] = 1
recording = engine.run(network, {"image": frame})
print("corner at", np.argwhere(recording.spikes["corners"][0, 0])[0].tolist())
print("read-out", recording.membranes["count"].ravel().tolist())

# %% [markdown]
# ```text
# corner at [2, 3]
# read-out [2]
# ```
#
# It goes to disk as lava-dl's `.net`, and comes back equal; the fingerprint is of its integers, whatever file holds them:

# %%
import tempfile
from pathlib import Path

from netx.bundle import load, save
from netx.fingerprint import fingerprint

with tempfile.TemporaryDirectory() as folder:
    save(network, Path(folder) / "corner.net")
    save(network, Path(folder) / "corner.nir")
    back = [load(Path(folder) / name) for name in ("corner.net", "corner.nir")]
print(back[0] == back[1] == network, fingerprint(back[1]) == fingerprint(network))

# %% [markdown]
# ```text
# True True
# ```
#
# What is no network is refused with its place:

# %%
from netx import NetworkError

try:
    Network(network.inputs, (Layer("wide", ("image",), Conv2d(np.ones((1, 1, 9, 9))), LIF(9)),), ("wide",))
except NetworkError as error:
    print(error)

# %% [markdown]
# ```text
# layer 'wide': ...
# ```
#
# In Lava, every variable compared: `monospike verify corner.net --input frames.npy`, or `sim.selfcheck.check`.
