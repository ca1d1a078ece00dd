"""The format of a report: its files, the schema of its values, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.report.figures import Figures, ReportError
from pipeline.report.report import validate, write_report
from pipeline.report.schema import FILE, schema_text
from pipeline.tasks.tracking.report import TrackedSequence


def test_the_three_files_are_written_and_nothing_else(folder: Path, report: dict[str, Any]) -> None:
    assert sorted(path.name for path in folder.iterdir()) == ["report.html", "report.json", "tracking.gif"]
    assert json.loads((folder / "report.json").read_text()) == report


def test_the_same_report_gives_the_same_bytes(
    tmp_path: Path, folder: Path, report_and_figures: tuple[dict[str, Any], Figures]
) -> None:
    write_report(tmp_path, *report_and_figures)
    for name in ("report.html", "report.json", "tracking.gif"):
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()


@pytest.mark.parametrize(
    "key",
    [
        "network",
        "verification",
        "headroom",
        "activity",
        "energy",
        "accuracy",
        "files",
        "versions",
        "seed",
        "config",
        "seconds",
    ],
)
def test_a_report_without_one_of_its_sections_is_refused(report: dict[str, Any], key: str) -> None:
    validate(report)
    del report[key]
    with pytest.raises(ReportError, match=f"'{key}' is a required property"):
        validate(report)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("network", "neurons"), "many", r"\$\.network\.neurons"),
        (("network", "colour"), 1, r"colour"),
        (("verification", "identical"), 1, r"\$\.verification\.identical"),
        (("verification", "frames"), 0, r"\$\.verification\.frames"),
        (("accuracy", "float", "mean_iou"), 1.5, r"\$\.accuracy\.float\.mean_iou"),
        (("accuracy", "float", "mean_iou"), float("nan"), r"cannot be written as JSON"),
        (("files", "network", "sha256"), "abc", r"\$\.files\.network\.sha256"),
        (("energy", "loihi1_davies2018", "joules_per_frame", "low"), -1.0, r"low"),
        (("headroom",), {}, r"\$\.headroom"),
        (("config",), Path("here"), r"cannot be written as JSON"),
    ],
)
def test_a_report_with_a_wrong_value_is_refused_and_nothing_is_written(
    tmp_path: Path, report: dict[str, Any], report_and_figures: Any, path: tuple[str, ...], value: object, message: str
) -> None:
    *parents, last = path
    place = report
    for key in parents:
        place = place[key]
    place[last] = value
    with pytest.raises(ReportError, match=message):
        write_report(tmp_path / "run", report, report_and_figures[1])
    assert not (tmp_path / "run").exists()


def test_the_schema_describes_every_property() -> None:
    schema = json.loads(FILE.read_text())
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"

    def check(node: Any, where: str) -> None:
        for name, child in node.get("properties", {}).items():
            assert "description" in child or "$ref" in child, f"{where}.{name}"
            check(child, f"{where}.{name}")
        for key in ("items", "additionalProperties"):
            if isinstance(node.get(key), dict):
                check(node[key], f"{where}[]")

    check(schema, "$")
    for name, part in schema["$defs"].items():
        assert part["description"], name
        check(part, name)


def test_the_schema_in_the_package_is_that_of_the_model() -> None:
    assert FILE.read_text() == schema_text(), "python -m pipeline.report.schema writes it anew"


def test_a_sequence_whose_parts_do_not_fit_is_refused_by_name(tracked: Callable[..., TrackedSequence]) -> None:
    good = tracked("one", 1, 3)
    with pytest.raises(ReportError, match=r"'one': truth has shape \(2, 4\), expected \(3, 4\)"):
        TrackedSequence("one", good.frames, good.truth[:2], *2 * [good.truth], *3 * [good.float_iou])
    with pytest.raises(ReportError, match="not finite"):
        TrackedSequence("one", good.frames, *3 * [good.truth], *3 * [good.float_iou * np.nan])
