"""What a frame costs a model: operations of every layer of the search branch, which runs at every frame.

The template branch runs once a target and is left out. A student of one time step is counted on the spikes of its
integers on the exact engine; one of several steps has no network of integers, and is counted on the spikes of the
model itself, step by step, through the connections of the same weights at one step. Both ways count alike, as
``sim.activity`` does: every connection that exists, at the borders too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from netx import Network
from pipeline.core.operations import LayerWork, Recorded, Work
from pipeline.datasets.annotations import has_box
from pipeline.datasets.video import Video
from pipeline.models.config import LayerRole
from pipeline.tasks.tracking.checkpoint import Model
from pipeline.tasks.tracking.config import TrackerConfig
from pipeline.tasks.tracking.cost_table import cost_table
from pipeline.tasks.tracking.models.config import SiameseConfig, SiamFCppConfig, SpikingConfig
from pipeline.tasks.tracking.models.siamfcpp import SiamFCpp
from pipeline.tasks.tracking.models.spiking import SpikingSiamFCpp
from pipeline.tasks.tracking.models.to_network import to_network
from pipeline.tasks.tracking.predictor import search_pixels, template_pixels
from pipeline.tasks.tracking.scorer import crops_of, geometry_of
from pipeline.tasks.tracking.validation import RATE_FRAMES
from sim import engine
from sim.activity import count
from sim.recording import Recording

_TEACHER_BACKBONE = "backbone."
"""The attribute of the teacher that holds its backbone, whose layers are called after it."""


@dataclass(frozen=True, eq=False)
class View:
    """A target and where it is looked for: uint8 crops, template (1, 3, side, side), search (frame, 3, side, side)."""

    template: Tensor
    search: Tensor


def views(videos: Sequence[Video], config: SiameseConfig, settings: TrackerConfig) -> list[View]:
    """For each sequence its target and some frames, spread evenly, each cropped around the true box.

    settings: how crops are made, as saved with the model. Raises DataError or FormatError where a frame cannot be had.
    """
    geometry = geometry_of(config)
    result = []
    for video in videos:
        known = np.flatnonzero(has_box(video.boxes))
        chosen = set(known[np.linspace(0, len(known) - 1, RATE_FRAMES).astype(int)].tolist())
        search = []
        for index, frame in enumerate(video.frames()):
            if index == 0:
                template = crops_of(template_pixels(frame, video.boxes[0], geometry, settings))
            if index in chosen:
                search.append(crops_of(search_pixels(frame, video.boxes[index], geometry, settings)))
            if index >= max(chosen):
                break
        result.append(View(template, torch.cat(search)))
    return result


def work(model: Model, shown: Sequence[View]) -> Work:
    """What a search frame costs ``model``, on its integers where it spikes.

    Raises QuantizeError where a student's values are no integers, as ``to_network`` does.
    """
    if not isinstance(model, SpikingSiamFCpp):
        rows = _macs(model.config, "")
        return Work(1, rows, rows[0].macs)
    student = model.eval()
    recorded = (_by_engine if student.time_steps == 1 else by_model)(student, shown)
    return _work(student, recorded)


def by_engine(
    network: Network, template: npt.ArrayLike, search: npt.NDArray[np.int32], roles: Mapping[str, LayerRole]
) -> Recorded:
    """One time step of the search branch on the exact engine.

    network: both branches, of one time step. template, search: what enters the chip, (frame, channel, row, column).
    roles: of the layers, by name.
    """
    kernels: dict[str, npt.NDArray[np.uint8]] = {}
    if network.correlations():
        templates = network.template_network()
        spikes = engine.run(templates, {"template": template}).spikes
        kernels = {name: spikes[name][0] for name in templates.outputs}
    programmed = _search_network(network, kernels)
    return Recorded(programmed, search, engine.run(programmed, {"search": search}), _backbone(programmed, roles))


def _by_engine(student: SpikingSiamFCpp, shown: Sequence[View]) -> Iterable[Recorded]:
    """The one time step of each view."""
    network = to_network(student)
    for view in shown:
        yield by_engine(network, chip_input(student, view.template), chip_input(student, view.search), student.roles)


def by_model(student: SpikingSiamFCpp, shown: Sequence[View]) -> Iterable[Recorded]:
    """Every time step of each view, by the model in torch."""
    network = to_network(_single_step(student))
    for view in shown:
        with torch.inference_mode():
            target = student.program(view.template)
            answer = {**target, **student.respond(target, view.search)}
        inputs = chip_input(student, view.search)
        for step in range(student.time_steps):
            spikes = {name.removeprefix("spikes/"): _bits(t[step]) for name, t in answer.items() if "spikes/" in name}
            if student.config.encoder == "host":
                inputs = spikes["search_conv1"].astype(np.int32)
            kernels = {name: spikes[name][0] for name in spikes if name.endswith("_kernel")}
            search = _search_network(network, kernels)
            yield Recorded(search, inputs, _as_recording(search, spikes, len(inputs)), _backbone(search, student.roles))


def _work(student: SpikingSiamFCpp, recorded: Iterable[Recorded]) -> Work:
    """Sums over the time steps, means over the frames."""
    sums: dict[str, npt.NDArray[np.float64]] = {}
    neurons: dict[str, int] = {}
    frames = 0
    for one in recorded:
        activity = count(one.network, one.frames, one.recording)
        frames += activity.frames
        if student.config.encoder == "host":  # its spikes are the network's input
            _add(sums, "search_conv1", (np.count_nonzero(one.inputs), 0, 0, 0))
            neurons["search_conv1"] = one.inputs[0].size
        for layer in activity.layers:
            counts = (layer.spikes, layer.synops, layer.macs, layer.dense_macs)
            _add(sums, layer.layer, [values.sum() for values in counts])
            neurons[layer.layer] = layer.neurons if layer.layer in one.recording.spikes else 0
    frames //= student.time_steps  # every frame came once a step
    host = on_host(student)
    encoder = {row.layer: row.macs for row in host if row.layer in sums}
    roles = student.roles
    layers = []
    for name, total in sums.items():
        spikes, synops, macs, dense = (float(value / frames) for value in total)
        dense /= student.time_steps
        if name in encoder:
            macs, dense = encoder[name] * student.time_steps, encoder[name]
        layers.append(LayerWork(name, roles[name].part == "backbone", neurons[name], spikes, synops, macs, dense))
    # Both branches correlate by the same module, in two rows of one name.
    layers += [row for row in host if row.layer not in encoder]
    return Work(student.time_steps, tuple(layers), layers[0].macs / student.time_steps)


def _add(sums: dict[str, npt.NDArray[np.float64]], layer: str, counted: Sequence[float]) -> None:
    sums[layer] = sums.get(layer, np.zeros(len(counted))) + np.array(counted, np.float64)


def on_host(student: SpikingSiamFCpp) -> list[LayerWork]:
    """What the host does in real values: the encoder, under its layer's name, and neck, correlation and head."""
    rows: list[LayerWork] = []
    if student.config.encoder == "host":
        macs = _macs(student.config, "backbone.conv1")[0].macs
        rows += [LayerWork("search_conv1", True, 0, 0.0, 0.0, macs, macs)]
    if student.config.head == "host":
        rows += _macs(student.config, "matcher.")
    return rows


def _macs(config: SiameseConfig, prefix: str) -> tuple[LayerWork, ...]:
    """Convolutions of a search frame in the teacher of this layout whose names begin with ``prefix``."""
    teacher = SiamFCppConfig(**{key: getattr(config, key) for key in SiameseConfig.model_fields})
    _, rows = cost_table(SiamFCpp(teacher))
    return tuple(
        LayerWork(row.layer, row.layer.startswith(_TEACHER_BACKBONE), 0, 0.0, 0.0, float(row.macs), float(row.macs))
        for row in rows
        if row.layer.startswith(prefix)
    )


def _single_step(student: SpikingSiamFCpp) -> SpikingSiamFCpp:
    """The same weights at one time step, which become a network."""
    config: SpikingConfig = student.config.model_copy(update={"time_steps": 1})
    single = SpikingSiamFCpp(config)
    single.load_state_dict(student.state_dict())
    return single.eval()


def _backbone(network: Network, roles: Mapping[str, LayerRole]) -> tuple[str, ...]:
    return tuple(layer.name for layer in network.layers if roles[layer.name].part == "backbone")


def _search_network(network: Network, kernels: Mapping[str, npt.NDArray[np.uint8]]) -> Network:
    return network.programmed(kernels) if network.correlations() else network.subnetwork(["search_conv5"])


def chip_input(student: SpikingSiamFCpp, crops: Tensor) -> npt.NDArray[np.int32]:
    """What enters the chip at the first step, (frame, channel, row, column): pixels, or the encoder's spikes."""
    with torch.inference_mode():
        return student.chip_input(crops).numpy().astype(np.int32)


def _as_recording(network: Network, spikes: Mapping[str, npt.NDArray[np.uint8]], frames: int) -> Recording:
    """The spikes of a network's layers; its read-outs send nothing that would count, and are given as zeros."""
    names = [layer.name for layer in network.layers]
    silent = {name: np.zeros((frames, *network.shape(name)), np.int32) for name in names if name not in spikes}
    return Recording("model", {name: spikes[name] for name in names if name in spikes}, silent)


def _bits(spikes: Tensor) -> npt.NDArray[np.uint8]:
    return spikes.to(torch.uint8).numpy()
