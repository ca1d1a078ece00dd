"""What the documents name is there: files that they link to or quote, and the tests of their tables."""

import json
import re
from itertools import takewhile
from pathlib import Path

import numpy as np
import pytest

import netx
from netx import LIF, Dense, Input, Layer, Network
from netx.bundle import save
from pipeline.deploy.verdict import Verdict
from pipeline.planning.plan import Question, make_plan
from pipeline.planning.values import plan_values
from sim import engine
from sim.compare import compare
from sim.hardware import load_chip

ROOT = Path(netx.__file__).resolve().parents[1]
DOCUMENTS = [
    *(ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
QUOTED = re.compile(r"`((?:configs|docs|netx|pipeline|quantize|scripts|sim|tests)/[\w/.-]+\.(?:json|md|py|yaml))`")
LINKED = re.compile(r"\]\((?!\w+:)([^)#]+)")
NAMED = re.compile(r"`(\w+)`")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_files_that_a_document_names_are_there(document: Path) -> None:
    text = document.read_text()
    named = [ROOT / path for path in QUOTED.findall(text)] + [document.parent / path for path in LINKED.findall(text)]
    assert [str(path) for path in named if not path.exists()] == []


def test_the_readme_is_read_at_a_glance() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 120


def test_every_row_of_the_table_of_frameworks_has_its_tests() -> None:
    """A name that begins with ``_`` goes on the row's first one, or on its framework."""
    cases = re.findall(r'^    "(\w+)": \(', (ROOT / "tests/peers/test_writers.py").read_text(), re.MULTILINE)
    lines = (ROOT / "docs/exchange.md").read_text().splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("| `--from` | neuron |"))
    rows = list(takewhile(lambda line: line.startswith("|"), lines[start + 2 :]))
    assert len(rows) >= 16
    for row in rows:
        names = NAMED.findall(row.strip(" |").rpartition("|")[2])
        assert names, row
        assert names[0] in cases, row
        framework = names[0].partition("_")[0]
        for name in names[1:]:
            assert {name, names[0] + name, framework + name} & set(cases), (row, name)


@pytest.mark.parametrize(
    ("document", "least"), [("detection.md", 40), ("segmentation.md", 30), ("reference/quirks.md", 85)]
)
def test_every_row_of_the_tables_of_quirks_names_its_tests(document: str, least: int) -> None:
    """Each table whose last column is called test: every row names some, and all of them are there."""
    folders = (ROOT / "tests").rglob("test_*.py")
    there = {name for file in folders for name in re.findall(r"^def (test_\w+)", file.read_text(), re.MULTILINE)}
    lines = (ROOT / "docs" / document).read_text().splitlines()
    starts = [number for number, line in enumerate(lines) if re.fullmatch(r"\|.*\| test \|", line)]
    rows = [row for start in starts for row in takewhile(lambda line: line.startswith("|"), lines[start + 2 :])]
    assert len(rows) >= least
    for row in rows:
        names = NAMED.findall(row.strip(" |").rpartition("|")[2])
        assert names, row
        assert set(names) <= there, row


def test_keys_of_our_json_files_are_those_that_the_page_of_formats_lists(tmp_path: Path) -> None:
    layer = Layer("n", ("x",), Dense([[2, 4]]), LIF(3))
    network = Network((Input("x", (2, 1, 1)),), (layer,), ("n",))
    frames = {"x": np.ones((2, 2, 1, 1), np.uint8)}
    recording = engine.run(network, frames)
    plan = make_plan(network, frames, recording, Question("loihi1_sanafe", load_chip("loihi1_sanafe")))
    save(network, tmp_path / "folder")
    written = {
        "A folder": json.loads((tmp_path / "folder" / "manifest.json").read_text()),
        "map.json": plan.mapping.to_json(),
        "plan.json": plan_values(plan),
        "verification.json": Verdict(compare(network, frames, recording, [recording])).to_json(),
    }
    page = (ROOT / "docs/reference/formats.md").read_text()
    for heading, content in written.items():
        section = re.split(r"^#+ ", page.partition(f"# {heading}\n")[2], flags=re.MULTILINE)[0]
        rows = [line for line in section.splitlines() if line.startswith("| `")]
        assert {name for row in rows for name in NAMED.findall(row.split("|")[1])} == set(content), heading
