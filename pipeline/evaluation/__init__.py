"""Trackers judged on benchmarks: runs, scores and their report."""

from pipeline.evaluation.evaluate import run_all, write_summary
from pipeline.evaluation.page import columns_of, label, score
from pipeline.evaluation.results import ResultFolder, results_beside
from pipeline.evaluation.running import Run, one_pass, supervised
from pipeline.evaluation.summary import Finished, summarise

__all__ = [
    "Finished",
    "ResultFolder",
    "Run",
    "columns_of",
    "label",
    "one_pass",
    "results_beside",
    "run_all",
    "score",
    "summarise",
    "supervised",
    "write_summary",
]
