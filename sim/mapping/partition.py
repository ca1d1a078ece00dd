"""A network's layers cut into pieces that each fit on a core, and what binds them.

One layer a core, as in every partition that Intel has published. On Loihi 2 the cuts are those of Intel's compiler, as
far as its printed partitions show them (docs/mapping.md):

- a convolution: channels halved until a pixel of them fits, then columns in powers of two and rows halved, the tile
  that needs the fewest cores;
- a full connection: 255 neurons at most, cut into as many parts as the limit is exceeded by, then twice as many, until
  each fits.

On Loihi 1 everything is cut into the fewest equal parts, as nengo-loihi does along the axis it is told.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt

from netx import Flatten, Layer, MonospikeError, Network, Shape, Upsample, Wire
from sim.hardware import Chip, Limits, Mesh, Packing
from sim.mapping.demand import (
    Connection,
    Full,
    Needs,
    Reader,
    Window,
    axons_out,
    connections,
    consumers,
    folded,
    needs,
)
from sim.mapping.result import Core, LayerCores, Mapping
from sim.mapping.rules import chip_violations, layer_violations, too_much_for_a_core
from sim.mapping.shapes import Box, Span, Tile, cut, equal_parts, halvings, powers_of_two


@dataclass(frozen=True)
class Hardware:
    """What of a chip mapping goes by."""

    limits: Limits
    mesh: Mesh
    packing: Packing


@dataclass(frozen=True)
class _Piece:
    """A layer, what feeds it and what reads it."""

    shape: Shape
    connected: list[Connection]
    readers: list[Reader]
    hardware: Hardware
    recurrent: bool

    def needs(self, box: Box) -> Needs:
        """What ``box`` takes of a core; a layer that reads itself sends to all of its own cores."""
        readers = self.readers
        if self.recurrent:
            readers = [*readers, Reader(-(-self.shape.size // box.neurons))]
        return needs(self.connected, box, self.hardware.packing, axons_out(box, readers, self.hardware.packing))

    def excess(self, box: Box) -> float:
        """The largest part of any resource that ``box`` takes: it fits where this is at most 1."""
        return self.needs(box).binding(self.hardware.limits)[1]

    def needs_of_a_neuron(self) -> Needs:
        """What the neuron takes that takes most: one in the corner reads less than others."""
        alone = Tile(1, 1, 1)
        worst = max(self._exemplary(alone), key=self.excess)
        if self.excess(worst) <= 1:
            worst = max(alone.boxes(self.shape), key=self.excess)
        return self.needs(worst)

    def seems_to_fit(self, tile: Tile) -> bool:
        """Whether those boxes of ``tile`` fit that stand for the others."""
        return all(self.excess(box) <= 1 for box in self._exemplary(tile))

    def _exemplary(self, tile: Tile) -> Iterator[Box]:
        """Boxes of ``tile`` at its ends and in its middle."""
        channels, rows, columns = tile.spans(self.shape)
        yield from (Box(*spans) for spans in product(_extremes(channels), _extremes(rows), _extremes(columns)))


def map_network(network: Network, chip: Chip, name: str, chips: int = 1) -> Mapping:
    """``network`` on ``chips`` chips called ``name``, cores placed row by row, with every design rule it breaks.

    Raises MonospikeError when nothing is known of the chip's limits.
    """
    if chip.limits is None or chip.mesh is None or chip.packing is None:
        raise MonospikeError(f"{name}: has no limits to map by; loihi2, loihi1_davies2018 and loihi1_sanafe have")
    hardware = Hardware(chip.limits, chip.mesh, chip.packing)
    with_neurons = [layer for layer in network.layers if layer.neuron is not None]
    violations = {layer.name: layer_violations(network, layer, chip.limits) for layer in with_neurons}
    boxes: dict[str, list[Box]] = {}
    pieces: dict[str, _Piece] = {}
    # Readers first: through how many axons a core sends depends on how they are cut.
    for layer in reversed(with_neurons):
        piece = pieces[layer.name] = _piece(network, layer, hardware, boxes, pieces)
        boxes[layer.name] = _boxes(piece)
        if not boxes[layer.name]:
            violations[layer.name] += too_much_for_a_core(layer.name, piece.needs_of_a_neuron(), chip.limits, name)
    layers, cores = _gathered(with_neurons, boxes, pieces, hardware)
    used = max(-(-len(cores) // chip.limits.cores.value), chips)
    broken = [violation for layer in with_neurons for violation in violations[layer.name]]
    broken += chip_violations(layers, len(cores), chip.limits.cores.value, chips, name)
    return Mapping(name, used, layers, cores, tuple(range(len(cores))), tuple(broken))


def _gathered(
    layers: list[Layer], boxes: dict[str, list[Box]], pieces: dict[str, _Piece], hardware: Hardware
) -> tuple[tuple[LayerCores, ...], tuple[Core, ...]]:
    found: list[LayerCores] = []
    cores: list[Core] = []
    for layer in layers:
        own = [_core(layer.name, box, pieces[layer.name]) for box in boxes[layer.name]]
        numbers = tuple(range(len(cores), len(cores) + len(own)))
        if own:
            binding = max(own, key=lambda core: core.utilisation).binding
        else:
            binding = pieces[layer.name].needs_of_a_neuron().binding(hardware.limits)[0]
        words = sum(core.synapse_words for core in own)
        found.append(LayerCores(layer.name, numbers, pieces[layer.name].shape.size, words, binding))
        cores += own
    return tuple(found), tuple(cores)


def _core(layer: str, box: Box, piece: _Piece) -> Core:
    needed = piece.needs(box)
    return Core(layer, box, *needed, *needed.binding(piece.hardware.limits))


def _piece(
    network: Network, layer: Layer, hardware: Hardware, boxes: dict[str, list[Box]], pieces: dict[str, _Piece]
) -> _Piece:
    connected = connections(network, layer, hardware.packing, hardware.limits.weight_bits.value)
    readers = [
        _reader(boxes[reader.name], pieces[reader.name].connected, network.shape(layer.name), wires)
        for reader, wires in consumers(network, layer.name)
    ]
    return _Piece(network.shape(layer.name), connected, readers, hardware, len(connected) > 1)


def _reader(boxes: list[Box], connected: list[Connection], source: Shape, wires: tuple[Wire, ...]) -> Reader:
    """wires: that lie between the layer of shape ``source`` and the reader."""
    flattened = any(isinstance(wire, Flatten) for wire in wires)
    window = connected[0] if connected and not flattened else None
    if not isinstance(window, Window):
        return Reader(len(boxes))
    ways = _behind(source, wires)
    channels, rows, columns = ({box[axis] for box in boxes} for axis in range(3))
    reads = [
        sum((folded(axis.read(span), way, 0).astype(np.int64) for span in spans), np.zeros(way.max() + 1, np.int64))
        for axis, spans, way in zip((window.rows, window.columns), (rows, columns), ways, strict=True)
    ]
    return Reader(len(channels), *reads)


def _behind(source: Shape, wires: tuple[Wire, ...]) -> list[npt.NDArray[np.int64]]:
    """Of the rows and the columns that arrive through ``wires`` which one of ``source`` each shows, -1 for none."""
    ways = [np.arange(source.height), np.arange(source.width)]
    for wire in wires:
        if isinstance(wire, Upsample):
            more = wire.behind(Shape(1, len(ways[0]), len(ways[1])))
            ways = [np.where(last < 0, -1, way[last]) for way, last in zip(ways, more, strict=True)]
    return ways


def _boxes(piece: _Piece) -> list[Box]:
    """How a layer is cut; nothing where not even one neuron fits on a core."""
    if piece.connected and isinstance(piece.connected[0], Full):
        spans = _cut_by_excess(piece) if piece.hardware.packing.scheme == "loihi2" else _cut_equally(piece)
        return [Box(span, Span(0, 1), Span(0, 1)) for span in spans]
    for tile in _tiles(piece):
        # All boxes only of a tile that seems to fit: there may be thousands of tiles, of thousands of boxes.
        if piece.seems_to_fit(tile):
            boxes = tile.boxes(piece.shape)
            if all(piece.excess(box) <= 1 for box in boxes):
                return boxes
    return []


def _tiles(piece: _Piece) -> Iterator[Tile]:
    """Tiles to try, the best first: those with the fewest cores; of equals, the one nearest to a square.

    On Loihi 2 the channels are cut only where a single pixel of all of them is too much for a core.
    """
    shape, most = piece.shape, piece.hardware.limits.neurons.value
    if piece.hardware.packing.scheme == "loihi1":
        tiles = product(equal_parts(shape.channel), equal_parts(shape.height), equal_parts(shape.width))
        yield from _fewest_cores((Tile(*tile) for tile in tiles), shape, most)
        return
    for channels in halvings(shape.channel):
        if piece.seems_to_fit(Tile(channels, 1, 1)):
            tiles = product([channels], halvings(shape.height), powers_of_two(shape.width))
            yield from _fewest_cores((Tile(*tile) for tile in tiles), shape, most)


def _fewest_cores(tiles: Iterable[Tile], shape: Shape, most: int) -> list[Tile]:
    # A tile takes the neurons of all its columns, also those beyond the edge of the image.
    fitting = [tile for tile in tiles if tile.channels * tile.rows * tile.columns <= most]
    return sorted(fitting, key=lambda tile: (tile.count(shape), -tile.channels, abs(tile.rows - tile.columns)))


def _cut_by_excess(piece: _Piece) -> list[Span]:
    """Parts of at most ``dense_neurons``, each cut by how far it exceeds a limit, then in halves until all fit."""
    limit, size = piece.hardware.limits.dense_neurons, piece.shape.size
    found: list[Span] = []
    for part in cut(size, size if limit is None else limit.value):
        parts = max(-int(-piece.excess(_flat(part)) // 1), 1)
        while piece.excess(_flat(Span(part.low, part.low + -(-part.size // parts)))) > 1:
            if parts >= part.size:
                return []
            parts = min(parts * 2, part.size)
        step = -(-part.size // parts)
        found += [Span(part.low + low, part.low + high) for low, high in cut(part.size, step)]
    return found


def _cut_equally(piece: _Piece) -> list[Span]:
    """The fewest equal parts that fit."""
    for step in equal_parts(piece.shape.size):
        if piece.excess(_flat(Span(0, step))) <= 1:
            return cut(piece.shape.size, step)
    return []


def _flat(span: Span) -> Box:
    return Box(span, Span(0, 1), Span(0, 1))


def _extremes(spans: list[Span]) -> list[Span]:
    """The first three, the one in the middle and the last two spans: borders differ from the inside, strides repeat."""
    return spans if len(spans) <= 6 else [*spans[:3], spans[len(spans) // 2], *spans[-2:]]
