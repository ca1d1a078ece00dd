"""The crops that a tracker takes on its way through a sequence, and what its networks do with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
import numpy.typing as npt

from netx import Network
from netx.errors import MonospikeError
from pipeline.core.task import Passage
from pipeline.datasets.video import Video
from pipeline.models.recorder import recording, slayer_twin
from pipeline.tasks.tracking.crop import Box
from pipeline.tasks.tracking.models.spiking import SpikingSiamFCpp
from pipeline.tasks.tracking.predictor import Pixels, ScoreMap, Scorer, Siamese
from pipeline.tasks.tracking.slayer_recording import Outputs, entering, search_outputs, template_outputs
from pipeline.tasks.tracking.tracker import check_box
from sim import engine
from sim.recording import Recording


@dataclass(frozen=True, eq=False)
class Programming:
    """One programming of the chip, and the frames that were searched with it.

    taken: number of the frame that the template is from. template: (1, 3, side, side). frames: numbers of those
    searched, all later. searches: a crop of each, (frame, 3, side, side). Pixels are as the tracking loop hands them to
    its network.
    """

    taken: int
    template: Pixels
    frames: tuple[int, ...]
    searches: Pixels


@dataclass(frozen=True)
class Selection:
    """Which frames are followed. most: frames after the first, None for all. every: one in so many is kept.
    reprogram: frames after which the target is taken anew, from the tracker's own box; None for never."""

    most: int | None = None
    every: int = 1
    reprogram: int | None = None


class _RecordingScorer:
    """A scorer that keeps the crops it is given."""

    def __init__(self, scorer: Scorer) -> None:
        self._scorer = scorer
        self.template: Pixels = np.empty(0, np.int8)
        self.search: Pixels = np.empty(0, np.int8)

    def program(self, template: Pixels) -> None:
        self.template = template
        self._scorer.program(template)

    def score(self, search: Pixels) -> ScoreMap:
        self.search = search
        return self._scorer.score(search)


def crops_of_sequence(
    tracker: Callable[[Scorer], Siamese],
    scorer: Scorer,
    video: Video,
    box: Box,
    selection: Selection,
    tick: Callable[[int], None],
) -> list[Programming]:
    """Follow ``box`` through ``video`` and return what the network was given, by programming.

    tracker: makes the tracking loop around a scorer. tick: called with the frames done. Raises DataError for a bad box,
    FormatError for a frame that cannot be had, MonospikeError when there is no frame after the first.
    """
    recorder = _RecordingScorer(scorer)
    loop = tracker(recorder)
    programmings: list[Programming] = []
    kept: dict[int, Pixels] = {}
    taken = 0

    def finish() -> None:
        if kept:
            searches = np.concatenate(list(kept.values()))
            programmings.append(Programming(taken, recorder.template, tuple(kept), searches))
        kept.clear()

    for number, frame in enumerate(video.frames()):
        if selection.most is not None and number > selection.most:
            break
        if number == 0:
            where = f"sequence {video.name!r}, frame 0"
            check_box(box, frame.shape[1], frame.shape[0], where, video.origin)
            loop.start(frame, box)
            continue
        box = loop.step(frame)
        if number % selection.every == 0:
            kept[number] = recorder.search
        if selection.reprogram is not None and number % selection.reprogram == 0:
            finish()
            loop.start(frame, box)
            taken = number
        tick(number)
    finish()
    if not programmings:
        raise MonospikeError(f"{video.name}: no frame after the first is left to check; take more frames")
    return programmings


class Passages:
    """What the networks of a student, of one time step, do with the crops of a sequence."""

    def __init__(self, student: SpikingSiamFCpp, network: Network) -> None:
        """network: its integers, both networks in one."""
        self._student, self._network = student.eval(), network
        self._on_chip = student.config.head == "chip"
        self._templates = network.template_network() if self._on_chip else network.subnetwork(["template_conv5"])

    def of(self, number: int, given: Programming) -> tuple[Passage, Passage]:
        """Those of one programming: its template, and the search network programmed with the spikes that came of it."""
        references = _References(self, given)
        return (
            Passage(
                "template",
                f"target-{number}-template",
                self._templates,
                (given.taken,),
                lambda _: self._inputs(self._templates, given.template),
                lambda _: references.to_template(self._templates),
            ),
            self._search(number, given, references),
        )

    def _search(self, number: int, given: Programming, references: _References) -> Passage:
        network = self._searching(given.template)
        return Passage(
            "search",
            f"target-{number}-search",
            network,
            given.frames,
            lambda now: self._inputs(network, given.searches[now]),
            partial(references.to_searches, network),
        )

    def _searching(self, template: Pixels) -> Network:
        """What the engine's template network sends is what the tracker programs; the passage before compares it."""
        if not self._on_chip:
            return self._network.subnetwork(["search_conv5"])
        spikes = engine.run(self._templates, self._inputs(self._templates, template)).spikes
        return self._network.programmed({name: spikes[name][0] for name in self._templates.outputs})

    def _inputs(self, network: Network, crops: Pixels) -> Mapping[str, npt.NDArray]:
        return {network.inputs[0].name: entering(self._student, crops)}

    @cached_property
    def forms(self) -> dict[str, SpikingSiamFCpp]:
        """The student by the name of who computes it, SLAYER first."""
        return {"slayer": slayer_twin(self._student), "plain": self._student}


class _References:
    """What every form of the student makes of the crops of one programming."""

    def __init__(self, passages: Passages, given: Programming) -> None:
        self._passages, self._given = passages, given

    @cached_property
    def _templates(self) -> dict[str, Outputs]:
        return {name: template_outputs(form, self._given.template) for name, form in self._passages.forms.items()}

    def to_template(self, network: Network) -> tuple[Recording, ...]:
        return tuple(recording(name, network, one.chip_input, one.tensors) for name, one in self._templates.items())

    def to_searches(self, network: Network, now: slice) -> tuple[Recording, ...]:
        result = []
        for name, form in self._passages.forms.items():
            one = search_outputs(form, self._templates[name].tensors, self._given.searches[now])
            result.append(recording(name, network, one.chip_input, one.tensors))
        return tuple(result)
