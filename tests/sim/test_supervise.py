"""However a supervised command ends, nothing of it is left. The fixture ``traces`` asserts that after every test."""

import fcntl
import os
import shutil
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

import sim
from sim.supervise import Ending, job_folder, supervise, sweep

pytestmark = pytest.mark.usefixtures("traces")

ROOT = str(Path(sim.__file__).resolve().parents[1])

BREEDER = """
import os, subprocess, time
from multiprocessing import shared_memory
shared_memory.SharedMemory(os.environ["MONOSPIKE_JOB"] + "-segment", create=True, size=10)
subprocess.Popen(["sleep", "1000"])
subprocess.Popen(["sleep", "1000"], start_new_session=True)
open("ready", "w").close()
time.sleep(1000)
"""
"""A command that leaves as much behind as it can: children, one in another session, and shared memory."""

CALLER = f"""
import sys
from sim.supervise import job_folder, supervise
with job_folder() as job:
    ready = job.folder / "ready"
    supervise(job, [sys.executable, "-c", {BREEDER!r}], timeout=1000, watch=lambda: ready.exists() and print("ready"))
"""


def ending_of(command, timeout=60.0, watch=lambda _: None):
    with job_folder() as job:
        ending = supervise(job, command, timeout=timeout, watch=lambda: watch(job))
        return ending, job.failure() if ending is Ending.FAILED else None


def run_python(script, **options):
    return ending_of([sys.executable, "-c", script], **options)


def test_a_command_that_succeeds_is_done():
    assert run_python("pass") == (Ending.DONE, None)


def test_the_job_has_a_folder_of_its_own_that_holds_its_temporary_files(traces):
    with job_folder() as job:
        supervise(job, [sys.executable, "-c", "import tempfile; tempfile.mkstemp()"], timeout=60)
        assert job.folder.parent == traces.base
        assert [path.name for path in job.folder.iterdir() if path.name.startswith("tmp")] != []


def test_a_command_that_fails_is_reported_with_its_status_and_last_words():
    ending, (headline, details) = run_python("import sys; print('alas'); sys.exit(3)")
    assert ending is Ending.FAILED
    assert "status 3" in headline
    assert "alas" in headline
    assert details == "alas"


def test_a_command_that_is_killed_is_reported_with_the_signal():
    _, (headline, _) = run_python("import os; os.kill(os.getpid(), 9)")
    assert "signal 9" in headline


def test_a_command_that_does_not_exist_is_reported_by_name():
    _, (headline, _) = ending_of(["no-such-command"])
    assert "no-such-command" in headline


def test_a_reported_failure_ends_a_command_that_would_hang_and_the_first_report_counts():
    script = """
import pathlib, time
from sim.supervise import report_failure
report_failure(pathlib.Path.cwd(), "first", "more")
report_failure(pathlib.Path.cwd(), "second", "")
time.sleep(1000)
"""
    with job_folder() as job:
        command = [sys.executable, "-c", script]
        assert supervise(job, command, timeout=100, environment={"PYTHONPATH": ROOT}) is Ending.FAILED
        assert job.failure() == ("first", "more")


def test_a_command_past_its_time_is_killed_with_all_that_it_started(traces):
    assert run_python(BREEDER, timeout=1.5) == (Ending.TIMED_OUT, None)
    assert traces.left() == []


def test_a_command_that_ends_leaves_no_children(traces):
    script = BREEDER.replace("time.sleep(1000)", "")
    assert run_python(script) == (Ending.DONE, None)
    assert traces.left() == []


def test_an_exception_of_the_caller_passes_through_and_ends_the_job(traces):
    def watch(job):
        if (job.folder / "ready").exists():
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        run_python(BREEDER, watch=watch)
    assert traces.left() == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_caller_that_goes_away_takes_its_job_along(traces, number):
    caller = traces.start(CALLER)
    assert len(traces.members()) >= 3
    caller.send_signal(number)
    caller.communicate()
    traces.wait_until(lambda: not traces.left())


def test_a_supervisor_that_is_killed_is_replaced_by_its_caller(traces):
    def watch(job):
        if (job.folder / "ready").exists() and traces.members():
            traces.supervisor().kill()

    ending, (headline, _) = run_python(BREEDER, watch=watch)
    assert ending is Ending.FAILED
    assert "-9" in headline
    assert traces.left() == []


def test_what_is_left_when_both_are_killed_is_swept_up_by_the_next_job(traces):
    caller = traces.start(CALLER)
    supervisor = traces.supervisor()
    supervisor.suspend()
    caller.kill()
    caller.communicate()
    supervisor.kill()
    traces.wait_until(lambda: not supervisor.is_running() or supervisor.status() == "zombie")
    assert traces.left() != []
    with job_folder() as job:
        assert list(traces.base.iterdir()) == [job.folder]
        assert traces.members() == []


def test_sweeping_leaves_a_job_that_is_alive(traces):
    with job_folder() as job:
        sweep(traces.base)
        assert job.folder.is_dir()


def test_sweeping_does_not_wait_for_a_job_that_is_alive(traces):
    folder = traces.base / "monospike-another"
    folder.mkdir()
    (folder / ".monospike-job").touch()
    held = os.open(folder, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    sweep(traces.base)
    assert folder.is_dir()
    os.close(held)
    sweep(traces.base)
    assert not folder.exists()


def test_sweeping_leaves_a_users_own_folder_with_a_name_like_a_jobs(traces):
    kept = traces.base / "monospike-main" / "notes.txt"
    kept.parent.mkdir()
    kept.write_text("mine")
    sweep(traces.base)
    assert kept.read_text() == "mine"
    shutil.rmtree(kept.parent)


def test_the_supervisor_outlives_a_suspended_command(traces):
    def watch(job):
        if (job.folder / "ready").exists():
            for process in traces.members():
                with suppress(psutil.NoSuchProcess):  # it has ended since it was listed
                    process.suspend()
            time.sleep(0.05)

    assert run_python(BREEDER, timeout=2, watch=watch) == (Ending.TIMED_OUT, None)
    assert traces.left() == []
