"""What deployments of all tasks write alike: frames for engines to agree on, and models of one feed-forward network."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from netx import MonospikeError, Network
from pipeline.core.progress import Progress
from pipeline.core.task import Evaluation, PageSection, Processing, Target
from pipeline.models.chain import SpikingChain
from pipeline.models.recorder import recording, slayer_twin
from pipeline.models.to_network import chain_network
from quantize.slayer import WEIGHT_SCALE
from sim import engine
from sim.recording import Recording


def with_probes(network: Network, frames: Mapping[str, npt.NDArray], random: np.random.Generator) -> Target:
    """``frames`` of every input, (frame, channel, row, column), and after them one of zeros, one of ones and one at
    random: what real frames never show is where engines part."""
    probed = {}
    for name, real in frames.items():
        shape, values = (1, *network.shape(name)), network.range(name)
        one = min(max(1, values.low), values.high)
        probes = [
            np.full(shape, min(max(0, values.low), values.high), real.dtype),
            np.full(shape, one, real.dtype),
            random.integers(values.low, values.high + 1, shape, real.dtype),
        ]
        probed[name] = np.concatenate([real, *probes])
    return Target(network, probed, len(next(iter(frames.values()))))


class FeedForward(ABC):
    """A ``pipeline.core.task.Deployable`` of one network that nothing programs, made of a chain of spiking layers.

    A task says how a sample becomes the chip's input, how well the outputs do, and what a report shows of them.
    """

    def __init__(self, model: nn.Module, processing: Processing) -> None:
        """model: a ``SpikingChain``. processing: what was saved with it."""
        assert isinstance(model, SpikingChain), "the task builds no other"
        self.model, self._processing = model.eval(), processing

    @property
    def priced(self) -> tuple[str, ...]:
        """The only one."""
        return (self.model.config.input,)

    @property
    def processing(self) -> Processing:
        """What the host does before and after."""
        return self._processing

    @abstractmethod
    def chip_input(self, samples: Sequence[Any]) -> npt.NDArray[np.integer]:
        """Samples as integers in the input's range, (sample, channel, row, column)."""

    @abstractmethod
    def evaluate(self, network: Network, samples: Sequence[Any], progress: Progress) -> Evaluation:
        """Float reference and integers, each on all samples."""

    @abstractmethod
    def sections(
        self,
        samples: Sequence[Any],
        evaluation: Evaluation,
        targets: Mapping[str, Target],
        recordings: Mapping[str, Recording],
    ) -> Iterator[PageSection]:
        """What the report shows of the task."""

    def network(self) -> Network:
        """Its integers."""
        return chain_network(self.model)

    def targets(self, network: Network, samples: Sequence[Any], frames: int, seed: int) -> dict[str, Target]:
        """The network, on the first samples and probes."""
        name = self.model.config.input
        real = {name: self.chip_input(samples[:frames])}
        return {name: with_probes(network, real, np.random.default_rng(seed))}

    def record(self, targets: Mapping[str, Target]) -> dict[str, Recording]:
        """The same frames through the model made of SLAYER's blocks."""
        twin, result = slayer_twin(self.model), {}
        for name, target in targets.items():
            frames = target.frames[name].astype(np.int32)
            with torch.inference_mode():
                result[name] = recording("slayer", target.network, frames, twin(torch.from_numpy(frames)))
        return result

    def outputs(self, network: Network | None, samples: Sequence[Any]) -> npt.NDArray[np.float64]:
        """The read-out, (sample, channel, row, column), SLAYER units: of ``network`` on the exact engine, or where none
        is given of the model on its real-valued weights."""
        frames = self.chip_input(samples)
        if network is not None:
            read = engine.run(network, {self.model.config.input: frames}).membranes[network.outputs[0]]
            return read.astype(np.float64) / WEIGHT_SCALE
        with torch.inference_mode(), self.model.float_weights():
            tensors = self.model(torch.from_numpy(frames.astype(np.int32)))
        return np.asarray(tensors[self.model.config.layers[-1].name].double().numpy())


class AtWork:
    """A feed-forward model as a ``pipeline.core.task.Predictor``: every frame is a sample of its own."""

    def __init__(self, deployable: FeedForward, engine: str) -> None:
        """engine: ``float`` or ``integer``."""
        if engine not in ("float", "integer"):
            raise MonospikeError(f"there is no engine {engine!r}; the engines are float, integer")
        self._deployable = deployable
        self._network = deployable.network() if engine == "integer" else None

    def start(self, frame: Any, prompt: None = None) -> None:
        """Nothing: no frame depends on another."""

    def step(self, frame: Any) -> npt.NDArray[np.float64]:
        """The read-out for a sample, (channel, row, column), SLAYER units."""
        return np.asarray(self._deployable.outputs(self._network, [frame])[0])
