"""A study of detectors, from its file to its page: trained, distilled, scored on joined sets, judged."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from statistics import fmean

import pytest
import yaml
from drawn_pictures import SHAPES, draw_pictures

from pipeline.core.config import ConfigError
from pipeline.experiments.study.config import read_study
from pipeline.experiments.study.held_out import refuse_test_data
from pipeline.experiments.study.plan import Training, plan

pytestmark = pytest.mark.timeout(600)

MAPS = [{"features": f"features_{stride}", "stride": stride} for stride in (8, 16, 32)]


def training(model: str, architecture: dict) -> dict:
    return {
        "task": "detection",
        "name": model,
        "models": {model: {"architecture": {**architecture, "side": 64, "classes": 2}}},
        "losses": [{"kind": "detection", "model": model}],
        "data": {"sets": [{"root": "train"}], "augmentation": {"mosaic": 0, "mixup": 0, "multi_scale": 0}},
        "detector": {"classes": list(SHAPES)},
        "train": {"steps": 2, "batch": 2, "workers": 0, "log_every": 1, "blocks": "plain"},
        "validation": {"held_out": 0.25},
    }


STUDY = {
    "task": "detection",
    "name": "detectors",
    "seeds": [1, 2],
    "benchmarks": [
        {"name": "detection", "label": "all", "roots": ["first", "second"]},
        {"label": "second", "roots": ["second"], "forms": "deployed", "without": ["teacher", "none"]},
    ],
    "runs": {
        "teacher": {"config": "teacher.yaml", "seeds": [1]},
        "none": {"config": "none.yaml"},
        "fsd": {
            "like": "none",
            "weights": {"teacher": "teacher/teacher"},
            "losses": [
                {"kind": "fsd", "student": "student", "teacher": "teacher", "adapter": "align", "levels": MAPS},
            ],
        },
    },
    "goals": [
        {"kind": "above", "of": "fsd", "to": "none", "at_least": 0.016},
        {"kind": "rounding", "of": "fsd", "within": 0.005},
        {"kind": "spike_rate", "of": "none", "at_most": 0.15},
        {"kind": "energy", "of": "none", "to": "teacher", "at_most": 1.0},
        {"kind": "parameters", "of": "fsd", "to": "teacher", "at_least": 1.5},
    ],
}


def write_study(folder: Path, file: str = "study", **changes: object) -> Path:
    """The study's files beside its pictures; its own is called ``file``."""
    files = {
        "teacher": training("teacher", {"kind": "yolox", "size": "pico"}),
        "none": training("student", {"kind": "spiking_yolox", "width": "tiny"}),
        file: {**STUDY, **changes},
    }
    for name, values in files.items():
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(values, sort_keys=False))
    return folder / f"{file}.yaml"


def planned(path: Path) -> dict[str, Training]:
    return {one.name: one for one in plan(read_study(path), path.parent, Path("runs/detectors"), (1, 2), ())}


@pytest.fixture(scope="module")
def ended(monospike: Callable, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the study when it has ended."""
    folder = tmp_path_factory.mktemp("detectors")
    for index, (name, count) in enumerate((("train", 8), ("first", 3), ("second", 2))):
        draw_pictures(folder / name, count, index)
    done = monospike("study", write_study(folder).name, cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def results(ended: Path) -> dict:
    return json.loads((ended / "runs" / "detectors" / "results.json").read_text())


def scores(ended: Path, run: str, seed: int, file: str) -> dict:
    return json.loads((ended / "runs" / "detectors" / run / f"seed{seed}" / "evaluation" / file).read_text())


def test_models_are_scored_by_class_on_all_sets_as_one_and_on_each(ended: Path, results: dict) -> None:
    assert (results["missing"], results["failed"], results["fixed"]) == ([], {}, {})
    assert results["benchmarks"] == ["all", "second"]
    assert list(results["models"]) == ["teacher", "none", "fsd"]
    both, one = (scores(ended, "fsd", 2, f"student-{label}-integer.json") for label in ("all", "second"))
    assert (both["images"], one["images"]) == (5, 2)
    found = results["models"]["fsd"]["seeds"]["2"]["scores"]
    assert found["all"]["integer"]["map50"] == both["map50"]
    assert found["all"]["integer"]["classes"] == {name: both["per_class"][name]["map"] for name in SHAPES}
    assert list(found["second"]) == ["integer"], "in the form for the chip"
    teacher = results["models"]["teacher"]["summary"]["scores"]
    assert {name: list(forms) for name, forms in teacher.items()} == {"all": ["float"]}


def test_a_distilled_run_is_the_plain_one_and_what_it_is_distilled_from(ended: Path) -> None:
    by_name = planned(ended / "study.yaml")
    plain, distilled = by_name["none, seed 2"].config, by_name["fsd, seed 2"].config
    assert [term.kind for term in distilled.losses] == ["detection", "fsd"]
    assert (distilled.train, distilled.data, distilled.models["student"]) == (
        plain.train,
        plain.data,
        plain.models["student"],
    )
    teacher = distilled.models["teacher"]
    assert teacher.architecture == by_name["teacher, seed 1"].config.models["teacher"].architecture
    assert (teacher.trained, teacher.weights) == (False, "runs/detectors/teacher/seed1/teacher.safetensors")
    assert by_name["fsd, seed 2"].needs == ("teacher, seed 1",)
    logged = (ended / "runs" / "detectors" / "fsd" / "seed2" / "log.jsonl").read_text()
    assert "student/fsd_foreground" in logged


def test_goals_are_of_the_means_over_the_seeds(ended: Path, results: dict) -> None:
    above, rounding, rate, energy, parameters = results["goals"]
    by_run = {
        run: [scores(ended, run, seed, "student-all-integer.json")["map"] for seed in (1, 2)] for run in ("fsd", "none")
    }
    assert above["value"] == pytest.approx(fmean(by_run["fsd"]) - fmean(by_run["none"]))
    floats = [scores(ended, "fsd", seed, "student-all-float.json")["map"] for seed in (1, 2)]
    assert rounding["value"] == pytest.approx(max(abs(i - f) for i, f in zip(by_run["fsd"], floats, strict=True)))
    models = results["models"]
    assert rate["value"] == max(row["spike_rate"] for row in models["none"]["seeds"].values()) > 0
    spent, taken = (models[label]["summary"]["energy"]["full"]["fp32"]["mean"] for label in ("none", "teacher"))
    assert energy["value"]["full"] == pytest.approx(spent / taken)
    assert "held" not in energy["found"], "neither has several time steps"
    sizes = [models[label]["seeds"]["1"]["parameters"] for label in ("fsd", "teacher")]
    assert parameters["value"] == sizes[1] / sizes[0]


def test_a_spiking_detector_has_two_twins_that_cost_more(results: dict) -> None:
    row = results["models"]["none"]["seeds"]["1"]
    dense = sum(layer["dense_macs"] for layer in row["layers"])
    assert row["twins"]["int8"] == pytest.approx(0.23e-12 * dense)
    assert row["energy"]["full"]["int8"] < row["twins"]["binary"] < row["twins"]["int8"]
    assert results["models"]["teacher"]["summary"]["twins"] is None


def test_tables_and_page_speak_of_detection(ended: Path) -> None:
    folder = ended / "runs" / "detectors"
    tables, page = (folder / "results.md").read_text(), (folder / "report.html").read_text()
    assert "| model | form | mAP | mAP50 | mAP75 | seeds |" in tables
    assert "### mAP of each class" in tables
    assert "| class | teacher | none | fsd |" in tables
    assert "--root first --root second --model runs/detectors/none/seed1/student.safetensors --engine integer" in tables
    for text in (tables, page):
        assert "1-bit twin" in text
        assert not any(word in text for word in ("never moves", "sequence", "search branch", "S4-KD"))
    assert page.count("<svg") >= 6, "scores and classes of both, energies, and the curves of three runs"


def test_what_is_done_is_not_done_again(ended: Path, monospike: Callable) -> None:
    again = monospike("study", "study.yaml", "--evaluate-only", cwd=ended)
    assert again.returncode == 0
    assert not [line for line in again.stdout.splitlines() if line.endswith(" ...")]


def test_pictures_that_are_judged_on_are_not_trained_on(ended: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ended)
    study = read_study(ended / "study.yaml")
    refuse_test_data([planned(ended / "study.yaml")["none, seed 1"]], study.judge, study.benchmarks[0])
    for change in ({"data.sets.0.root": "second"}, {"validation.sets": [{"root": "second/images"}]}):
        values = {**STUDY["runs"]["none"], "set": change}
        path = write_study(ended, "changed", runs={**STUDY["runs"], "none": values})
        with pytest.raises(ConfigError, match=r"none, seed 1: reads second.*, where all lies .*second"):
            refuse_test_data([planned(path)["none, seed 1"]], study.judge, study.benchmarks[0])


def test_the_shipped_study_distils_the_plain_student_in_three_ways() -> None:
    path = Path(__file__).parents[4] / "configs" / "study_detection.yaml"
    trainings = {one.name: one.config for one in plan(read_study(path), path.parent, Path("runs"), (2,), ())}
    assert list(trainings) == [f"{run}, seed 2" for run in ("teacher", "none", "fsd", "cwd", "fgd")]
    plain, taught = trainings["none, seed 2"], {run: trainings[f"{run}, seed 2"] for run in ("fsd", "cwd", "fgd")}
    for config in taught.values():
        assert config.models["student"] == plain.models["student"]
        assert (config.train, config.data, config.detector) == (plain.train, plain.data, plain.detector)
        assert config.models["teacher"].architecture == trainings["teacher, seed 2"].models["teacher"].architecture
        assert config.losses[: len(plain.losses)] == plain.losses
    more = {run: config.losses[len(plain.losses) :] for run, config in taught.items()}
    assert [(term.kind, len(term.levels)) for run in ("fsd", "fgd") for term in more[run]] == [("fsd", 3), ("fgd", 3)]
    assert [term.name for term in more["cwd"]] == ["cwd_8", "cwd_16", "cwd_32"]
    [released] = more["fsd"]
    assert (released.attended_by, released.mask.axes, released.mask.sigma) == ("own", "own", "box"), "mended"


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"task": "nothing"}, "task: there is no task 'nothing'"),
        ({"task": "tracking"}, "benchmarks.0.label: Extra inputs are not permitted"),
        ({"benchmarks": [{"label": "all"}]}, "benchmarks.0.roots: Field required"),
        ({"benchmarks": [*STUDY["benchmarks"], STUDY["benchmarks"][0]]}, "benchmarks: two are 'all'"),
        (
            {"goals": [{"kind": "above", "of": "fsd", "to": "none", "figure": "mean_iou"}]},
            "no figure 'mean_iou', only map",
        ),
        ({"goals": [{"kind": "above_still"}]}, "above_still: detection has no answer that never changes"),
        (
            {"runs": {**STUDY["runs"], "none": {"config": "tracking.yaml"}}, "goals": []},
            "trains for the task 'tracking'; the study is of",
        ),
        (
            {"runs": {**STUDY["runs"], "fsd": {"like": "none", "weights": {"other": "teacher/student"}}}},
            "runs.fsd.weights.other: 'teacher/student': teacher has no model 'student', only teacher",
        ),
    ],
)
def test_what_does_not_fit_is_named(tmp_path: Path, change: dict, complaint: str) -> None:
    path = write_study(tmp_path, **change)
    tracking = {"kind": "siamfcpp", "width": "tiny", "template": 103, "search": 143}
    values = {
        "task": "tracking",
        "name": "t",
        "models": {"student": {"architecture": tracking}},
        "losses": [{"kind": "tracking", "model": "student"}],
        "data": [{"kind": "composed", "clips": 3}],
        "train": {"steps": 1},
    }
    (tmp_path / "tracking.yaml").write_text(yaml.safe_dump(values))
    with pytest.raises(ConfigError) as refused:
        planned(path)
    assert complaint in str(refused.value)


def test_a_root_that_is_not_there_and_a_cluster_are_told_before_anything_is_trained(
    ended: Path, monospike: Callable
) -> None:
    path = write_study(ended, "changed", benchmarks=[{"label": "all", "roots": ["nowhere"]}])
    gone = monospike("study", path.name, cwd=ended)
    assert gone.returncode == 2
    assert "nowhere" in gone.stderr
    away = monospike("study", "study.yaml", "--address", "somewhere:6379", cwd=ended)
    assert (away.returncode, away.stdout) == (2, "")
    assert "--address: detectors are evaluated on this machine" in away.stderr
