"""Chains of layers whose weights need a given number of bits, and what a mapping makes of them."""

import numpy as np

from netx import LIF, Conv2d, Dense, Flatten, Input, Layer, Network, Range, Shape
from sim.hardware import Chip, load_chip
from sim.mapping import Mapping, map_network


def even_weights(shape: tuple[int, ...], bits: int = 8) -> np.ndarray:
    """Even weights of both signs that need ``bits`` bits: lava-dl's form."""
    most = 1 << (bits - 1)
    weight = np.random.default_rng(0).integers(-most, most, shape) * 2
    weight.flat[0] = -2 * most
    if weight.size > 1:
        weight.flat[1] = 2
    return weight


def conv(
    inputs: int, outputs: int, stride: tuple[int, int] | int = 1, bits: int = 8, kernel: int = 3, padding: int = 1
):
    return Conv2d(even_weights((outputs, inputs, kernel, kernel), bits), stride, padding)


def chain(source: Shape, *synapses: object, spikes: bool = True) -> Network:
    """Layers one after the other, named a, b, c ...; full connections are flattened before."""
    layers: list[Layer] = []
    name = "input"
    for index, synapse in enumerate(synapses):
        if isinstance(synapse, Dense) and index and not isinstance(synapses[index - 1], Dense):
            layers.append(Layer(f"flat{index}", (name,), Flatten()))
            name = layers[-1].name
        layers.append(Layer("abcdefghijklm"[index], (name,), synapse, LIF(1)))
        name = layers[-1].name
    return Network((Input("input", source, Range(0, 1) if spikes else Range(-128, 127)),), tuple(layers), (name,))


def dense(inputs: int, outputs: int, bits: int = 8) -> Dense:
    return Dense(even_weights((outputs, inputs), bits))


def on(chip: str, network: Network, **options: int) -> Mapping:
    return map_network(network, load_chip(chip), chip, **options)


def cores(mapping: Mapping) -> list[int]:
    return [len(layer.cores) for layer in mapping.layers]


def words_a_core(mapping: Mapping) -> list[float]:
    return [layer.synapse_words / len(layer.cores) for layer in mapping.layers]


def small(chip: Chip, **values: int) -> Chip:
    """``chip`` with other limits."""
    assert chip.limits is not None
    changed = {name: getattr(chip.limits, name).model_copy(update={"value": value}) for name, value in values.items()}
    return chip.model_copy(update={"limits": chip.limits.model_copy(update=changed)})
