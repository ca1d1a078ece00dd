"""``monospike study`` as its user runs it: stopped, gone on with, and read."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[4]


def command(study_file: Path, *arguments: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "pipeline", "study", study_file.name, *arguments],
        cwd=study_file.parent,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def alive(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def wait_for(what, seconds: float = 600) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.timeout(900)  # ten processes, each of which has torch to load
def test_a_study_that_is_stopped_leaves_no_process_and_goes_on(study_file):
    """Two runs of one seed. Stopped within the first training, the study ends as one that never was."""
    values = yaml.safe_load(study_file.read_text())
    values["runs"] = {name: values["runs"][name] for name in ("teacher", "s4_kd")}
    values["runs"]["teacher"]["set"] = {"train.steps": 40}
    values["goals"] = [{"kind": "ratio", "of": "s4_kd", "to": "teacher", "at_least": 0.97}]
    del values["ablation"]
    study_file.write_text(yaml.safe_dump(values, sort_keys=False))
    folder = study_file.parent / "runs" / "study"

    stopped = command(study_file, "--seeds", "1")
    state = folder / "teacher" / "seed1" / "state.safetensors"
    wait_for(lambda: state.exists() or stopped.poll() is not None)
    assert state.exists(), stopped.communicate()[0]
    (training,) = children(stopped.pid)
    stopped.send_signal(signal.SIGINT)
    assert "the same command goes on from here" in stopped.communicate(timeout=300)[0]
    assert stopped.returncode == 130
    assert not alive(training)
    assert not (folder / "teacher" / "seed1" / "teacher.safetensors").exists()

    again = command(study_file, "--seeds", "1")
    printed, _ = again.communicate(timeout=800)
    assert again.returncode == 0, printed
    assert "from step" in (folder / "teacher" / "seed1" / "output.log").read_text()
    results = json.loads((folder / "results.json").read_text())
    check_results(results, folder)
    check_pages(results, folder)


def check_results(results: dict, folder: Path) -> None:
    assert list(results["models"]) == ["teacher", "s4_kd"]
    assert results["seeds"] == [1]
    assert results["missing"] == []
    assert results["failed"] == {}
    scores = results["models"]["s4_kd"]["seeds"]["1"]["scores"]["folder"]
    evaluated = folder / "s4_kd" / "seed1" / "evaluation" / "student-folder-integer.json"
    assert scores["integer"]["mean_iou"] == json.loads(evaluated.read_text())["mean_iou"]
    assert list(scores["integer"]["sequences"]) == ["First", "Second"]
    check_several_starts(results, folder)
    check_single_frames(results, folder)
    teacher = results["models"]["teacher"]["summary"]["scores"]["folder"]
    assert list(teacher) == ["float"], "what doesn't spike has no integers"
    goal = results["goals"][0]
    expected = scores["integer"]["mean_iou"] / teacher["float"]["mean_iou"]["mean"]
    assert goal["value"] == pytest.approx(expected)
    assert goal["met"] is (expected >= 0.97)
    assert results["fixed"]["folder"]["mean_iou"] > 0.5, "the object hardly moves in four frames"
    assert 0 < results["models"]["s4_kd"]["summary"]["spike_rate"]["mean"] < 1


def check_several_starts(results: dict, folder: Path) -> None:
    """Runs from the first frame and from the last, of which each sequence has the mean."""
    (engine, scores), *others = results["models"]["s4_kd"]["seeds"]["1"]["scores"]["folder, 2 starts"].items()
    assert (engine, others) == ("integer", []), "in the form for the chip"
    evaluated = folder / "s4_kd" / "seed1" / "evaluation" / "student-folder-2-starts-integer.json"
    runs = {name: row["mean_iou"] for name, row in json.loads(evaluated.read_text())["sequences"].items()}
    assert list(runs) == ["First@0", "First@3-backwards", "Second@0", "Second@3-backwards"]
    assert scores["sequences"]["Second"] == pytest.approx((runs["Second@0"] + runs["Second@3-backwards"]) / 2)
    assert scores["mean_iou"] == pytest.approx(sum(runs.values()) / 4)
    assert "## folder, 2 starts" in (folder / "results.md").read_text()


def check_single_frames(results: dict, folder: Path) -> None:
    """Each sequence in three frames from its first frame, by the integers alone."""
    (engine, scores), *others = results["models"]["s4_kd"]["seeds"]["1"]["scores"]["folder, 3 single frames"].items()
    assert (engine, others) == ("integer", [])
    evaluated = json.loads(
        (folder / "s4_kd" / "seed1" / "evaluation" / "student-folder-3-single-frames-integer.json").read_text()
    )
    assert (evaluated["starts"], evaluated["single_frame"]) == (1, 3)
    assert scores["mean_iou"] == evaluated["mean_iou"]
    assert scores["sequences"] == {name: row["mean_iou"] for name, row in evaluated["sequences"].items()}
    assert (
        "3 frames of the whole sequence are searched for it, each around a box near the true one"
        in (folder / "results.md").read_text()
    )


def check_pages(results: dict, folder: Path) -> None:
    tables = (folder / "results.md").read_text()
    assert "monospike train runs/study/s4_kd/seed1/config.yaml --runs runs/study/s4_kd" in tables
    assert f"{results['models']['s4_kd']['summary']['scores']['folder']['integer']['success']['mean']:.3f}" in tables
    page = (folder / "report.html").read_text()
    assert page.count("<svg") >= 5, "scores, sequences, energies, and the curves of both runs"
    assert "student/feature_kd" in page
    assert 'src="http' not in page


def test_a_training_that_fails_is_told_and_the_rest_is_done(study_file):
    values = yaml.safe_load(study_file.read_text())
    values["runs"] = {"teacher": {**values["runs"]["teacher"], "seeds": [1]}, "s4_kd": values["runs"]["s4_kd"]}
    values["runs"]["teacher"]["set"] = {"data.0.pictures": "nowhere"}
    values["goals"], values["seeds"] = [], [1, 2]
    del values["ablation"]
    study_file.write_text(yaml.safe_dump(values, sort_keys=False))
    ended = command(study_file)
    printed, _ = ended.communicate(timeout=280)
    assert ended.returncode == 1, printed
    assert "teacher, seed 1 failed: nowhere: " in printed
    assert "s4_kd, seed 1 failed: needs 'teacher, seed 1', which failed" in printed
    results = json.loads((study_file.parent / "runs" / "study" / "results.json").read_text())
    assert results["missing"] == ["teacher, seed 1: not trained", "s4_kd, seeds 1, 2: not trained"]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--seeds", "9"], "--seeds 9: the study's are 1, 2"),
        (["--seeds", "one"], "--seeds one: expected whole numbers"),
        (["--only", "s5"], "there is no run 's5' in the study, only teacher, s4, s4_kd"),
    ],
)
def test_what_there_is_not_is_named(study_file, monkeypatch, capsys, arguments, complaint):
    from pipeline.cli import app as cli

    monkeypatch.chdir(study_file.parent)
    monkeypatch.setattr(sys, "argv", ["monospike", "study", str(study_file), *arguments])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 2
    assert complaint in capsys.readouterr().err
