"""``monospike study`` as its user runs it: stopped, gone on with, and read."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from pipeline.core.files import file_digest
from pipeline.core.provenance import code_digest
from pipeline.experiments.study.launcher import launcher_for

pytestmark = pytest.mark.timeout(600)


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@contextmanager
def interrupted_once(there: Path) -> Iterator[list[int]]:
    """Ctrl-C, once ``there`` exists; gives the processes that ran then."""
    seen: list[int] = []

    def interrupt() -> None:
        while not there.exists() and not over.is_set():
            time.sleep(0.02)
        if not over.is_set():
            seen.extend(children(launcher_for("tracking").pid))
            os.kill(os.getpid(), signal.SIGINT)

    over, watcher = threading.Event(), threading.Thread(target=interrupt)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    watcher.start()
    try:
        yield seen
    finally:
        over.set()
        watcher.join()
        signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="module")
def finished(monospike, tmp_path_factory, study_in) -> Path:
    """The file of a study that was stopped within its first training, gone on with, and has ended."""
    study_file = study_in(tmp_path_factory.mktemp("command"))
    values = yaml.safe_load(study_file.read_text())
    values["runs"] = {name: values["runs"][name] for name in ("teacher", "s4_kd")}
    values["runs"]["teacher"]["set"] = {"train.steps": 40}
    values["goals"] = [{"kind": "ratio", "of": "s4_kd", "to": "teacher", "at_least": 0.97}]
    del values["ablation"]
    study_file.write_text(yaml.safe_dump(values, sort_keys=False))
    teacher = study_file.parent / "runs" / "study" / "teacher" / "seed1"

    with interrupted_once(teacher / "state.safetensors") as running:
        stopped = monospike("study", study_file.name, "--seeds", 1, cwd=study_file.parent)
    assert "the same command goes on from here" in stopped.stderr
    assert stopped.returncode == 130
    assert len(running) == 1
    assert children(launcher_for("tracking").pid) == []
    assert not (teacher / "teacher.safetensors").exists()

    again = monospike("study", study_file.name, "--seeds", 1, cwd=study_file.parent)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "from step" in (teacher / "output.log").read_text()
    return study_file


def test_a_study_that_is_stopped_leaves_no_process_and_goes_on(finished):
    """Two runs of one seed. Stopped within the first training, the study ends as one that never was."""
    folder = finished.parent / "runs" / "study"
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


def test_what_is_done_is_not_done_again_where_only_names_have_changed(finished, monospike):
    """Scores stand by the checkpoint, what the benchmark shows, and the code: in the words of the studies before."""
    folder = finished.parent / "runs" / "study"
    written = folder / "s4_kd" / "seed1" / "evaluation" / "student-folder-2-starts-integer.from"
    root = str(finished.parent / "sequences")
    shown = {"name": "folder", "root": root, "starts": 2, "single_frame": 0, "forms": "deployed"}
    code = (f"pipeline.tasks.tracking.{name}" for name in ("metrics.evaluate", "trackers", "operations"))
    digest = file_digest(folder / "s4_kd" / "seed1" / "student.safetensors")
    assert written.read_text() == json.dumps([digest, "integer", shown, code_digest(*code)])

    values = yaml.safe_load(finished.read_text())
    values["runs"]["teacher"]["about"] = "called otherwise"
    values["runs"]["other"] = values["runs"]["s4_kd"]
    values["benchmarks"][1]["without"] = ["other"]
    (finished.parent / "renamed.yaml").write_text(yaml.safe_dump(values, sort_keys=False))
    again = monospike("study", "renamed.yaml", "--seeds", 1, "--only", "s4_kd", cwd=finished.parent)
    assert again.returncode == 0, again.stdout
    begun = [line for line in again.stdout.splitlines() if line.endswith(" ...")]
    assert begun == ["  teacher, seed 1 ...", "  s4_kd, seed 1 ..."], "which find that they are done"
    assert "is trained already" in (folder / "s4_kd" / "seed1" / "output.log").read_text()


def test_a_training_that_fails_is_told_and_the_rest_is_done(study_file, monospike):
    values = yaml.safe_load(study_file.read_text())
    values["runs"] = {"teacher": {**values["runs"]["teacher"], "seeds": [1]}, "s4_kd": values["runs"]["s4_kd"]}
    values["runs"]["teacher"]["set"] = {"data.0.pictures": "nowhere"}
    values["goals"], values["seeds"] = [], [1, 2]
    del values["ablation"]
    study_file.write_text(yaml.safe_dump(values, sort_keys=False))
    ended = monospike("study", study_file.name, cwd=study_file.parent)
    printed = ended.stdout
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
def test_what_there_is_not_is_named(study_file, monospike, arguments, complaint):
    ended = monospike("study", study_file.name, *arguments, cwd=study_file.parent)
    assert ended.returncode == 2
    assert complaint in ended.stderr
