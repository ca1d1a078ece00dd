"""What a training leaves to be looked at, and what it takes back when it goes on from an earlier step."""

from __future__ import annotations

import json

import pytest

from pipeline.training import logs
from pipeline.training.logs import Log, Stopwatch


def write(folder, first: int, steps: range, offset: float) -> Log:
    log = Log(folder, first)
    for step in steps:
        log.add(step, {"student/class": step + offset, "rate": 0.5})
    log.close()
    return log


def test_a_training_that_goes_on_takes_back_what_came_after_its_state(tmp_path):
    write(tmp_path, 0, range(1, 6), 0.0)
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write('{"step": 6, "stud')  # killed while it wrote
    write(tmp_path, 3, range(4, 7), 0.25)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["student/class"] for line in lines] == [1, 2, 3, 4.25, 5.25, 6.25]


def test_tensorboard_reads_the_same_curve_from_its_events(tmp_path):
    pytest.importorskip("tensorboard", reason="TensorBoard is not installed: pip install 'monospike[train]'")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    assert write(tmp_path, 0, range(1, 6), 0.0).has_tensorboard
    write(tmp_path, 3, range(4, 7), 0.25)
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    curve = {event.step: event.value for event in events.Scalars("student/class")}
    assert curve == {1: 1, 2: 2, 3: 3, 4: 4.25, 5: 5.25, 6: 6.25}
    assert len(events.Scalars("rate")) == 6


def test_what_is_flushed_can_be_read_though_the_log_is_never_closed(tmp_path):
    pytest.importorskip("tensorboard", reason="TensorBoard is not installed: pip install 'monospike[train]'")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    log = Log(tmp_path, 0)
    log.add(1, {"rate": 0.5})
    log.flush()
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert [(event.step, event.value) for event in events.Scalars("rate")] == [(1, 0.5)]


def test_speed_is_of_the_steps_since_the_last_look_and_of_no_validation(monkeypatch):
    clock = iter([100.0, 102.0, 105.0, 106.0])
    monkeypatch.setattr(logs.time, "monotonic", lambda: next(clock))
    stopwatch = Stopwatch(10)
    assert stopwatch.lap(20) == 5
    assert stopwatch.lap(20) == 0, "three seconds of validation"
    assert stopwatch.lap(22) == 2
