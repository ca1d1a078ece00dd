"""Several runs on one page, side by side: every figure of each stands in its column, and what differs is shown."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from browser import DESKTOP, PHONE, Browser

from pipeline.report.comparison.read import FinishedRun
from pipeline.report.comparison.rows import NONE, Table, tables


@pytest.fixture
def other(report: dict[str, Any]) -> dict[str, Any]:
    """The report of a run that differs: its engines did not agree, its integers are worse, a table is missing."""
    changed = copy.deepcopy(report)
    changed["verification"] |= {"identical": False, "file_differences": ["a <b>file</b> differs"]}
    changed["accuracy"]["integer"]["mean_iou"] = 0.25
    del changed["energy"]["loihi1_davies2018"]
    changed["config"] = {"name": "<i>other</i>", "seed": 8, "student": {"channels": [16, 24]}}
    changed["seed"] = 8
    return changed


@pytest.fixture
def written(tmp_path: Path, report: dict[str, Any], other: dict[str, Any]) -> Path:
    """A folder of both runs, ``one`` and ``two``."""
    for name, values in (("one", report), ("two", other)):
        (tmp_path / "runs" / name).mkdir(parents=True)
        (tmp_path / "runs" / name / "report.json").write_text(json.dumps(values), encoding="utf-8")
    return tmp_path


def of_title(found: list[Table], title: str) -> dict[str, list[str]]:
    """The texts of a table's cells by label."""
    [table] = [table for table in found if table.title == title]
    return {label: [cell.text for cell in cells] for label, cells in table.rows}


def test_every_figure_stands_in_its_runs_column_and_a_missing_one_is_a_dash(
    report: dict[str, Any], other: dict[str, Any]
) -> None:
    found = tables([FinishedRun(Path("one"), report), FinishedRun(Path("two"), other)])
    accuracy = of_title(found, "Accuracy")
    assert accuracy["mean iou, integer"] == [f"{report['accuracy']['integer']['mean_iou']:.4f}", "0.2500"]
    assert accuracy["frames"] == ["72", "72"]
    energy = of_title(found, "Energy of a frame")
    title = report["energy"]["loihi1_davies2018"]["title"]
    assert energy[title][1] == NONE != energy[title][0]
    work = of_title(found, "Network and work")
    assert work["neurons"] == [f"{report['network']['neurons']:,}"] * 2
    rows = {row["name"]: row for row in report["activity"]["layers"]}
    rates = of_title(found, "Spiking neurons by layer")
    tower = rows["tower"]["spikes"] / rows["tower"]["neurons"]
    assert rates["tower"] == [f"{tower:.1%}"] * 2
    assert of_title(found, "Settings that differ") == {"seed": ["7", "8"], "student.pixel_bits": ["5", NONE]}
    assert "Versions that differ" not in [table.title for table in found]


def test_a_bar_is_a_figures_share_of_its_row(report: dict[str, Any], other: dict[str, Any]) -> None:
    report["accuracy"]["integer"]["mean_iou"] = 0.5
    [accuracy, *_] = tables([FinishedRun(Path("one"), report), FinishedRun(Path("two"), other)])
    assert [cell.share for cell in dict(accuracy.rows)["mean iou, integer"]] == [1, 0.5]


def test_the_command_writes_one_page_in_which_text_of_files_is_text(monospike, written: Path) -> None:
    done = monospike("report", "--compare", "one", "runs/two", "--out", "both.html", cwd=written)
    assert done.returncode == 0, done.stderr
    page = (written / "both.html").read_text(encoding="utf-8")
    assert "Every spike is identical" in page
    assert "The files differ" in page
    assert "&lt;i&gt;other&lt;/i&gt;" in page
    assert "<i>other" not in page
    assert not {"http:", "https:", "<script", "src="} & set(page.split())


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda path: path.unlink(), "there is no such file; only finished deployments"),
        (lambda path: path.write_text("{"), "is no JSON"),
        (lambda path: path.write_text('{"network": {}}'), "is damaged or another release's"),
        (lambda path: path.write_text("[" * 100_000), "is no JSON"),
    ],
)
def test_a_run_without_a_report_or_of_another_release_is_one_line(monospike, written: Path, spoil, said: str) -> None:
    spoil(written / "runs" / "two" / "report.json")
    done = monospike("report", "--compare", "one", "two", "--out", "both.html", cwd=written)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "runs/two/report.json: " + said in done.stderr
    assert not (written / "both.html").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("one", "two"), "give --compare and two runs or more"),
        (("--compare", "one"), "takes two runs or more"),
        (("--compare", "one", "three"), "three: there is no such run"),
    ],
)
def test_what_cannot_be_compared_is_refused(monospike, written: Path, words: tuple[str, ...], said: str) -> None:
    done = monospike("report", *words, cwd=written)
    assert done.returncode == 2
    assert said in done.stderr


@pytest.mark.parametrize(("width", "dark"), [(PHONE, True), (DESKTOP, False)])
def test_everybody_can_read_it_on_every_screen(
    browser: Browser, monospike, written: Path, width: int, dark: bool
) -> None:
    monospike("report", "--compare", "one", "two", cwd=written)
    page = browser.open((written / "comparison.html").as_uri(), width, dark)
    assert page.accessibility() == []
    assert page.fits()
    assert page.problems() == []
    links = page.get("[...document.querySelectorAll('nav a')].map(link => 'a#' + link.getAttribute('href'))")
    reached = page.reached_by_tab()
    assert reached[: len(links)] == links
    assert len(reached) == len(links) + page.get("document.querySelectorAll('.scroll').length")
    page.close()
