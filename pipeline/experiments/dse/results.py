"""The files of a search, and the results read back for the report of a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from netx.errors import FormatError
from netx.files import write_whole
from pipeline.core.files import write_json
from pipeline.experiments.dse.table import csv_text
from pipeline.report.report import validate_part

RESULTS, TABLE, PAGE = "search.json", "search.csv", "search.html"


def read_results(folder: Path) -> dict[str, Any]:
    """What ``monospike search`` left in its folder.

    Raises FormatError when there is no finished search, ReportError naming the place when its file is damaged.
    """
    path = folder / RESULTS
    try:
        results = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise FormatError(
            f"search: {path}: cannot be read ({error.strerror}); name the folder of a finished monospike search"
        ) from None
    except ValueError as error:
        raise FormatError(f"search: {path}: is not JSON ({error}); run the search again") from None
    validate_part("search", results, f"search: {path}")
    return dict(results)


def save_results(results: dict[str, Any], folder: Path) -> None:
    """Write the numbers as JSON and CSV."""
    write_json(folder / RESULTS, results)
    with write_whole(folder / TABLE) as temporary:
        temporary.write_text(csv_text(results), encoding="utf-8")
