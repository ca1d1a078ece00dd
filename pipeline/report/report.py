"""Writes the report of a run: checked against its schema, and every file whole."""

from __future__ import annotations

import json
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import jsonschema
from jsonschema.exceptions import best_match

from netx.files import write_whole
from netx.foreign import shown
from pipeline.report.figures import Figures, ReportError
from pipeline.report.page import render
from pipeline.report.schema import FILE

SECTION_FILES = ("*.gif", "*.png", "*.svg", "*.csv")
"""What the files of a task's sections may be called; they stand beside the page."""


def write_report(folder: Path, report: Mapping[str, Any], figures: Figures) -> None:
    """Write report.json, report.html and the files of its sections into ``folder``, which is made where it is missing.

    report: as ``schema.json`` describes it. report.html holds all it shows and loads nothing.
    Raises ReportError, naming the place, when ``report`` does not fit the schema, or a section's file is called what
    none may be called; then nothing is written.
    """
    text = validate(report)
    beside = {name: content for section in figures.sections for name, content in section.files.items()}
    for name in beside:
        if not any(fnmatchcase(name, pattern) for pattern in SECTION_FILES) or "/" in name:
            raise ReportError(f"{name!r}: a section's file has to be called {' or '.join(SECTION_FILES)}")
    page = render(report, figures)
    values = shown(text, lines=True)  # which in JSON stands for the same signs
    for name, content in {**beside, "report.html": page.encode(), "report.json": values.encode()}.items():
        with write_whole(folder / name) as path:
            path.write_bytes(content)


def validate(report: Mapping[str, Any]) -> str:
    """``report`` as JSON text. Raises ReportError, naming the place, when it does not fit the schema."""
    try:
        text = json.dumps(report, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    except (TypeError, ValueError) as error:
        raise ReportError(f"the report cannot be written as JSON: {error}") from None
    _check(json.loads(text), _schema(), "the report does not fit its schema")
    return text


def validate_part(name: str, value: Any, where: str) -> None:
    """Check JSON values as the report's part ``name``. Raises ReportError that says ``where`` and names the place."""
    schema = _schema()
    part = {**schema["properties"][name], "$defs": schema["$defs"]}
    _check(value, part, f"{where}: does not fit the report's schema")


def _schema() -> dict[str, Any]:
    return dict(json.loads(FILE.read_text(encoding="utf-8")))


def _check(value: Any, schema: Mapping[str, Any], complaint: str) -> None:
    validator = jsonschema.Draft202012Validator(schema)
    problems = sorted(validator.iter_errors(value), key=lambda error: error.json_path)
    if problems:
        # Where one of several forms would do, what is wrong with the one that comes closest.
        closest = [best_match([problem]) for problem in problems]
        lines = [f"{problem.json_path}: {problem.message}" for problem in closest if problem is not None]
        raise ReportError(f"{complaint}:\n  " + "\n  ".join(lines))
