"""``monospike doctor``: what is there works, what is taken away is missed, and what breaks does not break it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections import namedtuple
from importlib import metadata
from pathlib import Path

import pytest

from pipeline.diagnostics.doctor import examination, libraries, machine
from pipeline.diagnostics.doctor.finding import Examination, Finding, Status, one_line
from pipeline.diagnostics.doctor.output import as_text
from pipeline.diagnostics.doctor.probes import PROBES

ROOT = Path(__file__).parents[3]
Usage = namedtuple("Usage", "total used free")


def doctor(*words: str, before: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own. before: what is run there first."""
    start = f"{before}\nfrom pipeline.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", start, "doctor", *words],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.fixture(scope="module")
def here() -> subprocess.CompletedProcess[str]:
    return doctor("--json", "--seconds", "90")


@pytest.mark.lava
def test_what_the_tests_run_on_works(here: subprocess.CompletedProcess[str]) -> None:
    said = json.loads(here.stdout)
    found = {finding["key"]: finding for finding in said["findings"]}
    assert here.returncode == 0, here.stdout + here.stderr
    assert said["ready"] is True
    for key in ("python", "torch", "lava", "lava_run", "slayer", "norse", "numba", "shared_memory"):
        assert found[key]["status"] in ("works", "limited"), found[key]
    assert found["lava_run"]["status"] == "works"
    assert found["torch"]["facts"]["version"].partition("+")[0] == metadata.version("torch").partition("+")[0]
    assert found["lava"]["facts"] == {"lava-nc": metadata.version("lava-nc"), "lava-dl": metadata.version("lava-dl")}
    assert found["cores"]["facts"]["usable"] == len(os.sched_getaffinity(0))
    assert found["threads"]["facts"]["OMP_NUM_THREADS"] == "1"


def test_its_keys_are_those_of_the_document(here: subprocess.CompletedProcess[str]) -> None:
    said = json.loads(here.stdout)
    table, _, of_json = (ROOT / "docs/doctor.md").read_text().partition("## JSON")
    assert [finding["key"] for finding in said["findings"]] == re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)
    keys = re.findall(r"^\| `(\w+)` \|", of_json, re.MULTILINE)
    assert all(list(finding) == keys for finding in said["findings"])
    assert all(f"`{key}`" in of_json for key in said)
    assert all(f"`{status.value}`" in table for status in Status)


def test_without_lava_and_torch_it_ends_with_1_and_says_what_to_install(tmp_path: Path) -> None:
    """A finder that knows neither, in this process and in those it starts."""
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\n"
        "class Gone:\n"
        "    def find_spec(name, path=None, target=None):\n"
        "        if name in ('lava', 'norse', 'numba', 'ray', 'torch'):\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
        "sys.meta_path.insert(0, Gone)\n"
        "import importlib.util\n"
        "find = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, *more: None if name == 'lava' else find(name, *more)\n"
    )
    done = doctor(PYTHONPATH=f"{tmp_path}{os.pathsep}{ROOT}")
    assert done.returncode == 1, done.stderr
    lines = done.stdout.splitlines()
    absent = dict.fromkeys(("torch", "lava", "slayer", "norse"), "absent")
    for name, status in {**absent, "lava run": "skipped", "int8": "skipped"}.items():
        [line] = [line for line in lines if re.match(rf"{name}  ", line)]
        assert status in line
    assert sum("'monospike[lava]'" in line for line in lines) == 2
    assert [line.split()[1] for line in lines if line.startswith(("numba ", "ray "))] == ["absent", "absent"]
    assert lines[-1] == "the demo cannot run here: torch, lava, slayer, norse"
    assert done.stderr == ""


def test_a_library_that_crashes_or_complains_ends_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "ray.py").write_text("import os\nprint('last words')\nos.abort()\n")
    (tmp_path / "norse.py").write_text("raise RuntimeError('of\\nno \\x1b[31muse')\n")
    done = doctor("--json", "--without-lava-run", PYTHONPATH=f"{tmp_path}{os.pathsep}{ROOT}", OMP_NUM_THREADS="many")
    assert done.stderr == ""
    found = {finding["key"]: finding for finding in json.loads(done.stdout)["findings"]}
    assert (found["ray"]["status"], found["ray"]["says"]) == ("broken", "its process was killed by SIGABRT")
    assert (found["norse"]["status"], found["norse"]["says"]) == ("broken", "RuntimeError: of no [31muse")
    assert found["torch"]["status"] == "works"
    assert found["lava_run"]["status"] == "skipped"
    assert found["threads"]["do"] == "OMP_NUM_THREADS is no number: unset it"
    assert done.returncode == 1


def test_what_is_late_is_said_and_ended() -> None:
    start = time.monotonic()
    found = {finding.key: finding for finding in examination.examine(0.01, run_lava=False).findings}
    assert time.monotonic() - start < 10
    for name in PROBES:
        assert found[name].status is Status.BROKEN
        assert "did not answer in time" in found[name].says
    assert found["int8"].status is found["gpu"].status is Status.SKIPPED


def test_a_check_that_fails_itself_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "cores", lambda: 1 / 0)
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda _: {}["no such figure"])
    found = {f.key: f for f in examination.examine(0.01, run_lava=False).findings if f.key in ("cores", "disk")}
    assert found["cores"].status is found["disk"].status is Status.BROKEN
    assert "ZeroDivisionError" in found["cores"].says
    assert found["disk"].says == "it cannot be looked at: KeyError: 'no such figure'"


@pytest.mark.parametrize(("free", "status"), [(31, "broken"), (33, "limited"), (300, "works")])
def test_little_shared_memory_is_said_with_the_mend(
    free: int, status: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(400_000_000, 0, free * 1_000_000))
    found = machine.shared_memory(tmp_path)
    assert found.status.value == status
    assert found.says.startswith(f"{free} MB of 400 MB are free in ")
    assert ("--shm-size" in found.do) == (status != "works")
    assert Examination(None, (found,)).ready == (status != "broken")


def test_shared_memory_that_is_not_there_or_read_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert machine.shared_memory(tmp_path / "shm").status is Status.ABSENT

    def refuse(**_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(machine.tempfile, "TemporaryFile", refuse)
    assert machine.shared_memory(tmp_path).status is Status.BROKEN
    assert machine.disk().status is Status.BROKEN


@pytest.mark.parametrize(("free", "status"), [(299, "broken"), (301, "limited"), (5001, "works")])
def test_a_disk_that_is_nearly_full(free: int, status: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(0, 0, free * 1_000_000))
    assert machine.disk().status.value == status


def test_no_folder_for_temporary_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine.tempfile, "gettempdir", lambda: open("/nowhere/at/all"))  # noqa: PTH123, SIM115
    found = machine.disk()
    assert found.fatal
    assert "/nowhere/at/all" in found.says
    assert "TMPDIR" in found.do


@pytest.mark.parametrize(
    ("version", "status"),
    [((3, 9, 1), "limited"), ((3, 10, 2), "works"), ((3, 13, 0), "limited"), ((3, 14, 0), "limited")],
)
def test_pythons(version: tuple[int, ...], status: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine.sys, "version_info", version)
    found = machine.python()
    assert found.status.value == status
    assert ("never tested" in found.says) == (version[:2] in ((3, 9), (3, 14)))


def test_requirements_are_those_of_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = [
        "numpy>=1",
        "nosuchlibrary",
        "pip>=9999",
        'alsonot; extra == "plan"',
        "notonthis; python_version < '3'",
        'fordevelopers; extra == "dev"',
        'norhere; python_version < "3" and extra == "lava"',
    ]
    monkeypatch.setattr(metadata, "requires", lambda _: asked)
    found = libraries.installed()
    assert found.fatal
    assert found.says == f"nosuchlibrary is missing, pip {metadata.version('pip')} is not >=9999"
    assert found.facts["extra_plan"] == "alsonot is missing"
    assert set(found.facts) == {"core", "extra_plan"}
    monkeypatch.setattr(metadata, "requires", lambda _: ["numpy", *asked[3:]])
    assert libraries.installed().status is Status.LIMITED
    assert "monospike[plan]" in libraries.installed().do


def test_what_a_self_test_objects_to_is_said() -> None:
    answer = {"int8_objection": "wrong bits", "int8_s": 0.0, "float32_s": 0.0}
    assert libraries.int8(answer).says == "not used: wrong bits"
    slower = libraries.int8({"int8_objection": "", "int8_s": 2.0, "float32_s": 1.0})
    assert (slower.status, slower.fatal) == (Status.LIMITED, False)
    kept = libraries.numba({"version": "1", "cache": None, "objection": "no locator"})
    assert kept.status is Status.LIMITED
    assert "NUMBA_CACHE_DIR" in kept.do


def test_a_lava_that_fires_otherwise_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    import numpy as np

    from sim.recording import Recording

    def fires_always(*_: object, **__: object) -> Recording:
        return Recording("lava", {"y": np.ones((3, 2, 1, 1), np.uint8)}, {}, {})

    monkeypatch.setattr(examination.lava, "run", fires_always)
    found = examination.lava_run(Finding("lava", Status.WORKS, ""), 5)
    assert found.fatal
    assert found.says == "it fired [[1, 1], [1, 1], [1, 1]]"


def test_words_for_a_terminal() -> None:
    assert one_line("a\x1b[2J\n\tb\x00") == "a [2J b"
    assert len(one_line("x" * 999)) == 240
    said = as_text(Examination(None, (Finding("disk", Status.BROKEN, "full", "make room", needed=True),)))
    assert said.splitlines() == [
        "monospike (not installed)",
        "disk  broken   full",
        "               -> make room",
        "the demo cannot run here: disk",
    ]


def test_a_core_that_is_not_complete_is_said_in_a_line() -> None:
    done = doctor(before="import sys; sys.modules['h5py'] = None")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "monospike: h5py is not installed: `pip install h5py`, or monospike anew\n"
