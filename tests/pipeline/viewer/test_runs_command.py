"""The list of runs says of each how far it is and what it has come to; what cannot be read is one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from netx.errors import MonospikeError
from netx.files import alone_in
from pipeline.core.files import write_json
from pipeline.viewer.run_state import StageState, read_run


def test_a_table_shows_every_run_with_its_verdict_and_scores(monospike, runs: Path) -> None:
    (runs / "verify").mkdir()  # where checks of sequences keep their parts: no run
    done = monospike("runs", "--runs", runs, cwd=runs)
    assert done.returncode == 0
    head, learns, small = done.stdout.splitlines()
    assert head.split()[:4] == ["run", "kind", "state", "verdict"]
    assert " ".join(learns.split()) == "learns training stopped – step 20 of 50"
    assert " ".join(small.split()) == "small deployment stopped, 7 of 8 identical mean IoU: integer 0.438"


def test_programs_get_stages_scores_and_verdict(monospike, runs: Path) -> None:
    done = monospike("runs", "--json", cwd=runs.parent)
    learns, small = json.loads(done.stdout)["runs"]
    assert small["identical"] is True
    assert small["scores"] == {"float": {"mean_iou": 0.5}, "integer": {"mean_iou": 0.4375}}
    assert [stage["state"] for stage in small["stages"]] == ["done"] * 7 + ["open"]
    assert (learns["kind"], learns["identical"], learns["progress"]) == ("training", None, "stopped")


def test_a_run_in_whose_folder_somebody_works_is_running_at_the_first_stage_without_a_record(runs: Path) -> None:
    folder = runs / "small"
    with alone_in(folder):
        found = read_run(folder)
        assert found.progress == "running"
        assert {stage.name: stage.state for stage in found.stages}["report"] is StageState.RUNNING
    assert read_run(folder).progress == "stopped"


def test_a_finished_training_shows_its_scores(runs: Path) -> None:
    write_json(runs / "learns" / "metrics.json", {"student": {"mean_iou": 0.625, "sequences": 3, "by_kind": {}}})
    found = read_run(runs / "learns")
    assert found.progress == "done"
    assert found.headline == "student: mean_iou 0.625"


def test_runs_of_other_releases_and_damaged_ones_are_told_in_a_line_among_the_others(monospike, runs: Path) -> None:
    old = runs / "old"
    (old / "stages").mkdir(parents=True)
    (old / "config.yaml").write_text("name: old\nstudent: {channels: [16]}\ntrain: {steps: 3}\n")
    (runs / "small" / "verify" / "verification.json").write_text('{"identical": "yes"}')
    (runs / "learns" / "metrics.json").write_text('{"\\u001b[2J": {"mean_iou": 0.5}}')
    lines = monospike("runs", cwd=runs.parent).stdout.splitlines()
    assert len(lines) == 4
    assert lines[1].endswith("\\u001b[2J: mean_iou 0.500"), "what would clear the screen is shown as its number"
    assert "unreadable" in lines[2]
    assert "old/config.yaml: is that of another release's run" in lines[2]
    assert "verification.json: damaged, or of another release" in lines[3]


@pytest.mark.parametrize(("name", "said"), [("missing", "there is no such folder"), ("empty", "is no run")])
def test_a_folder_that_is_no_run_is_refused(tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(MonospikeError, match=said):
        read_run(tmp_path / name)


def test_an_empty_folder_of_runs_and_a_missing_one_are_told_apart(monospike, tmp_path: Path) -> None:
    assert "holds no runs" in monospike("runs", "--runs", tmp_path, cwd=tmp_path).stdout
    missing = monospike("runs", cwd=tmp_path)
    assert missing.returncode == 2
    assert missing.stderr.startswith("monospike: runs: there is no such folder")
