"""Evaluations of a study do not multiply: several commands run at a time, each in its own process alone."""

from pathlib import Path

import pytest

from pipeline.experiments.study.config import read_study
from pipeline.experiments.study.judging import evaluation_jobs, still_evaluations


@pytest.mark.parametrize(
    ("address", "where"), [(None, ("--jobs", "0")), ("somewhere:6379", ("--address", "somewhere:6379"))]
)
def test_an_evaluation_runs_alone_in_its_process_or_on_the_cluster(study_file: Path, address, where) -> None:
    study = read_study(study_file)
    wanted = still_evaluations(study, study_file.parent / "runs")
    jobs = evaluation_jobs(wanted, {}, {benchmark.title: 2 for benchmark in study.benchmarks}, address)
    assert len(jobs) == len(wanted) == 3
    for evaluation, job in jobs:
        assert job.arguments == (*evaluation.arguments, *where)
        assert not set(where) & set(evaluation.arguments), "scores are the same wherever they are made"
