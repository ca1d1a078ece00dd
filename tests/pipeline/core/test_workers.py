"""Calls on Ray: a worker that dies is replaced, and nothing that is done is lost."""

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from netx.errors import MonospikeError
from pipeline.core.progress import Progress
from pipeline.core.ray_guard import ray_folder
from pipeline.core.workers import HERE, RETRIES, Workers, call_all, cores, workers_asked


def _calls(folder):
    """A function that squares; ``dies`` is how often its worker is killed first."""

    def square(number, dies):
        before = len(list(folder.glob(f"{number}-*")))
        (folder / f"{number}-{before}").touch()
        if before < dies:
            os.kill(os.getpid(), signal.SIGKILL)
        if number < 0:
            raise ValueError("is negative")
        return number * number

    return square


def test_in_order_calls_are_told_in_order_until_one_fails_or_enough_is_known():
    calls = {"slow": (0.5,), "two": (0.0,), "bad": (-1.0,), "four": (0.0,)}

    def wait(seconds):
        time.sleep(seconds)
        return seconds

    told = []
    failed = call_all(wait, calls, Workers(2), lambda name, _: told.append(name), ordered=True)
    assert told == ["slow", "two"]
    assert failed == {"bad": "ValueError: sleep length must be non-negative"}
    told.clear()
    assert call_all(wait, calls, HERE, lambda name, _: told.append(name) or name == "two", ordered=True) == {}
    assert told == ["slow", "two"]


def test_a_worker_that_dies_is_retried_and_one_that_always_dies_is_named(tmp_path):
    calls = {"two": (2, 0), "three": (3, 1), "four": (4, RETRIES + 1), "minus one": (-1, 0), "five": (5, 0)}
    found = {}
    failed = call_all(_calls(tmp_path), calls, Workers(2), found.__setitem__)
    assert found == {"two": 4, "three": 9, "five": 25}
    assert set(failed) == {"four", "minus one"}
    assert f"its worker was lost {RETRIES + 1} times" in failed["four"]
    assert failed["minus one"] == "ValueError: is negative"
    times = {number: len(list(tmp_path.glob(f"{number}-*"))) for number in (2, 3, 4, 5)}
    assert times == {2: 1, 3: 2, 4: RETRIES + 1, 5: 1}


def test_without_workers_calls_are_made_here():
    found = {}
    assert call_all(lambda: os.getpid(), {"here": ()}, Workers(0), found.__setitem__) == {}
    assert found == {"here": os.getpid()}


def test_without_ray_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MonospikeError, match=r"install 'monospike\[plan\]', or stay in this process with --jobs 0"):
        call_all(print, {"one": ()}, Workers(2), print)


def test_without_ray_nobody_who_has_not_asked_for_workers_needs_it(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "ray", None)
    assert Workers(2, asked=False).for_calls(9, 60, Progress()) == HERE
    assert capsys.readouterr().out.startswith("Ray is not installed, so one core works")
    assert Workers(2).for_calls(9, 60, Progress()) == Workers(2)
    assert capsys.readouterr().out == ""


def test_ray_is_not_started_where_it_would_not_pay():
    def taken(workers, calls, seconds):
        return workers.for_calls(calls, seconds, Progress(quiet=True))

    assert taken(Workers(8, asked=False), 100, 600) == Workers(8, asked=False)
    assert taken(Workers(8, asked=False), 100, 2) == HERE
    assert taken(Workers(8), 100, 2) == Workers(8), "whoever asks for it gets it"
    assert taken(Workers(8), 3, 600) == Workers(3)
    for workers in (Workers(8), Workers(8, asked=False)):
        assert taken(workers, 1, 600) == HERE
    cluster = Workers(0, "somewhere:6379")
    assert taken(cluster, 1, 2) == cluster, "it runs already"


def test_one_job_is_this_process_unless_a_cluster_is_named():
    assert [workers_asked(jobs, None).here for jobs in (0, 1, 2)] == [True, True, False]
    assert workers_asked(None, None) == Workers(cores(), asked=False)
    assert workers_asked(1, "somewhere:6379") == Workers(1, "somewhere:6379")
    assert not workers_asked(1, "somewhere:6379").here
    with pytest.raises(MonospikeError, match="--jobs 0: is this process alone"):
        workers_asked(0, "somewhere:6379")


def test_a_cluster_that_does_not_answer_is_named():
    with pytest.raises(MonospikeError, match=r"--address 127\.0\.0\.1:1: no Ray cluster answers there"):
        call_all(print, {"one": ()}, Workers(0, "127.0.0.1:1"), print)


WITHOUT_TOKENS = {"RAY_AUTH_MODE": "disabled"}
"""For processes of their own: Ray keeps the mode of this one, and what it starts later in another does not answer."""


@pytest.fixture
def cluster():
    """A cluster of this machine that runs already, as ``ray start`` makes it; its address and its processes."""
    with socket.socket() as free:
        free.bind(("", 0))
        port = free.getsockname()[1]
    with ray_folder() as folder:
        command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block", f"--port={port}"]
        command += ["--num-cpus=1", "--include-dashboard=false", f"--temp-dir={folder}", "--disable-usage-stats"]
        command += ["--object-store-memory=100000000", "--node-ip-address=127.0.0.1"]
        environment = {**os.environ, **WITHOUT_TOKENS}
        started = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        yield f"127.0.0.1:{port}", started
        started.kill()
        started.wait()


def _wait_for(address):
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        with suppress(OSError):
            socket.create_connection((address.partition(":")[0], int(address.partition(":")[2])), 1).close()
            return
        time.sleep(0.1)
    raise AssertionError("the cluster did not start")


def test_on_a_cluster_a_lost_worker_is_replaced_and_a_lost_cluster_is_named(cluster, tmp_path):
    address, head = cluster
    _wait_for(address)
    found = {}
    calls = {"two": (2, 0), "three": (3, 1)}
    assert call_all(_calls(tmp_path), calls, Workers(0, address), found.__setitem__) == {}
    assert found == {"two": 4, "three": 9}
    assert head.poll() is None, "the cluster is not ours to end"

    script = Path(__file__).with_name("lose_cluster.py")
    environment = {**os.environ, **WITHOUT_TOKENS, "PYTHONPATH": str(Path(__file__).parents[3])}
    lost = subprocess.run(
        [sys.executable, script, address, str(head.pid)], env=environment, capture_output=True, text=True, timeout=280
    )
    kept, said = lost.stdout.splitlines()
    assert kept == "five 25"
    assert "the cluster has gone" in said
    assert "what is done is kept" in said
