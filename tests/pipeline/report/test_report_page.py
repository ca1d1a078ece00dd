"""The page of a report: it is whole, loads nothing, and says what the report says."""

from __future__ import annotations

import html
import io
import json
import os
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from pipeline.core.task import PageSection
from pipeline.report.figures import Figures, ReportError
from pipeline.report.report import write_report
from pipeline.tasks.tracking.report import TrackedSequence

SECTIONS = ("verdict", "tracking", "accuracy", "verification", "headroom", "activity", "energy", "spikes", "network")


class Page(HTMLParser):
    """Gathers what the page refers to, and checks that what it opens it closes."""

    VOID = frozenset({"meta", "img", "br", "source", "link", "input", "hr"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.references: list[str] = []
        self.images_without_text: list[dict[str, str | None]] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if "id" in values:
            self.ids.append(values["id"] or "")
        self.references += [v or "" for k, v in attrs if k in ("src", "href", "srcset", "xlink:href", "data", "action")]
        self.references += [r for v in values.values() for r in re.findall(r"url\((.*?)\)", v or "")]
        if tag == "img" and not values.get("alt"):
            self.images_without_text.append(values)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag


def test_the_page_is_whole_and_loads_nothing(folder: Path) -> None:
    text = (folder / "report.html").read_text()
    page = Page(text)
    assert page.open == []
    assert text.rstrip().endswith("</html>")
    assert not re.search(r"<script|<link|<iframe|@import", text)
    assert page.references
    for reference in page.references:
        assert reference.startswith(("data:image/", "#")), reference[:80]
    css = text[text.index("<style>") : text.index("</style>")]
    assert "url(" not in css


def test_the_page_has_every_section_and_no_identifier_twice(folder: Path) -> None:
    page = Page((folder / "report.html").read_text())
    assert set(SECTIONS) | {"provenance"} <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))
    assert {reference[1:] for reference in page.references if reference.startswith("#")} <= set(page.ids)
    assert page.images_without_text == []


def test_the_page_says_in_words_that_everything_is_identical(folder: Path, report: dict[str, Any]) -> None:
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]*>", "", (folder / "report.html").read_text()))
    spikes = sum(layer["spikes"] for layer in report["verification"]["layers"])
    assert "Every spike is identical" in text
    assert f"slayer, engine, lava, norse ran the same 23 frames through {len(report['headroom'])} layers" in text
    assert f"All {spikes:,} spikes" in text


def test_a_divergence_is_the_headline(
    tmp_path: Path, report: dict[str, Any], tracked: Callable[..., TrackedSequence], figures_of: Callable[..., Figures]
) -> None:
    report["verification"] |= {
        "identical": False,
        "first_divergence": {
            "layer": "search_conv2",
            "neuron": {"channel": 3, "row": 1, "column": 2},
            "frame": 5,
            "values": {"engine": 153, "lava": -149},
            "cause": "threshold <tie>",
        },
    }
    report["verification"]["layers"][2]["differing"] = 4
    write_report(tmp_path, report, figures_of(report, tracked("one", 1, frames=2)))
    text = (tmp_path / "report.html").read_text()
    assert "The engines differ" in text
    assert "Every spike is identical" not in text
    assert "Frame 5, channel 3, row 1, column 2" in text
    assert "threshold &lt;tie&gt;" in text


def test_the_animation_has_one_picture_a_frame_with_the_boxes_in_their_colours(folder: Path) -> None:
    with Image.open(io.BytesIO((folder / "tracking.gif").read_bytes())) as gif:
        assert gif.n_frames == 24
        gif.seek(12)
        colours = {colour for _, colour in gif.convert("RGB").getcolors(1 << 24) or []}
    assert {(0xFF, 0xFF, 0xFF), (0x56, 0xB4, 0xE9), (0xE6, 0x6B, 0x00)} <= colours


def test_a_section_and_its_file_are_the_tasks_own(tmp_path: Path, report: dict[str, Any]) -> None:
    report["accuracy"] = {"float": {"accuracy": 0.9}, "integer": {"accuracy": 0.8}, "samples": 5}
    section = PageSection("confusion", "Confused <digits>", "<p>4 and 9</p>", files={"confusion.csv": b"4,9\n"})
    write_report(tmp_path, report, Figures({"accuracy": "80 %"}, (section,)))
    text = (tmp_path / "report.html").read_text()
    assert "<h2>Confused &lt;digits&gt;</h2>\n<p>4 and 9</p>" in text
    assert '<a href="#confusion">Confused &lt;digits&gt;</a>' in text
    assert "<dt>accuracy</dt><dd>80 %</dd>" in text
    assert (tmp_path / "confusion.csv").read_bytes() == b"4,9\n"
    with pytest.raises(ReportError, match=r"'report\.json': a section's file has to be called \*\.gif or"):
        write_report(tmp_path, report, Figures({}, (PageSection("x", "x", "", files={"report.json": b""}),)))


def test_a_report_of_the_fixed_keys_alone_is_enough(
    tmp_path: Path, report: dict[str, Any], tracked: Callable[..., TrackedSequence], figures_of: Callable[..., Figures]
) -> None:
    """Layers, totals and sources that the format does not ask for may be left out."""
    for layer in report["verification"]["layers"]:
        del layer["values"], layer["differing_by_engine"]
    report["energy"] = {
        name: {key: row[key] for key in ("joules_per_frame", "source")} for name, row in report["energy"].items()
    }
    del report["commands"], report["activity"]["dense_macs_per_frame"], report["activity"]["effective_synops_per_frame"]
    write_report(tmp_path, report, figures_of(report, tracked("one", 1, 1)))
    assert set(SECTIONS) <= set(Page((tmp_path / "report.html").read_text()).ids)


def test_a_file_that_differs_is_shown(
    tmp_path: Path, report: dict[str, Any], tracked: Callable[..., TrackedSequence], figures_of: Callable[..., Figures]
) -> None:
    report["verification"] |= {"identical": False, "file_differences": ["search.nir: layer 'tower': another weight"]}
    write_report(tmp_path, report, figures_of(report, tracked("one", 1, 1)))
    text = (tmp_path / "report.html").read_text()
    assert "The engines differ" not in text
    assert "another weight" in text


@pytest.mark.parametrize("name", [r"$\frac$ & <b>", os.fsdecode(b"\xff")])
def test_a_sequence_may_have_any_name_that_a_folder_can_have(
    tmp_path: Path,
    report: dict[str, Any],
    name: str,
    tracked: Callable[..., TrackedSequence],
    figures_of: Callable[..., Figures],
) -> None:
    report["config"] = {"dataset": name}
    write_report(tmp_path, report, figures_of(report, tracked(name, 1, 2)))
    shown = html.escape(name.encode("utf-8", "backslashreplace").decode(), quote=False)
    text = (tmp_path / "report.html").read_text()
    assert f"<h3>{shown}, IoU by frame</h3>" in text
    assert f">{shown}</text>" in text, "in the plot"
    assert json.loads((tmp_path / "report.json").read_text())["config"] == {"dataset": name}
