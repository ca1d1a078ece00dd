"""Networks written for one reader: what it cannot run is refused, in its name, before anything is written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias, get_args

from netx import limits
from netx.bundle import save
from netx.chain import glue
from netx.errors import FormatError
from netx.headroom import largest_sum
from netx.network import Layer, Network
from netx.neurons import GRADED, LIF
from netx.nir_card import earlier_card, write_card
from netx.nir_file import NeuronKind
from netx.synapses import WIRES, Concat, Correlation, Dense, Direct, Recurrent, Upsample

Reader: TypeAlias = Literal["lava", "norse", "snntorch", "sinabs", "spikingjelly"]

READERS: tuple[Reader, ...] = get_args(Reader)


@dataclass(frozen=True)
class _Reading:
    """How one framework reads what is written for it. call: with its own defaults, but for what stands there. layout:
    of the frames that it is given. neurons: see ``write_nir``."""

    framework: str
    call: str
    layout: str
    neurons: NeuronKind = "LIF"


_BATCH = "(batch, channel, height, width)"
_READING: dict[Reader, _Reading] = {
    "lava": _Reading("lava-dl 0.6.0", "lava.lib.dl.netx.hdf5.Network(net_config=FILE)", "(width, height, channel)"),
    "norse": _Reading("norse 1.1.0", "norse.torch.from_nir(nir.read(FILE))", _BATCH, "LIF of 1 ms"),
    "snntorch": _Reading("snnTorch 1.0.0", "snntorch.import_nir.import_from_nir(nir.read(FILE))", _BATCH),
    "sinabs": _Reading(
        "sinabs 3.1.3",
        "sinabs.nir.from_nir(nir.read(FILE), batch_size=BATCH, num_timesteps=1), then spike_fn of its layers set to "
        "sinabs.activation.SingleSpike",
        _BATCH,
        "IF",
    ),
    "spikingjelly": _Reading(
        "spikingjelly 2.0.0",
        "spikingjelly.activation_based.nir_exchange.import_from_nir(FILE), called with state=None for each batch",
        _BATCH,
        "IF as a rate",
    ),
}


def usage(network: Network, reader: Reader) -> dict[str, str]:
    """How ``reader`` reads and runs what ``export`` writes of ``network``: ``reader``, ``call`` and ``frames``, the
    shapes and the layout of what each input is given."""
    reading = _READING[reader]
    shapes = []
    for source in network.inputs:
        channel, height, width = source.shape
        sizes = (width, height, channel) if reader == "lava" else ("batch", channel, height, width)
        shapes.append(f"{source.name} ({', '.join(map(str, sizes))})")
    alone = "" if reader == "lava" else ", float32; all frames of a batch start from zero state"
    frames = f"{reading.layout}: {'; '.join(shapes)}{alone}"
    return {"reader": reading.framework, "call": reading.call, "frames": frames}


def export(network: Network, path: Path, reader: Reader) -> None:
    """Write ``network`` so that ``reader`` gives the same spikes as ``usage`` calls it: ``.net`` for lava, ``.nir`` for
    the others.

    A path that ends in neither becomes a folder with a file for each chain, which is what a network of several inputs
    or outputs needs: none of the readers runs such a graph. What ``usage`` says is kept in it.
    Raises FormatError that lists, in the reader's name, everything it cannot run.
    """
    path = Path(path)
    suffix = ".net" if reader == "lava" else ".nir"
    if path.suffix in (".net", ".nir") and path.suffix != suffix:
        raise FormatError(f"{path}: {reader} reads {suffix} files: name it so, or name a folder")
    problems = list(_problems(network, reader, path.suffix == suffix))
    if problems:
        raise FormatError(f"{path}: {reader} cannot run this network: {'; '.join(problems)}")
    card = earlier_card(path) if reader != "lava" else {}
    try:
        save(network, path, "net" if reader == "lava" else "nir", _READING[reader].neurons, usage(network, reader))
    except FormatError as error:
        raise FormatError(f"{error} (exported for {reader})") from None
    if reader != "lava":
        write_card(path, reader, card)


def _problems(network: Network, reader: Reader, one_file: bool) -> Iterator[str]:
    ends = len(network.inputs), len(network.outputs)
    if one_file and ends != (1, 1):
        yield f"it has {ends[0]} inputs and {ends[1]} outputs, and one graph has one of each: name a folder"
    between = {layer.name for layer in glue(network)}
    for layer in network.layers:
        yield from (f"layer {layer.name!r} {text}" for text in _layer_problems(network, layer, reader))
        if one_file and layer.name in between and isinstance(layer.synapse, (Concat, Upsample)):
            kind = type(layer.synapse).__name__
            yield f"layer {layer.name!r} is a {kind}, and a file is one chain: name a folder"


def _layer_problems(network: Network, layer: Layer, reader: Reader) -> Iterator[str]:
    synapse, neuron = layer.synapse, layer.neuron
    if isinstance(synapse, Correlation):
        yield "is a correlation, whose weights are a template's spikes: export what Network.programmed returns"
        return
    if isinstance(synapse, (Recurrent, Direct)) or isinstance(neuron, GRADED):
        yield f"is a {type(neuron if isinstance(neuron, GRADED) else synapse).__name__}, which is not written for it"
        return
    if isinstance(synapse, WIRES) or neuron is None:
        return
    if isinstance(synapse, Dense) and synapse.delay.any():
        yield "has delays"
    if isinstance(neuron, LIF) and (neuron.reset_interval is not None or neuron.refractory):
        yield "has a reset interval or refractory period, which no file says"
    elif reader != "lava" and not neuron.memoryless:
        yield "remembers, and rounds its state down at every step, which is done by no neuron that it has"
    largest = largest_sum(network, layer.name)
    if reader != "lava" and largest > limits.ACTIVATION_MAX:
        # Within it they are whole numbers in the reader's float32, too.
        yield f"has sums of up to {largest}, which Lava wraps beyond {limits.ACTIVATION_MAX}, and it does not"
