"""What a study's file says is trained: which runs, from what, with which losses and seeds."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from pipeline.core.config import ConfigError
from pipeline.experiments.study.config import read_study
from pipeline.experiments.study.held_out import refuse_test_data
from pipeline.experiments.study.judging import evaluations_of
from pipeline.experiments.study.plan import Training, plan
from pipeline.tasks.tracking.judging import TrackingBenchmark, TrackingJudge


def planned(path: Path, seeds: tuple[int, ...] = (1, 2), only: tuple[str, ...] = ()) -> list[Training]:
    return plan(read_study(path), path.parent, Path("runs/study"), seeds, only)


def changed(path: Path, change) -> Path:
    values = yaml.safe_load(path.read_text())
    change(values)
    path.write_text(yaml.safe_dump(values, sort_keys=False))
    return path


def test_every_run_is_trained_with_every_seed_after_what_it_starts_from(study_file):
    trainings = planned(study_file)
    assert [training.name for training in trainings] == [
        "teacher, seed 1", "teacher, seed 2", "s4, seed 1", "s4, seed 2", "s4_kd, seed 1", "s4_kd, seed 2",
        "s4_kd_without_class, seed 1", "pruning, seed 1",
    ]  # fmt: skip
    student = trainings[5]
    assert student.needs == ("teacher, seed 2",)
    assert student.config.seed == 2
    assert student.config.models["teacher"].weights == "runs/study/teacher/seed2/teacher.safetensors"
    assert student.folder == Path("runs/study/s4_kd/seed2")


def test_a_run_like_another_differs_by_what_it_says(study_file):
    by_name = {training.name: training.config for training in planned(study_file)}
    whole, without = by_name["s4_kd, seed 1"], by_name["s4_kd_without_class, seed 1"]
    assert [term.kind for term in whole.losses] == ["tracking", "feature_kd", "class_kd"]
    assert [term.kind for term in without.losses] == ["tracking", "feature_kd"]
    assert without.models == whole.models
    assert without.train == whole.train


def test_only_keeps_the_tracking_loss_beside_what_is_named(study_file):
    changed(study_file, lambda v: v["runs"]["s4_kd_without_class"].update(without=[], only=["class_kd"]))
    config = {training.name: training.config for training in planned(study_file)}["s4_kd_without_class, seed 1"]
    assert [term.kind for term in config.losses] == ["tracking", "class_kd"]


def test_a_run_without_a_loss_may_be_like_one_of_certain_losses_only(study_file):
    def change(values: dict) -> None:
        values["runs"]["s4_kd"].update(only=["feature_kd", "class_kd"])
        values["runs"]["s4"].update(set={"losses.0.loss.centre_weight": 0})

    configs = {training.name: training.config for training in planned(changed(study_file, change))}
    assert [term.kind for term in configs["s4_kd_without_class, seed 1"].losses] == ["tracking", "feature_kd"]
    assert configs["s4, seed 1"].losses[0].loss.centre_weight == 0


def test_dotted_keys_change_a_training(study_file):
    changed(study_file, lambda v: v["runs"]["s4"].update(set={"train.steps": 7, "data.0.clips": 5}))
    config = {training.name: training.config for training in planned(study_file)}["s4, seed 1"]
    assert (config.train.steps, config.data[0].clips, config.train.batch) == (7, 5, 2)


def test_stages_of_pruning_are_models_of_their_own(study_file):
    stages = planned(study_file)[-1]
    assert [(c.label, c.time_steps, c.forms) for c in stages.candidates] == [
        ("pruning/T2", 2, ("float",)),
        ("pruning/T1", 1, ("float", "integer")),
    ]
    assert stages.candidates[0].checkpoint == Path("runs/study/pruning/seed1/T2/student.safetensors")


def test_chosen_runs_bring_what_they_need(study_file):
    assert [t.name for t in planned(study_file, (2,), ("s4_kd",))] == ["teacher, seed 2", "s4_kd, seed 2"]


def test_a_run_of_one_seed_serves_students_of_every_seed(study_file):
    changed(study_file, lambda v: v["runs"]["teacher"].update(seeds=[1]))
    needed = {training.name: training.needs for training in planned(study_file, (2,), ("s4_kd",))}
    assert needed == {"teacher, seed 1": (), "s4_kd, seed 2": ("teacher, seed 1",)}


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda r: r["s4"].update(set={"train.steps": "many"}), r"runs.s4 \(s4.yaml\): train.steps: .*integer"),
        (lambda r: r["s4"].update(set={"data.3.clips": 5}), r"runs.s4: 'data.3.clips': '3' is none of the 1 entries"),
        (lambda r: r["s4"].update(set={"name.first": 5}), r"runs.s4: 'name.first' leads through 'name'"),
        (
            lambda r: r["s4_kd"].update(without=["magic"]),
            r"runs.s4_kd: there is no loss of the kind 'magic', only",
        ),
        (lambda r: r["s4"].update(config="no.yaml"), r"no.yaml: cannot be read"),
        (lambda r: r["s4_kd"].update(weights={"teacher": "teacher"}), r"'teacher' names no model; write it as RUN/"),
        (lambda r: r["s4_kd"].update(weights={"teacher": "s5/student"}), r"there is no run 's5', only teacher, s4"),
        (lambda r: r["s4"].update(like="s4"), r"runs.s4.like: s4 -> s4 ends where it began"),
        (lambda r: r["teacher"].update(weights={"teacher": "s4_kd/student"}), r"weights: .* ends where it began"),
        (lambda r: r["teacher"].update(seeds=[3, 4]), r"runs.s4_kd.weights: 'teacher' has the seeds 3, 4, but not 1"),
        (lambda r: r["s4"].pop("config"), r"needs a training's file \(config\) or another run \(like\)"),
    ],
)
def test_what_cannot_be_trained_is_told_with_run_and_key(study_file, change, complaint):
    changed(study_file, lambda values: change(values["runs"]))
    with pytest.raises(ConfigError, match=complaint):
        planned(study_file)


def test_goals_name_runs_that_there_are(study_file):
    changed(study_file, lambda v: v["goals"].append({"kind": "above", "of": "s9", "to": "s4"}))
    with pytest.raises(ConfigError, match="there is no run 's9'"):
        planned(study_file)


def test_goals_name_benchmarks_that_there_are(study_file):
    goal = {"kind": "above", "of": "s4_kd", "to": "s4", "benchmark": "folder, 3 starts"}
    changed(study_file, lambda v: v["goals"].append(goal))
    with pytest.raises(
        ConfigError,
        match="no benchmark 'folder, 3 starts', only 'folder', 'folder, 2 starts', 'folder, 3 single frames'",
    ):
        planned(study_file)


def test_the_old_word_for_single_frames_works_and_says_the_new_one(study_file, capsys):
    wanted = read_study(study_file)
    changed(study_file, lambda v: v["benchmarks"][2].update(looks=v["benchmarks"][2].pop("single_frame")))
    goal = {"kind": "above", "of": "s4_kd", "to": "s4", "benchmark": "folder, 3 looks"}
    changed(study_file, lambda v: v["goals"].append(goal))
    study = read_study(study_file)
    assert study.benchmarks == wanted.benchmarks
    assert study.goals[-1].benchmark == "folder, 3 single frames"
    said = capsys.readouterr().err
    assert "looks is called single_frame now" in said
    assert "benchmark 'folder, 3 looks' is called 'folder, 3 single frames' now" in said


def test_a_benchmark_has_as_many_starts_once(study_file):
    changed(study_file, lambda v: v["benchmarks"].append({"name": "folder", "root": "elsewhere"}))
    with pytest.raises(ConfigError, match="two are 'folder', which would be judged in the same way"):
        planned(study_file)


def test_runs_that_a_benchmark_goes_without_are_not_judged_there(study_file):
    changed(study_file, lambda v: v["benchmarks"][2].update(without=["pruning"]))
    study = read_study(study_file)
    candidates = [candidate for training in planned(study_file, (1,)) for candidate in training.candidates]
    judged = {c.label: [one.benchmark.title for one in evaluations_of(c, study)] for c in candidates}
    assert judged["pruning/T1"] == ["folder", "folder", "folder, 2 starts"], "in both forms, then in that for the chip"
    assert judged["s4"] == [*judged["pruning/T1"], "folder, 3 single frames"]
    changed(study_file, lambda v: v["benchmarks"][2].update(without=["prunning"]))
    with pytest.raises(ConfigError, match="benchmarks: there is no run 'prunning'"):
        planned(study_file)


@pytest.mark.parametrize("source", [{"data.0": {"kind": "video", "root": "FOLDER"}}, {"validation.root": "FOLDER"}])
def test_a_training_that_reads_what_is_judged_is_refused(study_file, source):
    judged = study_file.parent / "sequences"
    wanted = {key: _filled(value, str(judged / "First")) for key, value in source.items()}
    changed(study_file, lambda v: v["runs"]["s4"].update(set=wanted))
    with pytest.raises(ConfigError, match=r"s4, seed 1: reads .*First, where folder lies .* models are judged"):
        refuse_test_data(planned(study_file), TrackingJudge(), TrackingBenchmark(name="folder", root=str(judged)))


@pytest.mark.parametrize("link", ["mine/Copy", "mine/Copy/img", "mine/Copy/img/0001.png"])
def test_a_training_that_reaches_what_is_judged_by_a_link_is_refused(study_file, monkeypatch, link):
    monkeypatch.chdir(study_file.parent)
    place, (_, *parts) = Path(link), Path(link).parts[1:]
    place.parent.mkdir(parents=True)
    place.symlink_to(Path("sequences", "First", *parts).resolve())
    changed(study_file, lambda v: v["runs"]["s4"].update(set={"data.0": {"kind": "video", "root": "mine"}}))
    with pytest.raises(ConfigError, match=r"s4, seed 1: reads mine, where folder lies"):
        refuse_test_data(planned(study_file), TrackingJudge(), TrackingBenchmark(name="folder", root="sequences"))


def test_a_benchmark_of_links_into_the_training_data_is_refused(study_file, monkeypatch):
    monkeypatch.chdir(study_file.parent)
    Path("judged").mkdir()
    Path("judged", "One").symlink_to(Path("sequences", "First").resolve())
    changed(study_file, lambda v: v["runs"]["s4"].update(set={"data.0": {"kind": "video", "root": "sequences"}}))
    with pytest.raises(ConfigError, match=r"s4, seed 1: reads sequences, where folder lies"):
        refuse_test_data(planned(study_file), TrackingJudge(), TrackingBenchmark(name="folder", root="judged"))


def test_a_training_that_reads_something_else_is_not_refused(study_file):
    elsewhere = TrackingBenchmark(name="folder", root=str(study_file.parent / "sequences"))
    refuse_test_data(planned(study_file), TrackingJudge(), elsewhere)


def _filled(value, folder: str):
    return folder if value == "FOLDER" else {key: folder if v == "FOLDER" else v for key, v in value.items()}


CONFIGS = Path(__file__).parents[4] / "configs"


def test_the_study_of_small_leaves_every_loss_out_once_and_changes_nothing_else():
    trainings = {t.name: t.config for t in planned(CONFIGS / "study_small.yaml", (1,))}
    whole, plain = trainings["s4_kd_short, seed 1"], trainings["s4_short, seed 1"]
    distilled = {term.kind for term in whole.losses} - {"tracking"}
    without = [config for name, config in trainings.items() if name.startswith("without_")]
    left_out = [distilled - {term.kind for term in config.losses} for config in without]
    assert sorted(map(sorted, left_out)) == sorted([kind] for kind in distilled), "every loss is left out once"
    for config in without:
        assert (config.train, config.models, config.data) == (whole.train, whole.models, whole.data)
    assert plain.models["student"].architecture == whole.models["student"].architecture
    assert (plain.train.steps, plain.train.optimiser) == (whole.train.steps, whole.train.optimiser)
    assert plain.data == whole.data


def test_the_study_of_alexnet_trains_teacher_and_student_of_the_published_width():
    trainings = planned(CONFIGS / "study_alexnet.yaml", (1,))
    assert [t.name for t in trainings] == ["teacher, seed 1", "s4_kd, seed 1"]
    backbones = {entry.architecture.width.backbone for t in trainings for entry in t.config.models.values()}
    assert backbones == {(96, 256, 384, 384, 256)}, "channels of AlexNet's convolutions in SiamFC++"
