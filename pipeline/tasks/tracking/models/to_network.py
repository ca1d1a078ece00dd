"""A trained single-step student as a Network of integers."""

from __future__ import annotations

from netx import LIF, Correlation, Input, Layer, Network, Pool, Shape, prove_headroom
from pipeline.models.pixels import pixel_range
from pipeline.models.to_network import check_single_step, readout_layer, spiking_layer
from pipeline.tasks.tracking.models.siamfcpp import BRANCHES, KERNELS, POOLED
from pipeline.tasks.tracking.models.spiking import READOUTS, SIDES, SpikingSiamFCpp
from quantize.slayer import read_lif


def to_network(student: SpikingSiamFCpp) -> Network:
    """What of the student runs on the chip, with head-room proven.

    Inputs: template and search, pixels of ``pixel_bits`` where the encoder is on the chip, else the encoder's spikes.
    Outputs: class, centre and box where the head is on the chip; else what the host goes on from, template_conv5 and
    search_conv5. Raises QuantizeError for a student of several time steps, or with a value that is no integer, and
    HeadroomError where an input could take an accumulator out of its range.
    """
    check_single_step(student.time_steps)
    inputs = tuple(_input(student, role) for role in SIDES)
    layers = [layer for role in SIDES for layer in _backbone(student, role)]
    outputs: tuple[str, ...] = ("template_conv5", "search_conv5")
    if student.config.head == "chip":
        layers += [layer for branch in BRANCHES for layer in _branch(student, branch)]
        layers += [_readout(student, name) for name in READOUTS]
        outputs = tuple(READOUTS)
    network = Network(inputs, tuple(layers), outputs)
    prove_headroom(network)
    return network


def _input(student: SpikingSiamFCpp, role: str) -> Input:
    config = student.config
    side = config.template if role == "template" else config.search
    if config.encoder == "chip":
        return Input(role, Shape(3, side, side), pixel_range(config.pixel_bits))
    kernel, stride = KERNELS[0]
    side = (side - kernel) // stride + 1
    return Input(role, Shape(config.width.backbone[0], side, side))


def _backbone(student: SpikingSiamFCpp, role: str) -> list[Layer]:
    layers: list[Layer] = []
    source = role
    for index in range(1, len(KERNELS) + 1):
        name, label = f"conv{index}", f"{role}_conv{index}"
        if index > 1 or student.config.encoder == "chip":
            layers.append(_conv(student, name, label, source))
            source = label
        if index in POOLED:
            label = f"{role}_pool{index}"
            layers.append(Layer(label, (source,), Pool((3, 3), (2, 2), weight=2), LIF(1)))  # the OR of nine spikes
            source = label
    return layers


def _branch(student: SpikingSiamFCpp, branch: str) -> list[Layer]:
    config = student.config
    kernel, search, correlation = (f"{branch}_{part}" for part in ("kernel", "map", "correlation"))
    neuron = student.neurons[correlation]
    layers = [
        _conv(student, kernel, kernel, "template_conv5"),
        _conv(student, search, search, "search_conv5"),
        Layer(
            correlation,
            (search, kernel),
            Correlation(config.correlation.gain, config.correlation.copies),
            read_lif(neuron, neuron.norm.value, correlation, single_step=True),
        ),
    ]
    for index in range(1, config.width.tower + 1):
        name = f"{branch}_tower{index}"
        layers.append(_conv(student, name, name, layers[-1].name))
    return layers


def _readout(student: SpikingSiamFCpp, name: str) -> Layer:
    source = f"{READOUTS[name][0]}_tower{student.config.width.tower}"
    return readout_layer(name, source, student.synapses[name], student.biases[name].value)


def _conv(student: SpikingSiamFCpp, name: str, label: str, source: str) -> Layer:
    synapse = student.synapses[name]
    if name not in student.neurons:
        return readout_layer(label, source, synapse)
    return spiking_layer(label, source, synapse, student.neurons[name])
