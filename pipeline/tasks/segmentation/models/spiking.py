"""The spiking student: a single-step memory network of three parts, each a network of integers on the chip.

    encoder    a frame to its key, and to the spikes of its stages, which the decoder sees
    memory     a frame with the object's mask and the other objects' to a value
    decoder    what was read from memory, and the encoder's spikes, to the logit of each position's being the object's

The host keeps keys and values, which are membranes (or the keys spikes), weighs the values by the softmax of the
largest similarities, and rounds what comes of it to the integers that enter the decoder. A frame's key in memory is
the one by which it was itself looked for, as in STCN (hkchengrex/STCN), so that only values depend on masks. Masks
enter the chip as probabilities of a pixel's bits, those of one object after the other.

A stage is a strided convolution and further ones; what leaves it is the first and the last of them side by side, as in
the spiking detector. Each step of the decoder sees a stage beside what the coarser step has found, repeated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from netx import Input, Network, Shape
from netx.network import side_by_side
from netx.types import SPIKES
from pipeline.models.blocks import Blocks
from pipeline.models.graph import NodeList, SpikingGraph
from pipeline.models.pixels import pixel_range, signed_pixels
from pipeline.models.quantisation import QuantisedModule
from pipeline.models.spiking_layers import PlainBlocks
from pipeline.tasks.segmentation.models.clip import Tensors, through_clip
from pipeline.tasks.segmentation.models.config import FIRST_STRIDE, STRIDES, SpikingStmConfig
from pipeline.tasks.segmentation.models.memory import Decoded, Encoded, Memory, mean_value, similarity
from quantize.slayer import WEIGHT_SCALE
from sim import engine

ENCODER, MEMORY, DECODER = PARTS = ("encoder", "memory", "decoder")

IMAGE, MASKED, READ = "image", "masked", "read"
"""What enters the parts; the decoder has ``skip_S`` beside ``read``."""

KEY, VALUE, ANSWER = "key", "value", "answer"
"""Layers that are read."""

READ_SCALE = 16.0
"""At first, of what was read before it is rounded: means of membranes are of the order of a tenth. Ours."""

Chip: TypeAlias = Callable[[str, Mapping[str, Tensor]], Mapping[str, Tensor]]
"""A part's name and its inputs, (frame, channel, row, column), to the spikes and membranes (SLAYER units) of at least
its outputs, alike."""


class SpikingStm(QuantisedModule):
    """The whole student. graphs: its parts, by name. scales: by which the host multiplies similarities, what was read,
    and answers."""

    def __init__(self, config: SpikingStmConfig, blocks: Blocks | None = None) -> None:
        """blocks: as for ``SpikingGraph``."""
        super().__init__()
        self.config, self.time_steps = config, 1
        self.blocks: Blocks = blocks or PlainBlocks(config.neurons, config.surrogate)
        self.stages, builders = _encoder(config)
        self.graphs = nn.ModuleDict(
            {
                name: SpikingGraph(config, entries, layers.nodes, self.blocks, sent)
                for name, (entries, layers, sent) in {
                    ENCODER: builders,
                    MEMORY: _memory(config),
                    DECODER: _decoder(config),
                }.items()
            }
        )
        first = {"similarity": 1.0, "read": READ_SCALE, "answer": 1.0}
        self.scales = nn.ParameterDict({name: nn.Parameter(torch.tensor(value)) for name, value in first.items()})

    def forward(self, frames: Tensor, masks: Tensor) -> Tensors:
        """See ``pipeline.tasks.segmentation.models.clip.through_clip``."""
        return through_clip(self.at_work(), frames, masks)

    def at_work(self, chip: Chip | None = None) -> Host:
        """With its parts on ``chip``; None for its own modules."""
        return Host(self, chip or self.in_torch)

    def in_torch(self, part: str, inputs: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """A part's own modules as a ``Chip``."""
        tensors = self.graph(part).signals(inputs)
        kinds = ("spikes/", "membrane/")
        return {name.split("/")[1]: values[0] for name, values in tensors.items() if name.startswith(kinds)}

    def graph(self, part: str) -> SpikingGraph:
        """One of PARTS."""
        graph = self.graphs[part]
        assert isinstance(graph, SpikingGraph)
        return graph

    @property
    def neurons(self) -> dict[str, Any]:
        """Of all layers that spike, by name."""
        return {name: neuron for part in PARTS for name, neuron in self.graph(part).neurons.items()}

    def network(self) -> Network:
        """The integers of all parts, which don't know each other, in one. Raises as ``SpikingGraph.network``."""
        return side_by_side([self.graph(part).network() for part in PARTS])

    def part_of(self, network: Network, part: str) -> Network:
        """One of PARTS in what ``network`` made."""
        return network.subnetwork(self.graph(part).outputs)

    @torch.no_grad()
    def project(self) -> None:
        """Bring the weights back to what the chip can have."""
        for part in PARTS:
            self.graph(part).project()

    def _set_quantised(self, quantised: bool) -> None:
        for part in PARTS:
            self.graph(part)._set_quantised(quantised)


class Host:
    """What is done around the chip; see ``pipeline.tasks.segmentation.models.memory.MemoryNetwork``."""

    def __init__(self, student: SpikingStm, chip: Chip) -> None:
        self._student, self._chip, self._config = student, chip, student.config

    def encode(self, frames: Tensor) -> Encoded:
        """``features_4``, ``features_8`` and ``features_16`` are spikes."""
        said = self._chip(ENCODER, {IMAGE: signed_pixels(frames, self._config.pixel_bits)})
        stages = self._student.stages
        maps = {f"features_{stride}": torch.cat([said[name] for name in stages[stride]], dim=1) for stride in STRIDES}
        return Encoded(said[KEY], maps)

    def memorise(self, frames: Tensor, encoded: Encoded, masks: Tensor, others: Tensor) -> Memory:
        """Keys are the frames' own."""
        bits = self._config.pixel_bits
        high = pixel_range(bits).high
        seen = [signed_pixels(frames, bits), *(Rounded.apply(mask * high) for mask in (masks, others))]
        said = self._chip(MEMORY, {MASKED: torch.cat(seen, dim=1)})
        return Memory.of(encoded.key, said[VALUE])

    def read(self, memory: Memory, encoded: Encoded) -> Tensor:
        """Whole numbers, as they enter the chip."""
        config, scales = self._config, self._student.scales
        scores = scales["similarity"] * similarity(memory.keys, encoded.key.flatten(2), config.similarity)
        values = mean_value(scores, memory.values, config.top).unflatten(-1, encoded.key.shape[-2:])
        bounds = pixel_range(config.read_bits)
        return Rounded.apply((values * scales["read"]).clamp(bounds.low, bounds.high))

    def decode(self, encoded: Encoded, read: Tensor) -> Decoded:
        """The read-out's membranes, times a scale that is learned."""
        skips = {f"skip_{stride}": encoded.maps[f"features_{stride}"] for stride in STRIDES}
        said = self._chip(DECODER, {READ: read, **skips})
        maps = {f"decoder_{stride}": said[f"fuse_{stride}"] for stride in STRIDES if f"fuse_{stride}" in said}
        return Decoded(said[ANSWER] * self._student.scales["answer"], maps)


class Rounded(torch.autograd.Function):
    """To whole numbers, with a gradient of one."""

    @staticmethod
    def forward(_: Any, values: Tensor) -> Tensor:
        return values.round()

    @staticmethod
    def backward(_: Any, *gradients: Tensor) -> Tensor:
        return gradients[0]


def in_integers(student: SpikingStm, network: Network | None = None) -> Chip:
    """The student's network of integers on the exact engine. network: where it is at hand.

    Raises QuantizeError or HeadroomError as ``SpikingGraph.network`` does.
    """
    whole = student.network() if network is None else network
    runners = {part: engine.compile(student.part_of(whole, part)) for part in PARTS}

    def chip(part: str, inputs: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        ran = runners[part].run({name: as_integers(values) for name, values in inputs.items()})
        said = {name: torch.from_numpy(values.astype(np.float32)) for name, values in ran.spikes.items()}
        read = {name: values for name, values in ran.membranes.items() if name not in said}
        return {
            **said,
            **{name: torch.from_numpy(values.astype(np.float32) / WEIGHT_SCALE) for name, values in read.items()},
        }

    return chip


def as_integers(values: Tensor) -> Any:
    """Whole numbers of at most 8 bits, int8, as the engine takes them."""
    return values.detach().cpu().numpy().astype(np.int8)


Built: TypeAlias = tuple[list[Input], NodeList, tuple[str, ...]]
"""A part's inputs, its layers, and those of them that are sent."""


def _encoder(config: SpikingStmConfig) -> tuple[dict[int, tuple[str, ...]], Built]:
    """Which layers of the encoder a stage is at each stride; and the encoder."""
    entries = [Input(IMAGE, Shape(3, config.height, config.width), pixel_range(config.pixel_bits))]
    layers, width = NodeList(entries), config.channels
    stages = dict(_stages(layers, IMAGE, "conv", width.encoder, width.encoder_depths))
    coarsest = _joined(layers, "stage", STRIDES[-1], stages[STRIDES[-1]])
    if config.keys == "spikes":
        layers.conv(KEY, coarsest, width.key, "readout", kernel=3)
    else:
        layers.readout(KEY, coarsest, width.key, kernel=3)
    sent = [name for stride in STRIDES for name in stages[stride]]
    return stages, (entries, layers, (*sent, KEY) if config.keys == "spikes" else tuple(sent))


def _memory(config: SpikingStmConfig) -> Built:
    entries = [Input(MASKED, Shape(5, config.height, config.width), pixel_range(config.pixel_bits))]
    layers, width = NodeList(entries), config.channels
    stages = dict(_stages(layers, MASKED, "masked", width.memory, width.memory_depths))
    layers.readout(VALUE, _joined(layers, "masked_stage", STRIDES[-1], stages[STRIDES[-1]]), width.value)
    return entries, layers, ()


def _decoder(config: SpikingStmConfig) -> Built:
    width = config.channels
    entries = [Input(READ, _shape(config, STRIDES[-1], width.value), pixel_range(config.read_bits))]
    for stride, channels, depth in zip(STRIDES, width.encoder[1:], width.encoder_depths[1:], strict=True):
        shape = _shape(config, stride, channels * (2 if depth else 1))
        entries.append(Input(f"skip_{stride}", shape, SPIKES))
    layers = NodeList(entries)
    found = layers.conv("from_read", READ, width.decoder[0], "neck", kernel=1)
    for stride, channels in zip(reversed(STRIDES), width.decoder, strict=True):
        if stride < STRIDES[-1]:
            found = layers.upsample(f"up_{2 * stride}", found, "neck")
        found = layers.beside(f"join_{stride}", "neck", found, f"skip_{stride}")
        found = layers.conv(f"fuse_{stride}", found, channels, "neck", kernel=3)
    layers.readout(ANSWER, found, 1, kernel=3)
    return entries, layers, ()


def _stages(
    layers: NodeList, source: str, name: str, channels: Sequence[int], depths: Sequence[int]
) -> Iterator[tuple[int, tuple[str, ...]]]:
    """The first and the last layer of each stage, or the only one, by stride."""
    for stride, width, depth in zip((FIRST_STRIDE, *STRIDES), channels, depths, strict=True):
        first = last = layers.conv(f"{name}_{stride}", source, width, "backbone", kernel=3, stride=2)
        for index in range(1, depth + 1):
            last = layers.conv(f"{name}_{stride}_{index}", last, width, "backbone", kernel=3)
        ends = (first, last) if depth else (first,)
        yield stride, ends
        if stride < STRIDES[-1]:
            source = _joined(layers, f"{name}_stage", stride, ends)


def _joined(layers: NodeList, name: str, stride: int, ends: tuple[str, ...]) -> str:
    return layers.beside(f"{name}_{stride}", "backbone", *ends) if len(ends) > 1 else ends[0]


def _shape(config: SpikingStmConfig, stride: int, channels: int) -> Shape:
    return Shape(channels, config.height // stride, config.width // stride)
