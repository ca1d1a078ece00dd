"""What a run's report shows of tracking: the sequences with all boxes, and the overlap with the true one by frame."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from markupsafe import Markup
from matplotlib.figure import Figure
from PIL import Image, ImageDraw

from netx.foreign import shown
from pipeline.core.task import PageSection
from pipeline.datasets.clip import Clip
from pipeline.report.drawing import FLOAT, INK, INTEGER, PAPER, TRUTH, font, gif, legend, outline
from pipeline.report.figures import ReportError
from pipeline.report.pictures import photograph
from pipeline.report.plots import BLUE, GREY, ORANGE, svg
from pipeline.report.plots import INK as PLOT_INK
from pipeline.report.template import fragment
from pipeline.tasks.tracking.accuracy import Tracks

ANIMATION = "tracking.gif"

_PANEL = 224
"""Height in pixels of one sequence in the animation and the film strip."""
_BAND, _LETTERS = 24, 15
_ANIMATED_SEQUENCES, _ANIMATED_FRAMES, _MILLISECONDS = 3, 60, 110
_STRIP_SEQUENCES, _STRIP_FRAMES = 3, 6
MAX_SEQUENCES = 6
"""Sequences that the plot of overlap shows."""

_TRACKING = """
{% from "parts.html.j2" import legend %}
<p>What the tracker sees and where it puts its box: the closer the boxes lie together, the better.</p>
{{ legend([("", colours.truth, "truth"), ("", colours.float, "float reference"), ("", colours.integer, "integer network")]) }}
<figure>
<div class="scroll" tabindex="0" role="group" aria-label="Animation"><picture><source srcset="{{ strips[0].frames[0].uri }}" media="(prefers-reduced-motion: reduce)"><img class="animation" src="{{ animation }}" alt="Animation of the tracked object with the true box in white, the float box in blue and the integer box in orange"></picture></div>
<figcaption>The IoU below each picture is that of the integer network.</figcaption>
</figure>
{% for strip in strips %}
<h3>{{ strip.name }}, IoU by frame</h3>
<div class="scroll" tabindex="0" role="group" aria-label="Frames of {{ strip.name }}">
<div class="strip">
{% for f in strip.frames %}
<figure><img src="{{ f.uri }}" alt="{{ strip.name }}, frame {{ f.frame }}, with true, float and integer boxes"><figcaption>frame {{ f.frame }}<br>float {{ "%.2f" | format(f.float) }}<br>integer {{ "%.2f" | format(f.integer) }}</figcaption></figure>
{% endfor %}
</div>
</div>
{% endfor %}
"""  # noqa: E501

_ACCURACY = """
{% from "parts.html.j2" import plot %}
<p>Mean intersection over union (IoU, 0 to 1, higher is better) with the true box: over the frames of each sequence after the first, at which the box is given, then over the {{ accuracy.sequences | number }} {{ "sequence" if accuracy.sequences == 1 else "sequences" }} ({{ accuracy.frames | number }} frames in all); a box that never moves is what has to be beaten.</p>
<div class="pair">
<div>
<div class="scroll" tabindex="0"><table>
<thead><tr><th scope="col">tracker</th><th scope="col" class="n">mean IoU</th><th scope="col" class="n">against float</th></tr></thead>
<tbody>
{% for key, text in [("float", "float reference"), ("integer", "integer network"), ("fixed_box", "box that never moves")] %}
<tr><th scope="row">{{ text }}</th><td class="n">{{ "%.4f" | format(accuracy[key].mean_iou) }}</td><td class="n">{{ "%+.4f" | format(accuracy[key].mean_iou - accuracy.float.mean_iou) if key != "float" else "–" }}</td></tr>
{% endfor %}
</tbody></table></div>
</div>
{{ plot(overlap, "Line plot of the intersection over union of the float, integer and fixed box with the true box, over the frames of %d sequences" % shown) }}
</div>
"""  # noqa: E501


@dataclass(frozen=True)
class TrackedSequence:
    """One sequence and where the trackers saw the object.

    frames: uint8, shape (frame, height, width, 3), RGB.
    truth, float_boxes, integer_boxes: shape (frame, 4): left, top, width, height in pixels.
    float_iou, integer_iou, fixed_iou: intersection over union with the true box, 0..1, shape (frame,); the last for a
        box that never moves.
    Raises ReportError when shapes do not fit together.
    """

    name: str
    frames: npt.NDArray[np.uint8]
    truth: npt.NDArray[np.float64]
    float_boxes: npt.NDArray[np.float64]
    integer_boxes: npt.NDArray[np.float64]
    float_iou: npt.NDArray[np.float64]
    integer_iou: npt.NDArray[np.float64]
    fixed_iou: npt.NDArray[np.float64]

    def __post_init__(self) -> None:
        if self.frames.ndim != 4 or self.frames.shape[3] != 3 or self.frames.dtype != np.uint8 or not len(self.frames):
            shape, kind = self.frames.shape, self.frames.dtype
            raise ReportError(
                f"sequence {self.name!r}: frames are {kind} of shape {shape}, expected uint8 (F, H, W, 3)"
            )
        count = len(self.frames)
        expected: dict[str, tuple[int, ...]] = dict.fromkeys(("truth", "float_boxes", "integer_boxes"), (count, 4))
        expected |= {"float_iou": (count,), "integer_iou": (count,), "fixed_iou": (count,)}
        for name, shape in expected.items():
            if np.shape(getattr(self, name)) != shape:
                got = np.shape(getattr(self, name))
                raise ReportError(f"sequence {self.name!r}: {name} has shape {got}, expected {shape}")
            if not np.isfinite(getattr(self, name)).all():
                raise ReportError(f"sequence {self.name!r}: {name} holds a value that is not finite")


def tracked(videos: Sequence[Clip], tracks: Sequence[Tracks]) -> tuple[TrackedSequence, ...]:
    """A run's sequences, each with its tracks."""
    return tuple(
        TrackedSequence(
            name=track.name,
            frames=video.stacked(),
            truth=track.truth,
            float_boxes=track.boxes["float"],
            integer_boxes=track.boxes["integer"],
            float_iou=track.overlaps("float"),
            integer_iou=track.overlaps("integer"),
            fixed_iou=track.overlaps("fixed_box"),
        )
        for video, track in zip(videos, tracks, strict=True)
    )


def page_sections(sequences: Sequence[TrackedSequence], scores: Mapping[str, Any]) -> Iterator[PageSection]:
    """The sections of the report's page. scores: as in report.json. Raises ReportError where there is no sequence."""
    if not sequences:
        raise ReportError("a report needs at least one tracked sequence")
    animation = _animated(sequences)
    colours = {"truth": TRUTH, "float": FLOAT, "integer": INTEGER}
    values: dict[str, Any] = {"colours": colours, "animation": photograph(*animation), "strips": _strips(sequences)}
    yield PageSection(
        "tracking", "The tracked sequence", fragment(_TRACKING, values), "Tracking", {ANIMATION: gif(*animation)}
    )
    shown = min(len(sequences), MAX_SEQUENCES)
    values = {"accuracy": scores, "overlap": Markup(overlap(sequences)), "shown": shown}
    yield PageSection("accuracy", "Accuracy", fragment(_ACCURACY, values))


def _animated(sequences: Sequence[TrackedSequence]) -> tuple[list[Image.Image], int]:
    """The first three sequences side by side, with boxes and a legend, and for how many milliseconds each picture is to
    be seen; every sequence plays to its end."""
    shown = sequences[:_ANIMATED_SEQUENCES]
    longest = max(len(sequence.frames) for sequence in shown)
    step = -(-longest // _ANIMATED_FRAMES)
    return [_side_by_side(shown, frame) for frame in range(0, longest, step)], _MILLISECONDS * step


def boxed_frame(sequence: TrackedSequence, frame: int) -> Image.Image:
    """One frame, enlarged or reduced to a common height, with the true, float and integer boxes."""
    height, width = sequence.frames.shape[1:3]
    scale = _PANEL / height
    picture = Image.fromarray(sequence.frames[frame]).resize((round(width * scale), _PANEL), Image.Resampling.BILINEAR)
    draw = ImageDraw.Draw(picture)
    # Widest first: where boxes lie on each other, each still shows beside the next.
    for boxes, colour, line in (
        (sequence.truth, TRUTH, 6),
        (sequence.float_boxes, FLOAT, 4),
        (sequence.integer_boxes, INTEGER, 2),
    ):
        outline(draw, boxes[frame] * scale, colour, line)
    return picture


def overlap(sequences: Sequence[TrackedSequence]) -> str:
    """Intersection over union of every frame of the first six sequences, as SVG."""

    def draw(figure: Figure) -> None:
        axes = figure.subplots(len(first), 1, squeeze=False)[:, 0]
        for ax, sequence in zip(axes, first, strict=True):
            ax.plot(sequence.fixed_iou, color=GREY, linestyle=":", label="box that never moves")
            ax.plot(sequence.float_iou, color=BLUE, linewidth=2.4, label="float")
            ax.plot(sequence.integer_iou, color=ORANGE, linewidth=1.2, label="integer")
            ax.set(ylim=(0, 1.03), xlim=(0, max(len(sequence.frames) - 1, 1)), ylabel="IoU")
            ax.set_title(shown(sequence.name), loc="left", fontsize=10, parse_math=False)
            ax.grid(axis="y", color=PLOT_INK, alpha=0.15)
        axes[-1].set_xlabel("frame")
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=3)

    first = sequences[:MAX_SEQUENCES]
    return svg("overlap", 0.7 + 1.35 * len(first), draw)


def _strips(sequences: Sequence[TrackedSequence]) -> list[dict[str, Any]]:
    """Evenly spaced frames of the first sequences."""
    strips = []
    for sequence in sequences[:_STRIP_SEQUENCES]:
        chosen = np.unique(np.linspace(0, len(sequence.frames) - 1, _STRIP_FRAMES).round().astype(int)).tolist()
        frames = [
            {
                "frame": frame,
                "float": float(sequence.float_iou[frame]),
                "integer": float(sequence.integer_iou[frame]),
                "uri": photograph([boxed_frame(sequence, frame)]),
            }
            for frame in chosen
        ]
        strips.append({"name": sequence.name, "frames": frames})
    return strips


def _side_by_side(sequences: Sequence[TrackedSequence], frame: int) -> Image.Image:
    panels = [_panel(sequence, min(frame, len(sequence.frames) - 1)) for sequence in sequences]
    gap = 4
    width = sum(panel.width for panel in panels) + gap * (len(panels) - 1)
    picture = Image.new("RGB", (width, _PANEL + 2 * _BAND), PAPER)
    left = 0
    for panel in panels:
        picture.paste(panel, (left, 0))
        left += panel.width + gap
    legend(ImageDraw.Draw(picture), 4, _PANEL + _BAND + 2, ("truth", "float", "integer"), _LETTERS)
    return picture


def _panel(sequence: TrackedSequence, frame: int) -> Image.Image:
    picture = boxed_frame(sequence, frame)
    panel = Image.new("RGB", (picture.width, _PANEL + _BAND), PAPER)
    panel.paste(picture, (0, 0))
    text = f"frame {frame}, IoU {sequence.integer_iou[frame]:.2f}"
    ImageDraw.Draw(panel).text((4, _PANEL + 4), text, INK, font(_LETTERS))
    return panel
