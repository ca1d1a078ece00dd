"""Calls on Ray: a worker that dies is replaced, and nothing that is done is lost."""

import os
import signal
import sys

import pytest

from netx.errors import MonospikeError
from pipeline.search.workers import RETRIES, Workers, call_all


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
