"""Every model of a study on every benchmark: tracked by ``monospike evaluate``, and its work counted."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from netx.errors import FormatError
from netx.files import write_whole
from netx.text_files import read_json
from pipeline.core.files import file_digest, write_json
from pipeline.core.operations import Work
from pipeline.core.progress import Progress
from pipeline.core.provenance import code_digest
from pipeline.datasets.catalog import find_benchmark, open_benchmark
from pipeline.datasets.video import Video
from pipeline.experiments.study.config import BenchmarkEntry, StudyConfig
from pipeline.experiments.study.jobs import Job
from pipeline.experiments.study.plan import Candidate
from pipeline.tasks.tracking.checkpoint import load_with_processing
from pipeline.tasks.tracking.config import TrackerConfig
from pipeline.tasks.tracking.metrics.evaluate import open_runs
from pipeline.tasks.tracking.metrics.multi_start import sequence_of
from pipeline.tasks.tracking.models.config import SiameseConfig
from pipeline.tasks.tracking.operations import View, views, work
from pipeline.tasks.tracking.trackers import Engine

FIXED = "fixed"
"""The tracker that answers with the first box, always."""

_CODE = tuple(f"pipeline.tasks.tracking.{name}" for name in ("metrics.evaluate", "trackers", "operations"))
"""What scores and counts depend on; changes elsewhere leave them as they are."""


@dataclass(frozen=True)
class Evaluation:
    """A tracker on a benchmark. tracker: ``fixed``, or a checkpoint's path. out: the scores' file."""

    tracker: str
    engine: Engine
    benchmark: BenchmarkEntry
    out: Path

    @property
    def arguments(self) -> tuple[str, ...]:
        """Of ``monospike``."""
        root = () if self.benchmark.root is None else ("--root", self.benchmark.root)
        how = [("--starts", self.benchmark.starts, 1), ("--single-frame", self.benchmark.single_frame, 0)]
        asked = [word for option, value, usual in how if value != usual for word in (option, str(value))]
        tracker = ("--tracker", self.tracker, "--engine", self.engine)
        return ("evaluate", self.benchmark.name, *root, *asked, *tracker, "--out", str(self.out))

    def fingerprint(self) -> str:
        """Tells scores apart that may differ."""
        checkpoint = self.tracker if self.tracker == FIXED else file_digest(Path(self.tracker))
        return json.dumps([checkpoint, self.engine, _shows(self.benchmark), code_digest(*_CODE)])

    def scores(self) -> dict[str, Any] | None:
        """Mean IoU, success, precision, and mean IoU of every sequence; None where they are not there, or of another
        checkpoint or program."""
        if not _is_current(self.out, self.fingerprint()):
            return None
        content = read_json(self.out)
        try:
            runs = {run: row["mean_iou"] for run, row in content["sequences"].items()}
            means = {key: content[key] for key in ("mean_iou", "success", "precision")}
        except (KeyError, TypeError, AttributeError) as error:
            raise FormatError(f"{self.out}: holds no scores ({error}); remove it, and they are made again") from None
        sequences = runs if self.benchmark.starts == 1 else _by_sequence(runs)
        return {**means, "sequences": sequences}


def evaluations_of(candidate: Candidate, study: StudyConfig) -> list[Evaluation]:
    """A model on every benchmark, in every form that is judged there."""
    beside = candidate.checkpoint.parent / "evaluation"
    return [
        Evaluation(
            str(candidate.checkpoint), engine, entry, beside / f"{candidate.model}-{entry.file_name}-{engine}.json"
        )
        for entry in study.benchmarks
        for engine in engines_on(entry, candidate)
    ]


def engines_on(benchmark: BenchmarkEntry, candidate: Candidate) -> tuple[Engine, ...]:
    """The forms in which a model is judged there."""
    if candidate.run in benchmark.without:
        return ()
    return candidate.engines if benchmark.forms == "all" else candidate.engines[-1:]


def fixed_evaluations(study: StudyConfig, folder: Path) -> list[Evaluation]:
    """A box that never moves on every benchmark."""
    return [Evaluation(FIXED, "float", entry, folder / FIXED / f"{entry.file_name}.json") for entry in study.benchmarks]


def evaluation_jobs(
    evaluations: Iterable[Evaluation], names: Mapping[str, str], address: str | None = None
) -> list[tuple[Evaluation, Job]]:
    """The commands of those that are not done. names: of the trackers, for people. address: of a cluster to run on."""
    # Several commands run at a time as it is; each with workers of its own would be too many.
    where = ("--jobs", "0") if address is None else ("--address", address)
    jobs = []
    for one in evaluations:
        if one.scores() is None:
            name = f"{names.get(one.tracker, one.tracker)} ({one.engine}) on {one.benchmark.label}"
            size = len(runs_of(one.benchmark))
            log, done = one.out.with_suffix(".log"), _finished_of(one, size)
            jobs.append((one, Job(name, (*one.arguments, *where), log, (), size, done)))
    return jobs


def mark_done(evaluation: Evaluation) -> None:
    """Note what the scores were made from."""
    _stamp(evaluation.out, evaluation.fingerprint())


def works(candidates: Sequence[Candidate], study: StudyConfig, progress: Progress) -> Iterator[tuple[Candidate, Work]]:
    """What a frame of the first benchmark costs each model; counted once."""
    benchmark = study.benchmarks[0]
    shown: dict[str, list[View]] = {}
    with progress.task("counting operations", len(candidates)) as task:
        for candidate in candidates:
            path = candidate.checkpoint.parent / "evaluation" / f"{candidate.model}-{benchmark.name}-work.json"
            values = [file_digest(candidate.checkpoint), _shows(benchmark), code_digest(*_CODE)]
            fingerprint = json.dumps(values)
            if not _is_current(path, fingerprint):
                model, settings = load_with_processing(candidate.checkpoint)
                write_json(path, work(model, _shown(shown, benchmark, model.config, settings)).to_json())
                _stamp(path, fingerprint)
            try:
                counted = Work.from_json(read_json(path))
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise FormatError(f"{path}: holds no counts ({error}); remove it, and they are made again") from None
            yield candidate, counted
            task.advance()


def _shown(
    kept: dict[str, list[View]], benchmark: BenchmarkEntry, config: SiameseConfig, settings: TrackerConfig
) -> list[View]:
    """The same frames for all models that read the same crops."""
    crops = settings.model_dump(include=set(settings.trained_with))
    key = json.dumps([config.template, config.search, crops], sort_keys=True)
    if key not in kept:
        videos = open_benchmark(find_benchmark(benchmark.name), benchmark.root)
        kept[key] = views(videos, config, settings)
    return kept[key]


def _shows(benchmark: BenchmarkEntry) -> dict[str, Any]:
    """What a benchmark shows a tracker; which others it shows it to does not matter."""
    return benchmark.model_dump(mode="json", exclude={"without"})


def runs_of(benchmark: BenchmarkEntry) -> list[Video]:
    """What trackers are run on: a benchmark's sequences, from each of their starts. Raises DataError when it is not
    there, or allows one start only."""
    return open_runs(find_benchmark(benchmark.name), benchmark.root, benchmark.starts, benchmark.single_frame)


def _finished_of(evaluation: Evaluation, size: int) -> Callable[[], int]:
    """How many of ``size`` sequences have been tracked by now, also by commands before."""
    folder = evaluation.out.parent / f"{evaluation.out.stem}-boxes"
    return lambda: min(len(list(folder.glob("*/*.txt"))), size)


def _by_sequence(runs: Mapping[str, float | None]) -> dict[str, float | None]:
    """Means over the runs of a sequence that have a value."""
    values: dict[str, list[float]] = {}
    for run, value in runs.items():
        values.setdefault(sequence_of(run), []).extend([] if value is None else [value])
    return {name: fmean(known) if known else None for name, known in values.items()}


def _stamp_of(path: Path) -> Path:
    return path.with_suffix(".from")


def _is_current(path: Path, fingerprint: str) -> bool:
    stamp = _stamp_of(path)
    return path.exists() and stamp.exists() and stamp.read_text(encoding="utf-8") == fingerprint


def _stamp(path: Path, fingerprint: str) -> None:
    with write_whole(_stamp_of(path)) as temporary:
        temporary.write_text(fingerprint, encoding="utf-8")
