"""Which part of a network runs on the chip, and which on the host beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy.typing as npt

from netx import Input, Network
from netx.errors import MonospikeError
from netx.types import SPIKES
from pipeline.core.operations import Recorded
from sim.activity import Activity, count
from sim.recording import Recording

Part: TypeAlias = Literal["chip", "host"]
"""Where a part of the model runs."""


@dataclass(frozen=True)
class HostSplit:
    """Where the first convolution runs, and where neck, correlation and head."""

    encoder: Part
    head: Part


@dataclass(frozen=True)
class Split:
    """A recorded time step, cut in two. frames: what enters the chip's part, by input. host: what the rest did."""

    network: Network
    frames: Mapping[str, npt.NDArray]
    recording: Recording
    activity: Activity
    host: Activity


def split(recorded: Recorded, place: HostSplit) -> Split:
    """Cut a time step by ``place``: the host computes the same integers that the chip would, and the chip is sent them.

    Raises MonospikeError where the network leaves no such choice: a part that was trained in real values cannot run on
    the chip.
    """
    whole = recorded.network
    on_chip = _chip_part(whole, recorded.backbone, place)
    values: dict[str, npt.NDArray] = {**recorded.frames, **recorded.recording.spikes}
    frames = {source.name: values[source.name] for source in on_chip.inputs}
    everything = count(whole, recorded.frames, recorded.recording)
    kept = {layer.name for layer in on_chip.layers}
    chip = tuple(layer for layer in everything.layers if layer.layer in kept)
    host = tuple(layer for layer in everything.layers if layer.layer not in kept)
    chip_activity, host_activity = (Activity(everything.frames, layers) for layers in (chip, host))
    return Split(on_chip, frames, recorded.recording, chip_activity, host_activity)


def _chip_part(network: Network, backbone: tuple[str, ...], place: HostSplit) -> Network:
    has_head = any(layer.name not in backbone for layer in network.layers)
    if place.head == "chip" and not has_head:
        raise MonospikeError("the head was trained in real values for the host: train a student with head: chip")
    if place.encoder == "chip" and network.inputs[0].range.binary:
        raise MonospikeError("the encoder was trained in real values for the host: train one with encoder: chip")
    if place.head == "host" and has_head:
        network = network.subnetwork([backbone[-1]])
    if place.encoder == "host":
        network = _without_encoder(network)
    return network


def _without_encoder(network: Network) -> Network:
    """The network without the layers that read graded pixels, whose spikes are its inputs now."""
    graded = {source.name for source in network.inputs if not source.range.binary}
    encoders = [layer for layer in network.layers if graded.intersection(layer.inputs)]
    names = {layer.name for layer in encoders}
    rest = tuple(layer for layer in network.layers if layer.name not in names)
    if not rest:
        raise MonospikeError("nothing is left for the chip: its only layer would be the encoder")
    inputs = [source for source in network.inputs if source.name not in graded]
    inputs += [Input(layer.name, network.shape(layer.name), SPIKES) for layer in encoders]
    return replace(network, inputs=tuple(inputs), layers=rest)
