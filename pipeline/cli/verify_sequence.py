"""``monospike verify CHECKPOINT --sequence``: all of a model's networks in Lava, over a whole sequence."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from netx.errors import MonospikeError
from netx.files import alone_in

if TYPE_CHECKING:
    from pipeline.core.task import SequenceRequest
    from pipeline.deploy.verdict import Verdict
    from sim.lava import ConvModel


@dataclass(frozen=True)
class CheckRequest:
    """What the user asks for. convolution: stock, proven or fast. seconds: limit of one run of Lava. out: folder."""

    checkpoint: Path
    sequence: SequenceRequest
    convolution: str
    seconds: float
    out: Path


def verify_sequence(request: CheckRequest) -> Verdict:
    """Have the model at work on the sequence with the integer engine, run what its networks saw in Lava, and write
    ``verification.json``.

    Raises MonospikeError where the checkpoint, the sequence or an option is no such thing.
    """
    from pipeline.core.files import file_digest, write_json
    from pipeline.core.progress import Progress
    from pipeline.core.provenance import modules_digest
    from pipeline.core.reach import reached
    from pipeline.deploy.sequence_verification import CheckSettings, check_sequence, in_lava
    from pipeline.tasks import task_of

    convolution, progress = _convolution(request.convolution), Progress()
    task = task_of(request.checkpoint)
    run = task.follow(request.checkpoint, request.sequence, progress)
    frames = sum(len(passage.frames) for passage in run.at_every_frame)
    convolved = in_lava(run.network, convolution)
    progress.say(f"{run.name}: {frames} frames, {len(run.at_every_frame)} targets programmed; {convolved}")
    folder = request.out / f"{request.checkpoint.stem}-{run.name}"
    code = modules_digest(*reached(check_sequence, type(task)))
    check = CheckSettings(convolution, request.seconds, folder, f"{file_digest(request.checkpoint)} {code}")
    total = sum(len(passage.frames) for passage in run.passages)
    with alone_in(folder), progress.task("student, engine, Lava", total) as bar:
        verdict = check_sequence(run, check, bar.reach)
    summary = {
        "checkpoint": str(request.checkpoint),
        "sequence": run.name,
        "frames": [list(passage.frames) for passage in run.at_every_frame],
        "convolution": convolved,
        **{key: value for key, value in verdict.to_json().items() if key not in ("frames", "file_differences")},
    }
    write_json(folder / "verification.json", summary)
    progress.say(verdict.message())
    progress.say(f"{folder / 'verification.json'}")
    return verdict


def _convolution(name: str) -> ConvModel:
    from sim.lava import ConvModel

    for model in get_args(ConvModel):
        if model == name:
            return model
    raise MonospikeError(f"--convolution {name!r}: expected one of {', '.join(get_args(ConvModel))}")
