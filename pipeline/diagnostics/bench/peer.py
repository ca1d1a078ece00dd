"""Run by another Python, with snnTorch or norse and maybe without monospike: ``python peer.py WORK.npz PEER THREADS``.

It makes the network that the file holds of the peer's layers, and then, for each line on its input, runs it once and
prints the seconds; for the line ``spikes`` it prints the spikes of each layer instead, as a list of counts a step.
The file: ``frames`` (step, channel, height, width); for each layer i ``weight_i``, ``stride_i``, ``padding_i`` (0 for
dense ones), ``threshold_i``, ``keep_i``, the part of the voltage that a step leaves, and maybe ``feedback_i``.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

Arrays = dict[str, npt.NDArray]


def synapse(weight: npt.NDArray, stride: npt.NDArray, padding: npt.NDArray) -> torch.nn.Module:
    """A convolution or a dense layer without bias."""
    if weight.ndim == 4:
        out, into, height, width = weight.shape
        made: torch.nn.Module = torch.nn.Conv2d(into, out, (height, width), int(stride), int(padding), bias=False)
    else:
        made = torch.nn.Linear(weight.shape[1], weight.shape[0], bias=False)
    made.weight = torch.nn.Parameter(torch.from_numpy(weight.astype(np.float32)))
    return made


class SnnTorch:
    """One layer: ``spk, mem = leaky(input, mem)``, reset to zero at once."""

    def __init__(self, file: Arrays, index: int) -> None:
        import snntorch

        self.synapse = synapse(*(file[f"{name}_{index}"] for name in ("weight", "stride", "padding")))
        keep, threshold = float(file[f"keep_{index}"]), float(file[f"threshold_{index}"])
        options: Any = {"beta": keep, "threshold": threshold, "reset_mechanism": "zero", "reset_delay": False}
        self.fed_back = f"feedback_{index}" in file
        if self.fed_back:
            self.neuron = snntorch.RLeaky(linear_features=len(file[f"feedback_{index}"]), **options)
            self.neuron.recurrent = synapse(file[f"feedback_{index}"], np.array(1), np.array(0))
        else:
            self.neuron = snntorch.Leaky(**options)

    def start(self) -> None:
        self.state = self.neuron.reset_mem()

    def step(self, values: torch.Tensor) -> torch.Tensor:
        current = self.synapse(values)
        if self.fed_back:
            self.state = self.neuron(current, *self.state)
            return self.state[0]
        spikes, self.state = self.neuron(current, self.state)
        return spikes


class Norse:
    """One layer: ``v + dt / tau * (i - v)`` is ``keep * v + (1 - keep) * i``, so that thresholds are scaled."""

    def __init__(self, file: Arrays, index: int) -> None:
        import norse.torch

        self.synapse = synapse(*(file[f"{name}_{index}"] for name in ("weight", "stride", "padding")))
        rate = 1 - float(file[f"keep_{index}"])
        parameters = norse.torch.LIFBoxParameters(
            tau_mem_inv=torch.tensor(rate * 1000), v_th=torch.tensor(float(file[f"threshold_{index}"]) * rate)
        )
        self.neuron = norse.torch.LIFBoxCell(parameters, dt=0.001)

    def start(self) -> None:
        self.state: Any = None

    def step(self, values: torch.Tensor) -> torch.Tensor:
        spikes, self.state = self.neuron(self.synapse(values), self.state)
        return spikes


def run(layers: list[Any], frames: torch.Tensor, flat: bool) -> list[torch.Tensor]:
    """The spikes of each layer, all recorded, as the peer's users do it: in lists, stacked at the end."""
    spikes: list[list[torch.Tensor]] = [[] for _ in layers]
    for layer in layers:
        layer.start()
    for frame in frames:
        values = frame.flatten(1) if flat else frame
        for layer, kept in zip(layers, spikes):  # noqa: B905 (the peer's Python may be older than 3.10)
            values = layer.step(values)
            kept.append(values)
    return [torch.stack(kept) for kept in spikes]


def main(path: str, peer: str, threads: int) -> None:
    """Load, say that it is ready, and answer."""
    torch.set_num_threads(threads)
    with np.load(path) as file:
        arrays = {name: file[name] for name in file}
    kind: Any = {"snntorch": SnnTorch, "norse": Norse}[peer]
    layers = [kind(arrays, index) for index in range(sum(name.startswith("weight_") for name in arrays))]
    frames = torch.from_numpy(arrays["frames"].astype(np.float32))[:, None]
    flat = arrays["weight_0"].ndim == 2
    with torch.inference_mode():
        run(layers, frames, flat)
        print("ready", flush=True)
        for line in sys.stdin:
            if line.strip() == "spikes":
                counts = [spikes.flatten(1).sum(1).int().tolist() for spikes in run(layers, frames, flat)]
                print(json.dumps(counts), flush=True)
                continue
            start = time.perf_counter()
            run(layers, frames, flat)
            print(time.perf_counter() - start, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
