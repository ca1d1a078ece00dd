"""The check of damaged files: goes on where it stopped, and finds what raises, hangs, takes too much or writes."""

import json
import signal
import subprocess
import sys
from itertools import pairwise

import h5py
import nir
import numpy as np
import pytest

from netx import FormatError
from pipeline.core.progress import Progress
from pipeline.core.workers import Workers
from pipeline.diagnostics.fuzz import reader as reading
from pipeline.diagnostics.fuzz.check import State, Trouble, Workplace, check
from pipeline.diagnostics.fuzz.reader import Outcome, Reader
from pipeline.diagnostics.fuzz.worker import answer

QUIET = Progress(quiet=True)


def test_a_check_is_remembered_and_gone_on_with(tmp_path):
    first = check(6, 100, tmp_path, QUIET)
    assert isinstance(first, State)
    assert (first.done, first.read + first.refused) == (6, 6)
    assert json.loads((tmp_path / "files.json").read_text())["done"] == 6
    more = check(8, 100, tmp_path, QUIET)
    assert isinstance(more, State)
    assert more.done == 8
    assert more.refused >= first.refused


def test_two_jobs_find_the_same_in_the_same_files_as_none_and_leave_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr("pipeline.diagnostics.fuzz.check._FILES_A_STATE", 8)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    found = [check(20, 100, tmp_path / str(jobs), QUIET, Workers(jobs)) for jobs in (2, 0)]
    assert found[0] == found[1] == State(100, 20, found[1].read, 20 - found[1].read)
    assert 0 < found[1].read < 20
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0", "2"]


def test_a_damaged_state_is_named(tmp_path):
    (tmp_path / "files.json").write_text("{")
    with pytest.raises(FormatError, match=r"files\.json: is not the state"):
        check(1, 0, tmp_path, QUIET)


def worker(tmp_path, monkeypatch, body):
    """The reading process replaced by a few lines."""
    script = tmp_path / "worker.py"
    script.write_text(f"import sys, json, os, signal, time\nfor line in sys.stdin:\n    {body}\n")
    start = reading.subprocess.Popen
    monkeypatch.setattr(reading.subprocess, "Popen", lambda command, **more: start([command[0], str(script)], **more))


@pytest.mark.parametrize(
    ("body", "ending"),
    [
        ("os._exit(3)", "crashed"),
        ("os.kill(os.getpid(), 11)", "crashed"),
        ("time.sleep(60)", "hung"),
        ("os.kill(os.getpid(), signal.SIGXCPU)", "hung"),
        ('print(json.dumps(["raised", "MemoryError"]), flush=True)', "raised"),
        ('open("left", "w").close(); print(json.dumps(["read", ""]), flush=True)', "raised"),
    ],
)
def test_what_no_file_may_do_is_found_and_left_for_the_user(body, ending, tmp_path, monkeypatch):
    worker(tmp_path, monkeypatch, body)
    monkeypatch.setattr(reading, "_SECONDS_TO_START", 2.0)
    monkeypatch.setattr(Reader.__init__, "__defaults__", (1.0,))
    found = check(3, 0, tmp_path / "check", QUIET)
    assert isinstance(found, Trouble)
    assert (found.number, found.outcome.ending) == (0, ending)
    left = tmp_path / "check" / "counterexample"
    assert sorted(path.name for path in left.iterdir()) == ["0.net", "what.txt"]


def test_the_real_reading_process_may_not_hold_more_than_a_gigabyte(tmp_path):
    """It is asked for its own limit, by a file that it is told to read in place of linting it."""
    probe = (
        "import resource, pipeline.diagnostics.fuzz.worker as worker\n"
        "worker.answer = lambda path: ('refused', str(resource.getrlimit(resource.RLIMIT_DATA)))\n"
        "worker.main()\n"
    )
    child = subprocess.run(
        [sys.executable, "-c", probe], input='"x.net"\n', capture_output=True, text=True, timeout=200, cwd=tmp_path
    )
    assert json.loads(child.stdout) == ["refused", str((1 << 30, 1 << 30))]


def test_the_real_reading_process_ends_when_a_file_keeps_it_busy(tmp_path):
    """The limit is of the processor's time, so that a file does not fail because the machine is busy with others."""
    probe = (
        "import pipeline.diagnostics.fuzz.worker as worker\n"
        "worker.SECONDS, worker.answer = 1, lambda path: any(iter(int, 1))\n"
        "worker.main()\n"
    )
    child = subprocess.run([sys.executable, "-c", probe], input='"x.net"\n', text=True, timeout=200, cwd=tmp_path)
    assert child.returncode == -signal.SIGXCPU


@pytest.mark.parametrize(("axes", "ending"), [(31, "read"), (257, "refused"), (1 << 21, "refused")])
def test_an_input_of_more_axes_than_an_array_can_have_is_refused_at_once(axes, ending, tmp_path):
    nodes = {"in": nir.Input(np.array([3])), "w": nir.Linear(np.ones((2, 3))), "n": nir.Threshold(np.full(2, 0.5))}
    nodes["out"] = nir.Output(np.array([2]))
    nir.write(tmp_path / "n.nir", nir.NIRGraph(nodes, list(pairwise(nodes))))
    with h5py.File(tmp_path / "n.nir", "r+") as file:
        del file["node/nodes/in/shape"]
        file["node/nodes/in/shape"] = np.append(np.ones(axes - 1, np.int8), np.int8(3))
    said = answer(tmp_path / "n.nir")
    assert said[0] == ending
    assert ending == "read" or f"Input 'in': has a shape of {axes} sizes, more than the 32" in said[1]


def test_a_refusal_without_words_is_not_clear():
    assert Outcome("read", "").clear
    assert Outcome("refused", "x.net: is damaged").clear
    assert not Outcome("refused", " ").clear
    assert not Outcome("hung", "no answer").clear


def test_the_bait_is_a_pipe_that_would_be_waited_for():
    place = Workplace()
    try:
        assert place.bait.is_fifo()
    finally:
        place.__exit__()
