"""Every model of a study on every benchmark: scored by ``monospike evaluate``, and its work counted."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from netx.errors import FormatError
from netx.files import write_whole
from netx.text_files import read_json
from pipeline.core.files import file_digest, write_json
from pipeline.core.judging import BenchmarkSection, Form, Judge
from pipeline.core.operations import Work
from pipeline.core.progress import Progress
from pipeline.core.provenance import code_digest
from pipeline.experiments.study.config import StudyConfig
from pipeline.experiments.study.jobs import Job
from pipeline.experiments.study.plan import Candidate


@dataclass(frozen=True)
class Evaluation:
    """A model on a benchmark. model: the task's answer that never changes, or a checkpoint's path. out: the scores'
    file."""

    judge: Judge
    model: str
    form: Form
    benchmark: BenchmarkSection
    out: Path

    @property
    def arguments(self) -> tuple[str, ...]:
        """Of ``monospike``."""
        return self.judge.arguments(self.model, self.form, self.benchmark, self.out)

    def fingerprint(self) -> str:
        """Tells scores apart that may differ."""
        is_still = self.judge.still is not None and self.model == self.judge.still.model
        checkpoint = self.model if is_still else file_digest(Path(self.model))
        return json.dumps([checkpoint, self.form, self.benchmark.shown(), code_digest(*self.judge.code)])

    def scores(self) -> dict[str, Any] | None:
        """The task's figures, and the main one of every part; None where they are not there, or are of another
        checkpoint or program."""
        if not _is_current(self.out, self.fingerprint()):
            return None
        content = read_json(self.out)
        try:
            return self.judge.scores(content, self.benchmark)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise FormatError(f"{self.out}: holds no scores ({error}); remove it, and they are made again") from None


def evaluations_of(candidate: Candidate, study: StudyConfig[Any]) -> list[Evaluation]:
    """A model on every benchmark, in every form that is judged there."""
    beside, judge = candidate.checkpoint.parent / "evaluation", study.judge
    return [
        Evaluation(
            judge, str(candidate.checkpoint), form, entry, beside / f"{candidate.model}-{entry.file_name}-{form}.json"
        )
        for entry in study.benchmarks
        for form in forms_on(entry, candidate)
    ]


def forms_on(benchmark: BenchmarkSection, candidate: Candidate) -> tuple[Form, ...]:
    """The forms in which a model is judged there."""
    if candidate.run in benchmark.without:
        return ()
    return candidate.forms if benchmark.forms == "all" else candidate.forms[-1:]


def still_evaluations(study: StudyConfig[Any], folder: Path) -> list[Evaluation]:
    """An answer that never changes on every benchmark, where the task has such a one."""
    judge = study.judge
    if judge.still is None:
        return []
    model = judge.still.model
    return [
        Evaluation(judge, model, "float", entry, folder / model / f"{entry.file_name}.json")
        for entry in study.benchmarks
    ]


def evaluation_jobs(
    evaluations: Iterable[Evaluation], names: Mapping[str, str], sizes: Mapping[str, int], address: str | None = None
) -> list[tuple[Evaluation, Job]]:
    """The commands of those that are not done. names: of the models, for people. sizes: of the benchmarks, by title.
    address: of a cluster to run on."""
    jobs = []
    for one in evaluations:
        if one.scores() is None:
            title, size = one.benchmark.title, sizes[one.benchmark.title]
            arguments = (*one.arguments, *one.judge.alone(address))
            name = f"{names.get(one.model, one.model)} ({one.form}) on {title}"
            jobs.append((one, Job(name, arguments, one.out.with_suffix(".log"), (), size, _finished_of(one, size))))
    return jobs


def mark_done(evaluation: Evaluation) -> None:
    """Note what the scores were made from."""
    _stamp(evaluation.out, evaluation.fingerprint())


def works(
    candidates: Sequence[Candidate], study: StudyConfig[Any], progress: Progress
) -> Iterator[tuple[Candidate, Work]]:
    """What a frame of the first benchmark costs each model; counted once."""
    judge, benchmark = study.judge, study.benchmarks[0]
    counted = judge.counting(benchmark)
    with progress.task("counting operations", len(candidates)) as task:
        for candidate in candidates:
            path = candidate.checkpoint.parent / "evaluation" / f"{candidate.model}-{benchmark.data_name}-work.json"
            fingerprint = json.dumps([file_digest(candidate.checkpoint), benchmark.shown(), code_digest(*judge.code)])
            if not _is_current(path, fingerprint):
                write_json(path, counted(candidate.checkpoint).to_json())
                _stamp(path, fingerprint)
            try:
                work = Work.from_json(read_json(path))
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise FormatError(f"{path}: holds no counts ({error}); remove it, and they are made again") from None
            yield candidate, work
            task.advance()


def _finished_of(evaluation: Evaluation, size: int) -> Callable[[], int]:
    """How many of ``size`` answers there are by now, also by commands before."""
    return lambda: min(evaluation.judge.finished(evaluation.out), size)


def _stamp_of(path: Path) -> Path:
    return path.with_suffix(".from")


def _is_current(path: Path, fingerprint: str) -> bool:
    stamp = _stamp_of(path)
    return path.exists() and stamp.exists() and stamp.read_text(encoding="utf-8") == fingerprint


def _stamp(path: Path, fingerprint: str) -> None:
    with write_whole(_stamp_of(path)) as temporary:
        temporary.write_text(fingerprint, encoding="utf-8")
