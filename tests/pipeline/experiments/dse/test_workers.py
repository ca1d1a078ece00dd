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
from pipeline.experiments.dse.guard import ray_folder
from pipeline.experiments.dse.workers import RETRIES, Workers, call_all


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
    with pytest.raises(MonospikeError, match=r"install 'monospike\[plan\]', or search .* --workers 0"):
        call_all(print, {"one": ()}, Workers(1), print)


def test_a_cluster_that_does_not_answer_is_named():
    with pytest.raises(MonospikeError, match=r"--address 127\.0\.0\.1:1: no Ray cluster answers there"):
        call_all(print, {"one": ()}, Workers(0, "127.0.0.1:1"), print)


@pytest.fixture
def cluster(monkeypatch):
    """A cluster of this machine that runs already, as ``ray start`` makes it; its address and its processes."""
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    with socket.socket() as free:
        free.bind(("", 0))
        port = free.getsockname()[1]
    with ray_folder() as folder:
        command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block", f"--port={port}"]
        command += ["--num-cpus=1", "--include-dashboard=false", f"--temp-dir={folder}", "--disable-usage-stats"]
        command += ["--object-store-memory=100000000", "--node-ip-address=127.0.0.1"]
        started = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
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
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[4])}
    lost = subprocess.run(
        [sys.executable, script, address, str(head.pid)], env=environment, capture_output=True, text=True, timeout=280
    )
    kept, said = lost.stdout.splitlines()
    assert kept == "five 25"
    assert "the cluster has gone" in said
    assert "what is evaluated is kept" in said
