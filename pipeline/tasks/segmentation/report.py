"""What a run's report shows of segmentation: frames with masks over them, and J&F by frame."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib.figure import Figure
from PIL import Image

from netx.foreign import shown
from pipeline.core.boxes import Values
from pipeline.core.task import PageSection
from pipeline.datasets.label_masks import LabelMask, objects_in
from pipeline.report.drawing import gif
from pipeline.report.masked import with_masks
from pipeline.report.pictures import photograph
from pipeline.report.plots import BLUE, GREY, INK, ORANGE, svg
from pipeline.report.template import fragment
from pipeline.tasks.segmentation.baselines import STILL
from pipeline.tasks.segmentation.metrics.measures import contour_accuracy, region_similarities
from pipeline.tasks.segmentation.samples import MaskedSequence

Found = Mapping[str, Mapping[str, Sequence[LabelMask]]]
"""Masks by form, ``float``, ``integer`` and ``still``, and by sequence."""

ANIMATION = "segmentation.gif"

_SHOWN, _STRIP_FRAMES, _LONGEST, _PLOTTED = 3, 5, 240, 6
_MILLISECONDS, _GIF_FRAMES = 110, 60

_PICTURES = """
<p>The masks of the integer network over the frames, and below them those of the truth; the first frame's mask is given.</p>
<figure>
<div class="scroll" tabindex="0" role="group" aria-label="Animation"><picture><source srcset="{{ strips[0].rows[0][1][0].uri }}" media="(prefers-reduced-motion: reduce)"><img class="animation" src="{{ animation }}" alt="Animation of {{ strips[0].name }} with the masks of the integer network"></picture></div>
<figcaption>{{ strips[0].name }}: the integer network</figcaption>
</figure>
{% for strip in strips %}
<h3>{{ strip.name }}</h3>
{% for label, frames in strip.rows %}
<div class="scroll" tabindex="0" role="group" aria-label="{{ strip.name }}, {{ label }}">
<div class="strip">
{% for f in frames %}
<figure><img src="{{ f.uri }}" alt="{{ strip.name }}, frame {{ f.frame }}: masks of the {{ label }}"><figcaption>{{ label }}, frame {{ f.frame }}</figcaption></figure>
{% endfor %}
</div>
</div>
{% endfor %}
{% endfor %}
"""  # noqa: E501

_ACCURACY = """
{% from "parts.html.j2" import plot %}
<p>J&amp;F (0 to 1, higher is better) as DAVIS counts it, over the objects of {{ accuracy.sequences | number }} {{ "sequence" if accuracy.sequences == 1 else "sequences" }} ({{ accuracy.frames | number }} frames): J is intersection over union, F says how well contours lie; a first mask that never moves is what has to be beaten.</p>
<div class="pair">
<div>
<div class="scroll" tabindex="0"><table>
<thead><tr><th scope="col">segmenter</th><th scope="col" class="n">J&amp;F</th><th scope="col" class="n">J</th><th scope="col" class="n">F</th><th scope="col" class="n">against float</th></tr></thead>
<tbody>
{% for key, text in [("float", "float reference"), ("integer", "integer network"), ("still", "mask that never moves")] %}
<tr><th scope="row">{{ text }}</th>{% for name in ["j_and_f", "j", "f"] %}<td class="n">{{ "%.4f" | format(accuracy[key][name]) }}</td>{% endfor %}<td class="n">{{ "%+.4f" | format(accuracy[key].j_and_f - accuracy.float.j_and_f) if key != "float" else "–" }}</td></tr>
{% endfor %}
</tbody></table></div>
</div>
{{ plot(curves, "Line plot of J&F by frame of the float reference, the integer network and a mask that never moves") }}
</div>
"""  # noqa: E501


def page_sections(
    samples: Sequence[MaskedSequence], found: Found, accuracy: Mapping[str, Any]
) -> Iterator[PageSection]:
    """The sequences, and how well their objects were followed. accuracy: the scores of an ``Evaluation``."""
    shown = samples[:_SHOWN]
    animation = _animation(shown[0], found["integer"][shown[0].name])
    values: dict[str, Any] = {"strips": [_strip(one, found) for one in shown], "animation": photograph(*animation)}
    yield PageSection(
        "segmentation", "The followed objects", fragment(_PICTURES, values), "Masks", {ANIMATION: gif(*animation)}
    )
    values = {"accuracy": accuracy, "curves": Markup(_curves(samples[:_PLOTTED], found))}
    yield PageSection("accuracy", "J&F", fragment(_ACCURACY, values), "Accuracy")


def by_frame(true: Sequence[LabelMask | None], found: Sequence[LabelMask]) -> Values:
    """J&F of each frame, float64 (frame,), mean over the objects that are truly there or found; NaN where nobody knows
    the truth, or where there is nothing."""
    values = np.full(len(found), np.nan)
    for number, (theirs, ours) in enumerate(zip(true, found, strict=True)):
        objects = [] if theirs is None else sorted({*objects_in(theirs), *objects_in(ours)})
        if theirs is not None and objects:
            j = region_similarities(ours, theirs, objects)
            f = [contour_accuracy(ours == index, theirs == index) for index in objects]
            values[number] = (np.mean(j) + np.mean(f)) / 2
    return values


def _strip(sequence: MaskedSequence, found: Found) -> dict[str, Any]:
    """Evenly spaced frames."""
    chosen = np.unique(np.linspace(0, len(sequence.frames) - 1, _STRIP_FRAMES).round().astype(int)).tolist()
    rows = []
    for label, masks in (("integer network", found["integer"][sequence.name]), ("truth", sequence.masks)):
        frames = []
        for frame in chosen:
            mask = masks[frame]
            picture = with_masks(sequence.frames[frame], _nothing(sequence) if mask is None else mask, _LONGEST)
            frames.append({"frame": frame, "uri": photograph([picture])})
        rows.append((label, frames))
    return {"name": sequence.name, "rows": rows}


def _nothing(sequence: MaskedSequence) -> LabelMask:
    return np.zeros(sequence.frames[0].shape[:2], np.uint8)


def _animation(sequence: MaskedSequence, masks: Sequence[LabelMask]) -> tuple[list[Image.Image], int]:
    """Frames with masks, and how many milliseconds each is shown."""
    step = -(-len(masks) // _GIF_FRAMES)
    pictures = [with_masks(sequence.frames[frame], masks[frame], _LONGEST) for frame in range(0, len(masks), step)]
    return pictures, _MILLISECONDS * step


def _curves(samples: Sequence[MaskedSequence], found: Found) -> str:
    def draw(figure: Figure) -> None:
        axes = figure.subplots(len(samples), 1, squeeze=False)[:, 0]
        lines = ((STILL, GREY, ":", 1.5), ("float", BLUE, "-", 2.4), ("integer", ORANGE, "-", 1.2))
        for ax, one in zip(axes, samples, strict=True):
            for form, colour, style, width in lines:
                values = by_frame(one.masks, found[form][one.name])
                ax.plot(values, color=colour, linestyle=style, linewidth=width, label=form)
            ax.set(ylim=(0, 1.03), xlim=(0, max(len(one.frames) - 1, 1)), ylabel="J&F")
            ax.set_title(shown(one.name), loc="left", fontsize=10, parse_math=False)
            ax.grid(axis="y", color=INK, alpha=0.15)
        axes[-1].set_xlabel("frame")
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=3)

    return svg("j_and_f", 0.7 + 1.35 * len(samples), draw)
