"""A stage comes from the code that its function reaches, and from no other."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from pathlib import Path
from types import ModuleType

import pytest

from pipeline.core import provenance, reach
from pipeline.core.provenance import import_closure, modules_digest
from pipeline.core.reach import reached
from pipeline.deploy.steps import STEPS
from pipeline.tasks.tracking.task import Tracking

ROOT = Path(provenance.__file__).parents[2]


def forget() -> None:
    """What was read of files that a test changes."""
    for read in (provenance.source_of, provenance._imported, import_closure, modules_digest):
        read.cache_clear()
    for read in (reach._reached, reach._mentions, reach._parsed):
        read.cache_clear()


@pytest.fixture
def program(tmp_path, monkeypatch) -> Path:
    """A copy of the program, which is digested in its place."""
    for name in provenance.PROGRAM:
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("weights", "__pycache__"))
    monkeypatch.setattr(provenance, "_ROOT", tmp_path)
    forget()
    yield tmp_path
    forget()


def digests() -> dict[str, str]:
    modules_digest.cache_clear()  # comments change no code, and so nothing of what is reached
    return {step.name: modules_digest(*reached(step.function, Tracking)) for step in STEPS}


def test_a_change_outdates_the_stages_that_reach_it_and_no_other(program):
    before = digests()

    def changed(file: str, text: str = "# ,\n") -> set[str]:
        nonlocal before
        (program / file).write_text((program / file).read_text() + text)
        now = digests()
        different = {name for name in now if now[name] != before[name]}
        before = now
        return different

    for file in ("page.py", "plots.py", "page.css", "page.html.j2"):
        assert changed(f"pipeline/report/{file}", " ") == {"report"}, file
    assert changed("pipeline/tasks/tracking/report.py") == {"report"}
    for file in ("worker.py", "conv.py", "runner.py"):
        assert {"simulate"} <= changed(f"sim/lava/{file}") <= {"simulate", "report"}, file
    assert changed("pipeline/planning/plan.py") == {"profile", "report"}
    assert "train" in changed("pipeline/training/loop.py")
    assert {"train", "quantize", "export", "simulate"} <= changed("pipeline/tasks/tracking/models/spiking.py")
    assert set(before) == changed("pipeline/deploy/run.py"), "the run is handed to every stage"
    assert changed("pipeline/cli/lint.py") == set()


MODULE = """
from __future__ import annotations
import pipeline.core.seeds as seeds

class Base:
    def used(self): return helper()
    def unused(self):
        from pipeline.core import boxes
        return boxes

class Thing(Base):
    @property
    def early(self): return ORDER[0]
    def never(self):
        from pipeline.core import progress
        return progress

def helper():
    from pipeline.core.files import file_digest
    return file_digest

ORDER = (seeds.derived_seed,)

def root(thing: Thing):
    return getattr(thing, "used")(), thing.early
"""


@pytest.fixture
def module(tmp_path) -> ModuleType:
    """A file of a user's, imported."""
    path = tmp_path / "reach_example.py"
    path.write_text(MODULE)
    spec = importlib.util.spec_from_file_location("reach_example", path)
    assert spec is not None
    assert spec.loader is not None
    result = importlib.util.module_from_spec(spec)
    sys.modules["reach_example"] = result
    spec.loader.exec_module(result)
    yield result
    del sys.modules["reach_example"]
    forget()


def test_methods_count_by_name_and_tables_by_what_stands_in_them(module):
    found = set(reached(module.root))
    assert {"reach_example", "pipeline.core.files", "pipeline.core.seeds"} <= found
    assert not {"pipeline.core.boxes", "pipeline.core.progress"} & found


def test_a_users_file_is_digested_too(module):
    before = modules_digest(*reached(module.root))
    path = Path(module.__file__)
    path.write_text(path.read_text() + "\n# changed\n")
    forget()
    assert modules_digest(*reached(module.root)) != before


def test_a_program_that_is_started_by_its_name_is_part_of_what_starts_it():
    assert "sim.lava.worker" in import_closure("sim.lava")
    assert "sim.lava.timer" in import_closure("sim.lava.timing")
