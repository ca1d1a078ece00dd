"""``monospike verify CHECKPOINT --sequence``: the whole tracker in Lava, over a whole sequence."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from netx.errors import MonospikeError
from netx.files import write_whole
from pipeline.cli.options import parsed_box, tracker_settings

if TYPE_CHECKING:
    from sim.lava import ConvModel


@dataclass(frozen=True)
class Wanted:
    """What the user asks for. box: x,y,width,height. frames, every, reprogram: see ``recorded_crops.Selection``.
    convolution: stock or fast. seconds: time limit of one run of Lava. out: folder."""

    checkpoint: Path
    sequence: Path
    box: str | None
    frames: int | None
    every: int
    reprogram: int | None
    convolution: str
    seconds: float
    config: Path | None
    out: Path


def verify_sequence(wanted: Wanted) -> dict[str, Any]:
    """Track the sequence with the integer engine, run what the tracker saw in Lava, and write ``verification.json``.

    Returns the verdict. Raises MonospikeError where the checkpoint, the sequence or an option is no such thing.
    """
    from pipeline.core.files import file_digest
    from pipeline.core.progress import Progress
    from pipeline.core.provenance import code_digest
    from pipeline.datasets.video_source import open_video
    from pipeline.deploy.sequence_verification import CheckSettings, check_sequence, in_lava
    from pipeline.deploy.verification import in_words
    from pipeline.tasks.tracking.checkpoint import load_model
    from pipeline.tasks.tracking.model_tracker import around
    from pipeline.tasks.tracking.models.spiking import SpikingSiamFCpp
    from pipeline.tasks.tracking.recorded_crops import Selection, crops_of_sequence
    from pipeline.tasks.tracking.scorer import IntegerScorer
    from pipeline.tasks.tracking.track_video import first_box

    conv = _conv(wanted.convolution)
    model = load_model(wanted.checkpoint)
    if not isinstance(model, SpikingSiamFCpp):
        raise MonospikeError(f"{wanted.checkpoint}: holds no spiking network, and so nothing that Lava could run")
    video, progress, scorer = open_video(wanted.sequence), Progress(), IntegerScorer(model)
    box, settings = first_box(video, parsed_box(wanted.box)), tracker_settings(str(wanted.checkpoint), wanted.config)
    selection = Selection(wanted.frames, wanted.every, wanted.reprogram)
    with progress.task(f"track {video.name}", max(len(video) - 1, 1)) as task:
        targets = crops_of_sequence(lambda s: around(s, model, settings), scorer, video, box, selection, task.reach)
    frames = sum(len(target.frames) for target in targets)
    how = in_lava(scorer.network, conv)
    progress.say(f"{video.name}: {frames} frames, {len(targets)} targets programmed; {how}")
    folder = wanted.out / f"{wanted.checkpoint.stem}-{video.name}"
    check = CheckSettings(conv, wanted.seconds, folder, f"{file_digest(wanted.checkpoint)} {code_digest()}")
    with progress.task("student, engine, Lava", frames + len(targets)) as task:
        verdict = check_sequence(model, targets, check, task.reach)
    summary = {
        "checkpoint": str(wanted.checkpoint),
        "sequence": video.name,
        "frames": [list(target.frames) for target in targets],
        "convolution": how,
        **{key: value for key, value in verdict.items() if key not in ("frames", "file_differences")},
    }
    with write_whole(folder / "verification.json") as temporary:
        temporary.write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
    progress.say(in_words(verdict))
    progress.say(f"{folder / 'verification.json'}")
    return verdict


def _conv(name: str) -> ConvModel:
    from sim.lava import ConvModel

    for model in get_args(ConvModel):
        if model == name:
            return model
    raise MonospikeError(f"--convolution {name!r}: expected {' or '.join(get_args(ConvModel))}")
