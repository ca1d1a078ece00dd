"""The notebooks run, and print what stands in them.

They are text in jupytext's percent format. A block ``text`` at the beginning of the Markdown behind a cell of code is
what that cell prints; ``...`` in it stands for anything.
"""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

import jupytext
import pytest

import netx

ROOT = Path(netx.__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.py"))
PRINTED = re.compile(r"```text\n(.*?)\n```", re.DOTALL)


def test_there_are_four() -> None:
    assert len(NOTEBOOKS) == 4


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_prints_what_stands_in_it(notebook: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    names: dict[str, object] = {"__name__": "__main__"}
    cells = jupytext.read(notebook, fmt="py:percent")["cells"]
    printed, said = "", 0
    for cell in cells:
        if cell["cell_type"] == "code":
            with contextlib.redirect_stdout(io.StringIO()) as output:
                exec(compile(cell["source"], notebook.name, "exec"), names)
            printed = output.getvalue()
        elif expected := PRINTED.match(cell["source"]):
            wanted = re.compile(re.escape(expected[1].rstrip()).replace(r"\.\.\.", ".*?"), re.DOTALL)
            assert wanted.fullmatch(printed.rstrip()), f"{expected[1]}\n--- but it prints\n{printed}"
            said += 1
    assert said >= 3
