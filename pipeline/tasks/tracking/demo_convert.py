"""The trained student as a Network of integers, and as the recordings that the network is checked against."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from netx import Correlation, Input, Layer, Network, Shape
from pipeline.tasks.tracking.crop import pixel_range
from pipeline.tasks.tracking.demo_student import Student
from quantize.slayer import read_accumulator, read_conv, read_lif, weight_units
from sim.recording import Recording


def to_network(student: Student) -> Network:
    """The student as one Siamese network: inputs template and search, outputs class, centre and box.

    Its integers are those that the quantised SLAYER modules run on. Raises QuantizeError where one is not an integer.
    """
    config = student.config
    sides = {"template": config.template, "search": config.search}
    pixels = pixel_range(config.pixel_bits)
    inputs = [Input(name, Shape(3, side, side), pixels) for name, side in sides.items()]
    branches = {name: _chain(student.backbone, _names(name, student), name) for name in sides}
    neuron = student.correlation
    correlation = Layer(
        "correlation",
        (branches["search"][-1].name, branches["template"][-1].name),
        Correlation(config.correlation.gain, config.correlation.copies),
        read_lif(neuron, neuron.norm.value, "correlation"),
    )
    tower = _chain(student.tower, tower_names(student), "correlation")
    readouts = [
        Layer(
            name, (tower[-1].name,), read_conv(synapse, name), read_accumulator(student.readout_bias[name].value, name)
        )
        for name, synapse in student.readouts.items()
    ]
    layers = [*branches["template"], *branches["search"], correlation, *tower, *readouts]
    return Network(tuple(inputs), tuple(layers), tuple(student.readouts))


def _chain(blocks: nn.ModuleList, names: list[str], source: str) -> list[Layer]:
    layers = []
    for name, block in zip(names, blocks, strict=True):
        neuron = read_lif(block.neuron, block.neuron.norm.value, name)
        layers.append(Layer(name, (source,), read_conv(block.synapse, name), neuron))
        source = name
    return layers


def _names(branch: str, student: Student) -> list[str]:
    return [f"{branch}_conv{index + 1}" for index in range(len(student.backbone))]


def tower_names(student: Student) -> list[str]:
    """Layer names of the tower, in order."""
    return [f"tower{index + 1}" for index in range(len(student.tower))]


@torch.inference_mode()
def record_template(student: Student, template: npt.NDArray[np.integer]) -> Recording:
    """What the quantised SLAYER modules do with template images (frame, 3, side, side)."""
    return _recording(zip(_names("template", student), student.backbone_spikes(_images(template)), strict=True), {})


@torch.inference_mode()
def record_search(
    student: Student, template_spikes: npt.NDArray[np.integer], search: npt.NDArray[np.integer]
) -> Recording:
    """What the quantised SLAYER modules do with search images (frame, 3, side, side) against one template's spikes.

    template_spikes: (channel, height, width). The recording holds search branch, correlation, tower and read-outs.
    """
    backbone = list(student.backbone_spikes(_images(search)))
    head = list(student.head_spikes(_images(template_spikes[None]), backbone[-1][0]))
    names = [*_names("search", student), "correlation", *tower_names(student)]
    return _recording(zip(names, backbone + head, strict=True), student.read(head[-1][0]))


def _images(array: npt.NDArray[np.integer]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))


def _recording(fired: Iterable[tuple[str, tuple[Tensor, Tensor]]], readouts: Mapping[str, Tensor]) -> Recording:
    spikes, membranes = {}, {}
    for name, (spike, voltage) in fired:
        spikes[name] = spike.to(torch.uint8).numpy()
        membranes[name] = weight_units(voltage, name)
    for name, voltage in readouts.items():
        membranes[name] = weight_units(voltage, name)
    return Recording("slayer", spikes, membranes)
