"""lava-dl's ``.net`` files: HDF5 that the stock ``lava.lib.dl.netx.hdf5.Network`` loads.

The schema is what lava-dl 0.6.0 writes (``export_hdf5`` in ``slayer/block/base.py``) and loads (``netx/hdf5.py``): a
group ``layer/<i>`` for each layer. What it has no place for (names, the input's range, exponents, original groups) is
kept in attributes, which the stock loader never looks at. The weights stand there once, as it runs them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from netx import limits
from netx.arrays import IntArray
from netx.chain import Link, links
from netx.errors import FormatError, NetworkError
from netx.files import hdf5_bytes, write_whole
from netx.fingerprint import stamp
from netx.hdf5 import Group, check_agrees, opened
from netx.lava_dl import DIRECT_RANGE, lava_dl_layers
from netx.lowering import Plain, plain, raised, raised_bias
from netx.network import Input, Layer, Network
from netx.neurons import LIF, Accumulator, Neuron
from netx.record import Record, Value, link_values, recorded_layers, recorded_synapse
from netx.stored import Stored, positive, stored
from netx.synapses import Conv2d, Dense
from netx.types import SPIKES, Range, Shape

_VERSION = 1

_READOUT = (limits.READOUT_THRESHOLD, limits.DECAY_ONE, limits.DECAY_ONE)
"""Threshold and decays of an accumulator; a LIF that has them too is told from it by its recorded bias exponent."""

_MAX_GROUPS = 127
"""Lava's Conv keeps ``groups`` in eight signed bits and is silent beyond (lava-nc 0.10.0 ``proc/conv/models.py``)."""

_MAX_WINDOW = 127
"""It keeps the sizes of a window in eight signed bits, too, and runs another convolution beyond (same file)."""

_DENSE_MAX = 254
"""Mixed-sign dense weights above are clipped (lava-dl 0.6.0 ``netx/utils.py``, ``optimize_weight_bits``)."""


@dataclass(frozen=True)
class _StockLayer:
    """One group ``layer/<i>``: its datasets, nested where they are, and the record that goes into its attributes."""

    datasets: Mapping[str, Any]
    record: Mapping[str, Value] = field(default_factory=dict)


def write_net(network: Network, path: Path) -> None:
    """Write a network that is one chain as a ``.net`` file, whole or not at all.

    Raises FormatError when the network is no chain, when folding an exponent would not be exact, when Lava would run
    other windows, or when the file cannot be written.
    """
    path = Path(path)
    try:
        stock = _stock_layers(network)
        _check_windows(stock)
    except NetworkError as error:
        raise FormatError(f"{path}: a .net file cannot hold this network: {error}") from None
    try:
        with write_whole(path) as temporary:
            temporary.write_bytes(hdf5_bytes(partial(_write, network, stock)))
    except OSError as error:
        raise FormatError(f"{path}: cannot be written ({error.strerror or error})") from None


def _write(network: Network, stock: list[_StockLayer], content: Any) -> None:
    source = network.inputs[0]
    with h5py.File(content, "w") as file:
        own = file.create_group("monospike")
        _write_record(own, {"version": _VERSION, "input": source.name, "input_range": np.array(source.range)})
        _write_record(own, stamp(network))
        for index, layer in enumerate(stock):
            group = file.create_group(f"layer/{index}")
            _write_datasets(group, layer.datasets)
            _write_record(group, layer.record)


def read_net(
    path: Path, input_shape: Shape | None = None, input_range: Range | None = None, layers: int | None = None
) -> Network:
    """The network in a ``.net`` file: equal to the one ``write_net`` was given, or what lava-dl exported.

    input_shape: (channel, height, width), for a file that begins with a ``conv``. One with an ``input`` layer says it,
    and what begins with a ``dense`` reads as many channels of 1x1 as it has ``inFeatures``; another shape is refused.
    input_range: for a file that does not record it; lava-dl's never do; None for spikes, or for what the neurons of an
    input layer can take. layers: read only as many groups of a lava-dl file, for one that goes on with layers which are
    not supported. Raises FormatError, with the file and the place in it, when it is anything else.
    """
    path = Path(path)
    with opened(path) as root:
        own = root.group("monospike") if "monospike" in root else None
        groups = root.group("layer")
        count = _layer_count(groups)
        source = _input(groups, own, input_shape, input_range)
        found = (
            _own_layers(groups, count, source) if own else lava_dl_layers(groups, min(count, layers or count), source)
        )
        try:
            network = Network((source,), tuple(found), (found[-1].name,) if found else ())
        except NetworkError as error:
            raise groups.error(str(error)) from None
        if own:
            _check_record(groups, count, network)
        return network


def _stock_layers(network: Network) -> list[_StockLayer]:
    """Everything that a ``.net`` file of ``network`` holds, but the input's name and range."""
    source = network.inputs[0].shape
    stock = [_StockLayer({"type": "input", "shape": np.array(source)})]
    chain = links(network)
    plains = [plain(link, _MAX_GROUPS) for link in chain]
    first_dense = _first_dense(chain, plains)
    for index, (link, layer) in enumerate(zip(chain, plains, strict=True)):
        shape = network.shape(link.layer.name)
        if index < first_dense:
            datasets = {"type": "conv", "shape": np.array(shape), **_conv_datasets(layer.synapse)}
        else:
            if index == first_dense:
                stock.append(_StockLayer({"type": "flatten", "shape": np.array((link.source.size, 1, 1))}))
            datasets = {"type": "dense", "shape": np.array((shape.channel,)), **_dense_datasets(layer.synapse)}
        datasets |= _neuron_datasets(link.layer.neuron, layer.bias)
        exponent = {"bias_exponent": link.layer.neuron.bias_exponent} if isinstance(link.layer.neuron, LIF) else {}
        stock.append(_StockLayer(datasets, {**link_values(link), **exponent}))
    return stock


def _check_windows(stock: list[_StockLayer]) -> None:
    """Raises NetworkError at a convolution that Lava would run with other sizes than the file says."""
    for layer in stock:
        for name in ("kernelSize", "stride", "padding", "dilation"):
            most = int(np.max(layer.datasets.get(name, 0)))
            if most > _MAX_WINDOW:
                where = f"layer {layer.record['layer']!r}"
                raise NetworkError(f"{where}: its {name} is {most}, and Lava's Conv overflows beyond {_MAX_WINDOW}")


def _first_dense(chain: list[Link], plains: list[Plain]) -> int:
    """Index of the first layer that is written as ``dense``: from there on all are, and all exactly.

    The stock loader cannot put a ``conv`` behind a ``dense``, and its dense synapse rounds weights that are all zero
    or all negative, or that are mixed and above 254; those are written as ``conv``, which it never scales.
    """
    first = len(chain)
    for index in reversed(range(len(chain))):
        weight = plains[index].synapse.weight
        low, high = int(weight.min()), int(weight.max())
        exact = high > 0 and (low >= 0 or high <= _DENSE_MAX)
        if not isinstance(chain[index].layer.synapse, Dense) or not exact:
            break
        first = index
    return first


def _conv_datasets(conv: Conv2d) -> dict[str, Any]:
    return {
        "inChannels": conv.weight.shape[1] * conv.groups,
        "outChannels": conv.weight.shape[0],
        "kernelSize": np.array(conv.kernel),
        "stride": np.array(conv.stride),
        "padding": np.array(conv.padding),
        "dilation": np.array(conv.dilation),
        "groups": conv.groups,
        "weight": conv.weight.astype(np.float32),
    }


def _dense_datasets(conv: Conv2d) -> dict[str, Any]:
    weight = conv.weight.reshape(len(conv.weight), -1).astype(np.float32)
    return {"inFeatures": weight.shape[1], "outFeatures": weight.shape[0], "weight": weight}


def _neuron_datasets(neuron: Neuron | None, bias: IntArray) -> dict[str, Any]:
    lif = neuron if isinstance(neuron, LIF) else LIF(0)
    stock = {
        "type": "CUBA",
        "iDecay": int(lif.current_decay),
        "vDecay": int(lif.voltage_decay),
        "vThMant": int(lif.threshold) if lif is neuron else limits.READOUT_THRESHOLD,
        "refDelay": 1,
        "gradedSpike": False,
    }
    return {**({"bias": bias.astype(np.float32)} if bias.size else {}), "neuron": stock}


def _write_datasets(group: Any, datasets: Mapping[str, Any]) -> None:
    for name, value in datasets.items():
        if isinstance(value, Mapping):
            _write_datasets(group.create_group(name), value)
        elif isinstance(value, str):
            group.create_dataset(name, (1,), "S10", [value.encode("ascii")])
        else:
            large = isinstance(value, np.ndarray) and value.ndim > 1
            group.create_dataset(name, data=value, compression="gzip" if large else None)


def _write_record(group: Any, record: Mapping[str, Value]) -> None:
    for name, value in record.items():
        group.attrs[name] = np.bytes_(value.encode("ascii")) if isinstance(value, str) else value


def _layer_count(layers: Group) -> int:
    names = layers.names()
    for index in range(len(names)):
        if str(index) not in layers:
            raise layers.error(f"has {len(names)} members, but none called {index}")
    return len(names)


def _input(layers: Group, own: Group | None, input_shape: Shape | None, input_range: Range | None) -> Input:
    """The input that the file describes, with what it leaves out from the arguments."""
    first = layers.group("0")
    name = "input"
    try:
        if own:
            record = Record(own.attributes())
            if record.integer("version") != _VERSION:
                raise NetworkError(f"version {record.integer('version')} is not known here: expected {_VERSION}")
            name, input_range = record.text("input"), record.span("input_range")
        if first.text("type") == "input" and "neuron" in first:
            input_range = input_range or DIRECT_RANGE
        return Input(name, _input_shape(first, input_shape), input_range or SPIKES)
    except NetworkError as error:
        raise (own or layers).error(str(error)) from None


def _input_shape(first: Group, given: Shape | None) -> Shape:
    """What the file's first layer reads. Raises NetworkError where it does not say so and nothing is ``given``, or says
    another shape."""
    kind = first.text("type")
    sizes: list[int] = []
    if kind in ("dense", "dense_rec"):
        sizes = [positive(first, "inFeatures")]
    elif kind == "input":
        sizes = first.integers("shape").ravel()[:4].tolist()
    if 1 <= len(sizes) <= 3:
        stored = Shape(*sizes, *([1] * (3 - len(sizes))))
        if given not in (None, stored):
            raise NetworkError(f"says that its input is {stored}, not {given}: leave --input-shape out")
        return stored
    if given is None:
        reads = f", of which C is {first.integer('inChannels')}" if kind == "conv" and "inChannels" in first else ""
        raise NetworkError(
            f"begins with a layer of type {kind!r}, which does not say the shape of its input: pass "
            f"--input-shape C,H,W (channel, height, width{reads}), or input_shape= from Python"
        )
    return given


def _own_layers(layers: Group, count: int, source: Input) -> list[Layer]:
    """The layers of a file that this module wrote."""
    found: list[Layer] = []
    shape = source.shape
    for index in range(1, count):
        group = layers.group(str(index))
        if group.text("type") == "flatten":
            continue
        one = stored(group, shape)
        record = Record(group.attributes())
        try:
            exponent = record.integer("bias_exponent") if "bias_exponent" in record else None
            neuron = _neuron(group, one, exponent)
            synapse = raised(recorded_synapse(record), one.synapse)
            found += recorded_layers(record, found[-1].name if found else source.name, synapse, neuron)
            shape = one.synapse.output_shape((shape,))
        except NetworkError as error:
            raise group.error(str(error)) from None
    return found


def _neuron(group: Group, stored: Stored, bias_exponent: int | None) -> Neuron:
    """The stored neurons, with the recorded bias exponent where there is one."""
    decays = stored.current_decay, stored.voltage_decay
    try:
        if bias_exponent is None and (stored.threshold, *decays) == _READOUT:
            return Accumulator(stored.bias)
        if bias_exponent is None:
            return LIF(stored.threshold, stored.bias, limits.BIAS_EXPONENT_WEIGHT_UNITS, *decays)
        return LIF(stored.threshold, raised_bias(stored.bias, bias_exponent), bias_exponent, *decays)
    except NetworkError as error:
        raise group.error(str(error), "neuron") from None


def _check_record(layers: Group, count: int, network: Network) -> None:
    """Raises FormatError unless writing ``network`` again would give the file's datasets."""
    try:
        expected = _stock_layers(network)
    except NetworkError as error:
        raise layers.error(f"the recorded layers do not fit the stored ones: {error}") from None
    if len(expected) != count:
        raise layers.error(f"has {count} members, but the recorded layers need {len(expected)}")
    for index, layer in enumerate(expected):
        check_agrees(layers.group(str(index)), layer.datasets)
