"""A whole study: trainings, evaluations, and what they come to. Stopped, it goes on where it was."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from netx.files import write_whole
from pipeline.core.config import ConfigError
from pipeline.core.files import write_json
from pipeline.core.judging import Judge
from pipeline.core.progress import Progress
from pipeline.core.provenance import versions
from pipeline.experiments.study import figures, judging
from pipeline.experiments.study.config import StudyConfig
from pipeline.experiments.study.goals import Found, judge_goals
from pipeline.experiments.study.held_out import refuse_test_data
from pipeline.experiments.study.jobs import Job, run_jobs
from pipeline.experiments.study.launcher import Launcher, launcher_for
from pipeline.experiments.study.page import render
from pipeline.experiments.study.plan import Candidate, Training, plan
from pipeline.experiments.study.tables import markdown
from pipeline.training.logs import LOG, curves, last_step

RESULTS, TABLES, PAGE = "results.json", "results.md", "report.html"


@dataclass(frozen=True)
class StudyRequest:
    """What of a study to do. seeds, only: none for all. command: what makes the results, for them to say.

    trainings, evaluations: at the same time. address: of a Ray cluster on which evaluations run; trainings stay here.
    """

    seeds: tuple[int, ...]
    only: tuple[str, ...]
    trainings: int
    evaluations: int
    train: bool
    device: str
    command: str
    address: str | None = None


def run_study(
    study: StudyConfig[Any], home: Path, folder: Path, wanted: StudyRequest, progress: Progress
) -> dict[str, Any]:
    """Train what is not trained, evaluate what is not evaluated, and write results.json, results.md and report.html.

    home: folder of the study's file. folder: the study's own. Returns the results; ``failed`` says by name what could
    not be done and why. Models that are not there are left out and named in ``missing``.

    Raises ConfigError when the study names what there is not, DataError when a benchmark is not there, MonospikeError
    where its task's evaluations cannot run where they are wanted.
    """
    seeds = _seeds(study, wanted.seeds)
    trainings = plan(study, home, folder, seeds, wanted.only)
    judge, still = study.judge, judging.still_evaluations(study, folder)
    judge.alone(wanted.address)  # what is missing, or cannot be, is told before hours go by
    sizes = {benchmark.title: judge.size(benchmark) for benchmark in study.benchmarks}
    for benchmark in study.benchmarks:
        refuse_test_data(trainings, judge, benchmark)
    launcher = launcher_for(study.task)
    failed = _train(trainings, launcher, wanted, progress) if wanted.train else {}
    candidates = [c for training in trainings for c in training.candidates]
    there = [candidate for candidate in candidates if candidate.checkpoint.exists()]
    names = {str(c.checkpoint): f"{c.label}, seed {c.seed}" for c in there}
    evaluations = [one for candidate in there for one in judging.evaluations_of(candidate, study)]
    jobs = judging.evaluation_jobs([*still, *evaluations], names, sizes, wanted.address)
    failed |= _evaluate(jobs, launcher, wanted, progress)
    models = _models(study, there, progress)
    fixed = figures.still_figures(still)
    results = {
        "config": study.model_dump(mode="json"),
        "trainings": {t.name: t.config.model_dump(mode="json") for t in trainings},
        "seeds": sorted({t.seed for t in trainings}),
        "versions": versions(),
        "commands": {
            "study": wanted.command,
            "train": [_training_job(t, wanted).command for t in trainings],
            "evaluate": [Job("", one.arguments, one.out).command for one in (*still, *evaluations)],
        },
        "benchmarks": [benchmark.title for benchmark in study.benchmarks],
        "fixed": fixed,
        "models": models,
        "goals": judge_goals(study.goals, Found(judge, models, fixed, study.benchmarks[0].title)),
        "missing": _missing(study, candidates, there, models),
        "failed": failed,
    }
    _write(folder, results, judge, trainings)
    return results


def _seeds(study: StudyConfig[Any], seeds: Sequence[int]) -> Sequence[int]:
    there = {seed for entry in study.runs.values() for seed in (entry.seeds or study.seeds)} | set(study.seeds)
    for seed in seeds:
        if seed not in there:
            raise ConfigError(f"--seeds {seed}: the study's are {', '.join(map(str, sorted(there)))}")
    return seeds or sorted(there)


def _train(
    trainings: Sequence[Training], launcher: Launcher, wanted: StudyRequest, progress: Progress
) -> dict[str, str]:
    for training in trainings:
        with write_whole(training.folder / "config.yaml") as temporary:
            text = yaml.safe_dump(training.config.model_dump(mode="json"), sort_keys=False)
            temporary.write_text(text, encoding="utf-8")
    # A finished one ends at once; that it is finished is its own to tell.
    jobs = [_training_job(training, wanted) for training in trainings]
    return run_jobs(jobs, launcher, wanted.trainings, "training", progress)


def _training_job(training: Training, wanted: StudyRequest) -> Job:
    folder = training.folder
    device = () if wanted.device == "auto" else ("--device", wanted.device)
    arguments = ("train", str(folder / "config.yaml"), "--runs", str(folder.parent), *device)
    size = sum(steps for _, steps in training.stages)
    return Job(training.name, arguments, folder / "output.log", training.needs, size, lambda: _steps_done(training))


def _steps_done(training: Training) -> int:
    return sum(last_step(at / LOG) for at, _ in training.stages)


def _evaluate(
    open_: Sequence[tuple[judging.Evaluation, Job]], launcher: Launcher, wanted: StudyRequest, progress: Progress
) -> dict[str, str]:
    evaluations = {job.name: evaluation for evaluation, job in open_}
    done = lambda job: judging.mark_done(evaluations[job.name])  # noqa: E731
    return run_jobs([job for _, job in open_], launcher, wanted.evaluations, "evaluating", progress, done)


def _models(study: StudyConfig[Any], there: Sequence[Candidate], progress: Progress) -> dict[str, Any]:
    """By label: about, seeds and summary."""
    seeds: dict[str, dict[str, Any]] = {}
    first: dict[str, Candidate] = {}
    for candidate, work in judging.works(there, study, progress):
        seeds.setdefault(candidate.label, {})[str(candidate.seed)] = figures.seed_figures(candidate, study, work)
        first.setdefault(candidate.label, candidate)
    return {
        label: {
            "run": first[label].run,
            "about": study.runs[first[label].run].about,
            "time_steps": first[label].time_steps,
            "seeds": rows,
            "summary": figures.summary(rows, study),
        }
        for label, rows in seeds.items()
    }


def _missing(
    study: StudyConfig[Any], candidates: Sequence[Candidate], there: Sequence[Candidate], models: Mapping[str, Any]
) -> list[str]:
    """What the results lack, in words: a line for all seeds of a model that lack the same."""
    seeds: dict[tuple[str, str], list[str]] = {}
    for candidate in candidates:
        row = models[candidate.label]["seeds"][str(candidate.seed)] if candidate in there else None
        for what in _lacks(study, candidate, row):
            seeds.setdefault((candidate.label, what), []).append(str(candidate.seed))
    return [f"{label}, seed{'s' * (len(of) > 1)} {', '.join(of)}: {what}" for (label, what), of in seeds.items()]


def _lacks(study: StudyConfig[Any], candidate: Candidate, row: Mapping[str, Any] | None) -> list[str]:
    """row: the candidate's figures; None where it is not there."""
    if row is None:
        return ["not trained"]
    lines = [
        f"not evaluated on {benchmark.title} ({form})"
        for benchmark in study.benchmarks
        for form in judging.forms_on(benchmark, candidate)
        if form not in row["scores"].get(benchmark.title, {})
    ]
    return lines if row["as_configured"] else [*lines, "was trained by another configuration than this"]


def _write(folder: Path, results: Mapping[str, Any], judge: Judge, trainings: Sequence[Training]) -> None:
    logs = {f"{t.run}{_stage(t, at)}, seed {t.seed}": curves(at / LOG) for t in trainings for at, _ in t.stages}
    for name, text in ((TABLES, markdown(results, judge)), (PAGE, render(results, judge, logs))):
        with write_whole(folder / name) as temporary:
            temporary.write_text(text, encoding="utf-8")
    write_json(folder / RESULTS, results)


def _stage(training: Training, at: Path) -> str:
    return "" if at == training.folder else f"/{at.name}"
