#!/usr/bin/env bash
# lava-dl 0.6.0: a decay that SLAYER learns is moved the wrong way, with a gradient 4096 times too large.
#
# slayer/neuron/dynamics/leaky_integrator.py computes v[n] = (1 - decay / 4096) v[n-1] + x[n], so that the slope of
# v[1] by decay is -v[0] / 4096. Its backward pass (_li_dynamics_bwd) returns +v[0]: the factor -1/4096 is left out.
# So an optimiser that should make a membrane forget sooner makes it remember longer, in steps 4096 times too long.
#
# Seen: v = [48, 32] for x = [48, 8] and decay 2048; gradient of v[1] by decay: 48, slope by differences: -0.0117.
# Ends with 0 while lava-dl behaves so, with 1 when it does not any more.
set -euo pipefail

place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3.10 -m venv "$place/venv"
"$place/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    lava-dl==0.6.0 lava-nc==0.10.0 torch==2.3.1 torchvision==0.18.1 numpy==1.26.4

cd "$place"
"$place/venv/bin/python" - <<'END'
import torch
from lava.lib.dl.slayer.neuron.dynamics import leaky_integrator

SCALE = 1 << 12


def voltages(decay):
    return leaky_integrator.dynamics(torch.tensor([[48.0, 8.0]]), decay, torch.zeros(1), w_scale=SCALE)[0]


decay = torch.tensor([2048.0], requires_grad=True)
seen = voltages(decay)
seen[1].backward()
gradient = decay.grad.item()
with torch.no_grad():
    slope = (voltages(decay + 64) - voltages(decay - 64))[1].item() / 128

print("voltages", seen.tolist())
print("gradient of the last by decay, as lava-dl has it:", gradient)
print("slope by differences:", slope, "and by the formula:", -seen[0].item() / SCALE)
assert seen.tolist() == [48.0, 32.0]
assert abs(slope + 48 / SCALE) < 1e-6
assert gradient == 48.0, "the gradient has changed"
END
