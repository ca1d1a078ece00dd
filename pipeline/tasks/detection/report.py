"""What a run's report shows of detection: pictures with boxes, precision by recall, what was taken for what."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from markupsafe import Markup
from matplotlib.figure import Figure

from pipeline.core.task import PageSection
from pipeline.datasets.detection import DetectionSet
from pipeline.report.detected import with_objects
from pipeline.report.pictures import photograph
from pipeline.report.plots import BLUE, GREEN, GREY, ORANGE, svg
from pipeline.report.template import fragment
from pipeline.tasks.detection.metrics.scores import Drawn, drawn
from pipeline.tasks.detection.predictions import Detections

Found = Mapping[str, Mapping[int, Detections]]
"""Detections by form, ``float`` and ``integer``, and by picture."""

SHOWN = 6
"""Pictures in the report."""

LEAST_SCORE = 0.3
"""Of detections that pictures show, and that count among confusions. Ours."""

_LONGEST = 320

_PICTURES = """
<p>What the integer network finds with a score of at least {{ least }}, beside the true boxes, of which the float reference finds its own.</p>
{% for row in rows %}
<h3>{{ row.name }}</h3>
<div class="scroll" tabindex="0" role="group" aria-label="{{ row.name }}">
<div class="strip">
{% for text, picture in row.pictures %}
<figure><img src="{{ picture }}" alt="{{ row.name }} with boxes: {{ text }}"><figcaption>{{ text }}</figcaption></figure>
{% endfor %}
</div>
</div>
{% endfor %}
"""  # noqa: E501

_ACCURACY = """
{% from "parts.html.j2" import plot %}
<p>Average precision (0 to 1, higher is better) on {{ accuracy.images | number }} pictures with {{ accuracy.objects | number }} objects: mean over IoU from .5 to .95 (mAP), at .5, at .75, and Pascal VOC's of 2007.</p>
<div class="pair">
<div>
<div class="scroll" tabindex="0"><table>
<thead><tr><th scope="col">detector</th><th scope="col" class="n">mAP</th><th scope="col" class="n">at .5</th><th scope="col" class="n">at .75</th><th scope="col" class="n">VOC 2007</th></tr></thead>
<tbody>
{% for key, text in [("float", "float reference"), ("integer", "integer network")] %}
<tr><th scope="row">{{ text }}</th>{% for name in ["map", "map50", "map75", "voc07"] %}<td class="n">{{ "%.4f" | format(accuracy[key][name]) }}</td>{% endfor %}</tr>
{% endfor %}
</tbody></table></div>
<p>What the integer network takes each class for, with a score of at least {{ least }} and an IoU above .5:</p>
<div class="scroll" tabindex="0"><table>
<thead><tr><th scope="col">true class</th>{% for name in names %}<th scope="col" class="n">{{ name }}</th>{% endfor %}<th scope="col" class="n">not found</th></tr></thead>
<tbody>
{% for row in confusion %}
<tr><th scope="row">{{ names[loop.index0] if loop.index0 < names | length else "nothing" }}</th>{% for count in row %}<td class="n">{{ count | number }}</td>{% endfor %}</tr>
{% endfor %}
</tbody></table></div>
</div>
{{ plot(curves, "Precision of the integer network by recall, for each class, at an IoU of .5") }}
</div>
"""  # noqa: E501


def page_sections(pictures: DetectionSet, found: Found, accuracy: Mapping[str, Any]) -> Iterator[PageSection]:
    """The pictures, and how well objects in them were found. accuracy: the scores of an ``Evaluation``."""
    by_integers = drawn(pictures, found["integer"], LEAST_SCORE)
    yield PageSection(
        "detections", "Objects found", fragment(_PICTURES, {"rows": _rows(pictures, found), "least": LEAST_SCORE})
    )
    values = {
        "accuracy": accuracy,
        "names": pictures.classes,
        "confusion": by_integers.confusion.tolist(),
        "least": LEAST_SCORE,
        "curves": Markup(_curves(by_integers)),
    }
    yield PageSection("accuracy", "Average precision", fragment(_ACCURACY, values), "Accuracy")


def _rows(pictures: DetectionSet, found: Found) -> list[dict[str, Any]]:
    rows = []
    for picture in pictures.pictures[:SHOWN]:
        frame, names = picture.read(), pictures.classes
        texts = [names[index] for index in picture.classes]
        panels = {"truth": with_objects(frame, picture.boxes, picture.classes.tolist(), texts, _LONGEST)}
        for form, text in (("integer", "integer network"), ("float", "float reference")):
            answer = found[form][picture.id]
            sure = answer.scores >= LEAST_SCORE
            labels, scores = answer.classes[sure].tolist(), answer.scores[sure].tolist()
            texts = [f"{names[index]} {score:.2f}" for index, score in zip(labels, scores, strict=True)]
            panels[text] = with_objects(frame, answer.boxes[sure], labels, texts, _LONGEST)
        rows.append(
            {"name": picture.file.name, "pictures": [(text, photograph([panel])) for text, panel in panels.items()]}
        )
    return rows


def _curves(values: Drawn) -> str:
    def draw(figure: Figure) -> None:
        ax = figure.subplots()
        for index, (name, precision) in enumerate(values.precisions.items()):
            ax.plot(values.recalls, precision, color=(BLUE, ORANGE, GREEN, GREY)[index % 4], label=name)
        ax.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="recall", ylabel="precision")
        if values.precisions:
            ax.legend(loc="lower left")

    return svg("precision", 3.6, draw)
