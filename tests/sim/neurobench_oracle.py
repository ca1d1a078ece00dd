"""What NeuroBench counts in a torch model: weights and frames as .npz in, operations per frame as JSON out.

Run by a Python that has neurobench 2.3.0.
"""

import contextlib
import io
import json
import sys

import numpy as np
import torch
from neurobench.benchmarks import Benchmark
from neurobench.metrics.workload import SynapticOperations
from neurobench.models import TorchModel


class Spike(torch.nn.Module):
    def __init__(self, threshold):
        super().__init__()
        self.threshold = threshold

    def forward(self, x):
        return (x > self.threshold).float()


def layer(weight, stride, padding):
    if weight.ndim == 4:
        made = torch.nn.Conv2d(weight.shape[1], len(weight), weight.shape[2:], stride, padding, bias=False)
    else:
        made = torch.nn.Linear(weight.shape[1], len(weight), bias=False)
    made.weight.data = torch.tensor(weight, dtype=torch.float32)
    return made


def main(path):
    spec = np.load(path)
    parts = []
    for number in range(int(spec["layers"])):
        weight = spec[f"weight_{number}"]
        if weight.ndim == 2:
            parts.append(torch.nn.Flatten())
        parts.append(layer(weight, int(spec[f"stride_{number}"]), int(spec[f"padding_{number}"])))
        parts.append(Spike(float(spec[f"threshold_{number}"])))
    frames = torch.tensor(spec["frames"], dtype=torch.float32)
    data = torch.utils.data.TensorDataset(frames, torch.zeros(len(frames)))
    loader = torch.utils.data.DataLoader(data, batch_size=len(frames))
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        model = TorchModel(torch.nn.Sequential(*parts))
        found = Benchmark(model, loader, [], [], [[], [SynapticOperations]]).run()
    json.dump(found["SynapticOperations"], sys.stdout)


main(sys.argv[1])
