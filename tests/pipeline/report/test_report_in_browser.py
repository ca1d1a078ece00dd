"""The pages of a run and of a search in a real browser: they open, every part can be reached and unfolded, by keyboard
as well, they fit a phone, and axe-core finds nothing that keeps anybody from reading them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from browser import DESKTOP, PHONE, Browser, Page

from netx import LIF, Accumulator, Conv2d, Input, Layer, Network, Range, Shape
from pipeline.core.config import read_config
from pipeline.core.progress import Progress
from pipeline.core.workers import Workers
from pipeline.experiments.dse.config import SearchConfig
from pipeline.experiments.dse.page import chip_fronts
from pipeline.experiments.dse.results import read_results
from pipeline.experiments.dse.run import run_search
from pipeline.planning.costs import cost_summary
from pipeline.planning.files import plan_svg
from pipeline.planning.plan import make_plans
from pipeline.planning.values import plan_values
from pipeline.report.figures import Figures, SpikeFrame
from pipeline.report.report import write_report
from pipeline.tasks.tracking.report import TrackedSequence, page_sections
from sim import engine
from sim.activity import count

CLICKS = """(() => {
  const seen = {links: [], folds: []};
  for (const link of document.querySelectorAll("nav a")) {
    link.click();
    const part = document.querySelector(link.hash);
    seen.links.push([link.hash, location.hash, part ? part.getBoundingClientRect().height : 0]);
  }
  for (const summary of document.querySelectorAll("summary")) {
    const fold = summary.parentElement, before = fold.open;
    summary.click();
    const after = fold.open;
    fold.open = true;
    seen.folds.push([summary.textContent, before !== after, fold.getBoundingClientRect().height]);
  }
  const sizes = [...document.querySelectorAll("p, td, li")].map(e => parseFloat(getComputedStyle(e).fontSize));
  seen.smallest = Math.min(...sizes);
  seen.pictures = [...document.images].every(image => image.complete && image.naturalWidth > 0);
  return seen;
})()"""
"""Clicks every link of the navigation and every fold, and leaves all folds open."""

SHORTENED = "document.querySelectorAll('tbody tr:nth-child(n+3)').forEach(row => row.remove())"
"""Rows of a table are alike, and contrast takes axe-core milliseconds a cell."""


@pytest.fixture(scope="module")
def searched(search_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished search."""
    folder = tmp_path_factory.mktemp("searched")
    run_search(read_config(search_file, SearchConfig), folder, Workers(0), "monospike search", Progress(quiet=True))
    return folder


@pytest.fixture(scope="module")
def report(searched: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole report of a small network on two chips, one of which it does not fit, and with a search."""
    rng = np.random.default_rng(0)
    layers = (
        Layer("conv1", ("x",), Conv2d(2 * rng.integers(-30, 36, (8, 3, 3, 3)), stride=2), LIF(301)),
        Layer("conv2", ("conv1",), Conv2d(2 * rng.integers(-30, 34, (12, 8, 3, 3))), LIF(201)),
        Layer("class", ("conv2",), Conv2d(2 * rng.integers(-30, 34, (1, 12, 1, 1))), Accumulator()),
    )
    network = Network((Input("x", Shape(3, 24, 24), Range(-16, 15)),), layers, ("class",))
    frames = {"x": rng.integers(-16, 16, (4, 3, 24, 24))}
    recording = engine.run(network, frames)
    costs = cost_summary(
        network, count(network, frames, recording), [recording], ["horowitz_45nm_fp32", "loihi1_davies2018"]
    )
    plans = make_plans(network, frames, recording, ["loihi2", "loihi1_sanafe"])
    boxes = np.tile([10.0, 10.0, 20.0, 20.0], (4, 1))
    pictures, ones = rng.integers(0, 256, (4, 60, 80, 3)).astype(np.uint8), np.ones(4)
    sequence = TrackedSequence("one", pictures, boxes, boxes, boxes, ones, ones, ones)
    crop = rng.integers(0, 256, (24, 24, 3)).astype(np.uint8)
    spikes = {name: values[0] for name, values in recording.spikes.items()}
    found = read_results(searched)
    chips = {plan.mapping.chip: plan_svg(plan) for plan in plans}
    accuracy = {
        **{name: {"mean_iou": 0.5} for name in ("float", "integer", "fixed_box")},
        **{"frames": 4, "sequences": 1},
    }
    frame = SpikeFrame({"template": crop, "search": crop}, spikes)
    sections = tuple(page_sections((sequence,), accuracy))
    figures = Figures({"mean IoU, integer": "0.500"}, sections, (frame,), chips, chip_fronts(found))
    compared = [{"name": layer.name, "spikes": 0, "differing": 0, "values": 1} for layer in layers]
    values = {
        **costs,
        "planning": {plan.mapping.chip: plan_values(plan) for plan in plans},
        "search": found,
        "verification": {
            **{"identical": True, "frames": 4, "engines": ["engine", "lava"]},
            **{"layers": compared, "first_divergence": None},
        },
        "accuracy": accuracy,
        **{"files": {}, "versions": {"monospike": "0"}, "seed": 1, "config": {}, "seconds": {"profile": 1.0}},
    }
    folder = tmp_path_factory.mktemp("report")
    write_report(folder, values, figures)
    return folder / "report.html"


def test_the_page_says_of_every_chip_whether_it_fits_what_it_costs_and_by_which_constants(report: Path) -> None:
    page = report.read_text(encoding="utf-8")
    planning = json.loads((report.parent / "report.json").read_text(encoding="utf-8"))["planning"]
    section = page[page.index('<section id="planning">') :]
    section = section[: section.index("</section>")]
    assert "Fits: " in section  # Loihi 2
    assert "Does not fit: " in section  # graded pixels on Loihi 1
    assert "graded spikes" in section
    assert section.count("<title>core ") == sum(plan["cores"] for plan in planning.values())
    for plan in planning.values():
        for constant in plan["constants"]:
            assert (
                constant["source"].replace("'", "&#39;").replace("&", "&amp;").replace("&amp;#39;", "&#39;") in section
            )
    assert "not published" in section  # what Loihi 2 takes for an operation


def test_the_page_shows_of_a_search_the_front_on_every_chip(report: Path, searched: Path) -> None:
    page = report.read_text(encoding="utf-8")
    section = page[page.index('<section id="search">') :]
    section = section[: section.index("</section>")]
    found = json.loads((searched / "search.json").read_text(encoding="utf-8"))
    assert json.loads((report.parent / "report.json").read_text(encoding="utf-8"))["search"] == found
    assert section.count("<svg") == len(found["chips"]) == 3
    by_number = {row["number"]: row for row in found["candidates"]}
    for front in found["fronts"].values():
        assert front["candidates"]
        for number in front["candidates"]:
            row = section[section.index(f'<th scope="row" class="n">{number}</th>') :]
            assert f"{by_number[number]['mean_iou']:.3f}" in row[: row.index("</tr>")]
    assert "Nothing is known to reckon energy or latency by" in section  # on Loihi 2


@pytest.mark.parametrize(("width", "dark"), [(PHONE, True), (DESKTOP, False)])
def test_a_browser_opens_the_page_clicks_through_its_parts_and_finds_no_error(
    browser: Browser, report: Path, width: int, dark: bool
) -> None:
    page = browser.open(report.as_uri(), width, dark)
    folds = _clicked_through(page, {"#tracking", "#energy", "#planning", "#search", "#provenance"})
    assert folds > 9
    page.get(SHORTENED)
    assert page.accessibility() == []
    page.close()


@pytest.mark.parametrize("width", [PHONE, DESKTOP])
def test_a_browser_opens_the_page_of_a_search_and_finds_no_error(browser: Browser, searched: Path, width: int) -> None:
    parts = {"#front", "#loihi2", "#loihi1_sanafe", "#horowitz_45nm_fp32", "#candidates", "#refused", "#provenance"}
    page = browser.open((searched / "search.html").as_uri(), width)
    folds = _clicked_through(page, parts)
    assert folds == 1
    page.close()


def test_the_keyboard_alone_reaches_every_part_of_the_page_and_unfolds_it(browser: Browser, report: Path) -> None:
    page = browser.open(report.as_uri())
    reached = page.reached_by_tab()
    links = page.get("[...document.querySelectorAll('nav a')].map(link => 'a#' + link.getAttribute('href'))")
    assert reached[: len(links)] == links
    assert reached.count("summary#") == page.get("document.querySelectorAll('summary').length")
    page.get("document.querySelector('details:not([open]) summary').focus()")
    page.press("Enter")
    assert page.get("document.activeElement.parentElement.open") is True
    page.close()


def _clicked_through(page: Page, parts: set[str]) -> int:
    """Click through ``page``, which has to have ``parts`` and to fit its screen. Returns how many folds it has."""
    seen = page.get(CLICKS)
    assert page.problems() == []
    assert parts <= {link[0] for link in seen["links"]}
    for hash_, landed, height in seen["links"]:
        assert landed == hash_
        assert height > 0, hash_
    assert all(toggled and height > 20 for _, toggled, height in seen["folds"])
    assert seen["pictures"]
    assert page.fits(), "something is wider than the screen"
    assert seen["smallest"] >= 12, "text is too small to read on a phone"
    return len(seen["folds"])


def test_the_checks_in_the_browser_find_what_is_spoilt(browser: Browser, report: Path, tmp_path: Path) -> None:
    spoilt = tmp_path / "spoilt.html"
    text = report.read_text(encoding="utf-8").replace('id="planning"', 'id="gone"')
    more = (
        '<p style="width: 2000px">wide</p><img src="http://127.0.0.1:9/elsewhere.png">'
        "<script>console.error('no'); missing()</script></main>"
    )
    spoilt.write_text(text.replace("</main>", more), encoding="utf-8")
    page = browser.open(spoilt.as_uri(), PHONE)
    seen, problems = page.get(CLICKS), page.problems()
    assert any("missing is not defined" in problem for problem in problems)
    assert any('"no"' in problem for problem in problems)
    assert "asked for http://127.0.0.1:9/elsewhere.png" in problems
    assert not page.fits()
    assert [height for hash_, _, height in seen["links"] if hash_ == "#planning"] == [0]
    page.close()


def test_the_check_of_accessibility_finds_pale_text_and_a_picture_without_one(browser: Browser, tmp_path: Path) -> None:
    spoilt = tmp_path / "spoilt.html"
    spoilt.write_text('<html lang="en"><title>x</title><p style="color: #bbb">pale</p><img src="data:,">')
    page = browser.open(spoilt.as_uri(), PHONE)
    found = page.accessibility()
    assert any(problem.startswith("color-contrast") and "#bbbbbb" in problem for problem in found)
    assert any(problem.startswith("image-alt") for problem in found)
    page.close()
