"""The main job: a configuration becomes a student, a network of integers, proof that it runs alike, and a report.

``STEPS`` lists the stages in order. Each is a function of the run; it leaves its files in the run's folder and reads
those of the stages before it from there, so that any stage can be run alone, and another may stand in its place.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from netx import Network, prove_headroom
from netx.bundle import load, save
from netx.difference import first_difference
from netx.errors import FormatError, MonospikeError
from netx.files import write_whole
from netx.network import side_by_side
from netx.npz import npz_bytes, read_npz
from pipeline.core.files import write_json
from pipeline.core.provenance import versions
from pipeline.core.task import Evaluation, Target
from pipeline.deploy.layout import EVALUATION, PREDICTIONS, STAGES, VERDICT
from pipeline.deploy.run import FORMATS, Run
from pipeline.deploy.stages import Step, read_record
from pipeline.deploy.student import train
from pipeline.deploy.verdict import Verdict
from pipeline.deploy.verification import ENGINES, compare_engines, run_engine, run_lava, run_norse
from pipeline.experiments.dse.page import chip_fronts
from pipeline.experiments.dse.results import save_results
from pipeline.planning.costs import cost_summary, save_activity
from pipeline.planning.files import save_plans
from pipeline.planning.plan import Plan, chip_name, make_plans
from pipeline.report.figures import Figures, SpikeFrame
from pipeline.report.report import SECTION_FILES, write_report
from sim.activity import Activity, count
from sim.recording import Recording

SPIKE_PICTURE_FRAME = 12
"""Frame of each target whose spikes the report shows, or the last real one: something has happened by then."""


class ExportError(MonospikeError):
    """A file that, read back, is not the network that was written."""


def data(run: Run) -> str:
    """Samples to evaluate the student on, as the task makes or reads them."""
    with write_whole(run.samples_folder) as temporary:
        temporary.mkdir()
        return run.task.write_samples(run.config.data, run.config.seed, temporary, run.progress)


def quantize(run: Run) -> str:
    """The student as one network of integers, every accumulator proven, written as .net parts and read back."""
    network = run.deployable.network()
    bounds = prove_headroom(network)
    _save_checked(network, run.folder / "quantize" / "network", "net")
    tightest = max(bounds, key=lambda bound: bound.worst_case)
    return (
        f"{len(bounds)} layers proven within 24 bits; closest is {tightest.layer} "
        f"with {tightest.worst_case} of {tightest.limit}"
    )


def export(run: Run) -> str:
    """The networks that run on the chip, those that others program as programmed, read back and compared."""
    for format_ in FORMATS:
        for name, path in run.exports(format_).items():
            _save_checked(run.targets[name].network, path, format_)
    return f"{' and '.join(run.targets)} as .net and .nir, read back equal"


def _save_checked(network: Network, path: Path, format_: Literal["net", "nir"]) -> None:
    save(network, path, format=format_)
    if found := first_difference(network, load(path)):
        raise ExportError(f"{path}: read back, it is another network: {found}")


def simulate(run: Run) -> str:
    """The same frames through every engine."""
    for engine, recordings in _run_engines(run):
        for name, recording in recordings.items():
            recording.save(run.recorded(engine, name))
    return f"{_frames(run)} frames through {', '.join(ENGINES)}"


def _run_engines(run: Run) -> Iterator[tuple[str, Mapping[str, Recording]]]:
    with run.progress.task("SLAYER, engine, norse", 3) as task:
        yield "slayer", run.deployable.record(run.targets)
        task.advance()
        yield "engine", run_engine(run.targets)
        task.advance()
        yield "norse", run_norse(run.exports("nir"), run.targets)
        task.advance()
    with run.progress.task("Lava", _frames(run)) as task:
        yield "lava", run_lava(run.exports("net"), run.targets, run.config.simulate, task.reach)


def _frames(run: Run) -> int:
    """Of all targets."""
    return sum(len(next(iter(target.frames.values()))) for target in run.targets.values())


def verify(run: Run) -> str:
    """Compare what ``simulate`` recorded."""
    verdict = _compare(run, {engine: run.recordings(engine) for engine in ENGINES})
    write_json(run.folder / VERDICT, verdict.to_json())
    return verdict.message()


def verify_again(run: Run) -> Verdict:
    """Run and compare every engine anew, on the files as they are now; nothing is written.

    Raises FormatError, with the place in it, where a file is damaged: before anything runs, since what stock loaders
    say of it does not even name the file.
    """
    for format_ in FORMATS:
        for path in run.exports(format_).values():
            load(path)
    return _compare(run, dict(_run_engines(run)))


def _compare(run: Run, recordings: Mapping[str, Mapping[str, Recording]]) -> Verdict:
    return compare_engines(run.targets, recordings, {format_: run.exports(format_) for format_ in FORMATS})


def found_identical(run: Run) -> bool:
    """What the last ``verify`` found. Raises FormatError where its file is damaged."""
    values = run.written(VERDICT)
    found = values.get("identical") if isinstance(values, dict) else None
    if not isinstance(found, bool):
        raise run.damaged(VERDICT, "does not say whether the engines are identical")
    return found


@dataclass(frozen=True)
class Profile:
    """What a run is worth and costs. costs: the report's network, headroom, activity and energy."""

    evaluation: Evaluation
    activity: Activity
    costs: Mapping[str, Any]
    plans: list[Plan]


def profile(run: Run) -> str:
    """Scores of float and integer side by side; size, activity and energy of the integer network; chips to run it."""
    found, folder = measure(run), run.folder / "profile"
    save_activity(folder / "activity.npz", found.activity)
    write_json(folder / "costs.json", found.costs)
    save_plans(folder, found.plans)
    with write_whole(run.folder / PREDICTIONS) as temporary:
        temporary.write_bytes(npz_bytes(found.evaluation.predictions))
    evaluation = found.evaluation
    values = {"scores": evaluation.scores, "headline": evaluation.headline, "figures": dict(evaluation.figures)}
    write_json(run.folder / EVALUATION, values)
    return evaluation.headline


def measure(run: Run) -> Profile:
    """Everything that ``profile`` writes."""
    evaluation = run.deployable.evaluate(run.network, run.samples, run.progress)
    target, recording = _at_every_frame(run)
    activity = count(target.network, target.frames, recording)
    costs = cost_summary(run.network, activity, list(run.on_the_engine.values()), run.config.profile.energy)
    plans = make_plans(target.network, target.frames, recording, run.config.profile.chips)
    return Profile(evaluation, activity, costs, plans)


def _at_every_frame(run: Run) -> tuple[Target, Recording]:
    """The networks that run at every frame as one, on real frames, and what the engine did with these."""
    names = run.deployable.priced
    targets, recordings = [run.targets[name] for name in names], [run.on_the_engine[name] for name in names]
    real = min(target.real for target in targets)
    frames = {name: values[:real] for target in targets for name, values in target.frames.items()}
    network = side_by_side([target.network for target in targets])
    return Target(network, frames, real), Recording.beside([recording.first(real) for recording in recordings])


def report(run: Run) -> str:
    """Everything in report.json, report.html and what the task has to show beside them."""
    evaluation = _evaluation(run)
    write_report(run.folder, report_values(run, evaluation), _figures(run, evaluation))
    shutil.rmtree(run.folder / "search", ignore_errors=True)
    if run.searched is not None:
        save_results(run.searched, run.folder / "search")
    return str(run.folder / "report.html")


def report_values(run: Run, evaluation: Evaluation) -> dict[str, Any]:
    """What report.json holds."""
    config = run.folder / "config.yaml"
    again = "" if run.training is None else " --retrain"
    return {
        **run.written("profile/costs.json"),
        "verification": run.written(VERDICT),
        "planning": run.written("profile/planning.json"),
        "accuracy": dict(evaluation.scores),
        "files": _files(run),
        "versions": versions(),
        "seed": run.config.seed,
        "config": run.config.model_dump(mode="json"),
        "seconds": {name: record["seconds"] for name in STAGES if (record := read_record(run.folder, name))},
        "commands": [f"monospike deploy {config}{again}", f"monospike verify {config}"],
        **({} if run.searched is None else {"search": run.searched}),
    }


def _evaluation(run: Run) -> Evaluation:
    """What ``profile`` has left. Raises FormatError where the file is damaged."""
    path = run.folder / PREDICTIONS
    try:
        values = run.written(EVALUATION)
        return Evaluation(**values, predictions=read_npz(path))
    except (ValueError, KeyError, TypeError) as error:
        raise FormatError(f"{path}: holds no predictions ({error}); run again with --from profile") from None


def _files(run: Run) -> dict[str, dict[str, Any]]:
    files = {}
    for name in STAGES[:-1]:
        record = read_record(run.folder, name) or {"files": {}}
        for path, digest in record["files"].items():
            files[path] = {"path": path, "sha256": digest, "bytes": (run.folder / path).stat().st_size}
    return files


def _figures(run: Run, evaluation: Evaluation) -> Figures:
    planned = [chip_name(chip) for chip in run.config.profile.chips]
    sections = run.deployable.sections(run.samples, evaluation, run.targets, run.on_the_engine)
    return Figures(
        headline=evaluation.figures,
        sections=tuple(sections),
        spikes=tuple(
            SpikeFrame.of(target.network, target.frames, run.on_the_engine[name], _shown(target.real))
            for name, target in run.targets.items()
        ),
        chips={chip: (run.folder / "profile" / f"planning-{chip}.svg").read_text("utf-8") for chip in planned},
        fronts=() if run.searched is None else chip_fronts(run.searched),
    )


def _shown(real: int) -> int:
    return min(SPIKE_PICTURE_FRAME, real - 1)


_FRAMES = ("task", "seed", "simulate")

STEPS: tuple[Step[Run], ...] = (
    Step("data", data, (), ("task", "seed", "data")),
    Step("train", train, (), ("task", "model", "training", "processing"), ("train/student.safetensors",)),
    Step("quantize", quantize, ("train",), ("task",)),
    Step("export", export, ("data", "train", "quantize"), _FRAMES),
    Step("simulate", simulate, ("data", "train", "quantize", "export"), _FRAMES),
    Step("verify", verify, ("data", "train", "quantize", "export", "simulate"), _FRAMES),
    Step("profile", profile, ("data", "train", "quantize", "simulate"), (*_FRAMES, "profile")),
    Step(
        "report",
        report,
        ("data", "train", "quantize", "export", "simulate", "verify", "profile"),
        ("name", *_FRAMES, "data", "model", "training", "processing", "profile", "search"),
        ("report.json", "report.html", *SECTION_FILES, "search/*"),
    ),
)
"""All stages, in the order of ``STAGES``."""
