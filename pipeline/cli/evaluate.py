"""``monospike evaluate``: a tracker on a benchmark, or a detector on pictures."""

from __future__ import annotations

from netx.errors import MonospikeError
from pipeline.cli.evaluate_detection import DETECTION, evaluate_detection
from pipeline.cli.evaluate_tracking import evaluate_tracking
from pipeline.cli.evaluation_options import EvaluateOptions


def evaluate(options: EvaluateOptions) -> None:
    """Run a tracker on every sequence of a benchmark, or a detector on every picture, and write its scores.

    With several starts each runs to the end of the sequence that is farther away, forwards or backwards, as VOT has it
    since 2020; the scores are means over the runs, and one loss of the object decides less.

    In single-frame evaluation a tracker takes its template from each start and searches frames of the whole sequence,
    each around a box near the true one; no error reaches the next frame.

    Several sequences are followed at the same time, each on one core, with the same boxes as one after the other.

    Each finished sequence leaves its boxes beside the result file: the same command goes on where it was stopped. Ends
    with 1 when a sequence could not be evaluated; the others' scores are written all the same.

    For a detector: monospike evaluate detection --root DIR --model NAME. It leaves its detections beside the scores, as
    COCO's results. Bad annotations and pictures are named, and cost the others nothing.
    """
    of_trackers = (options.absent, options.weights, options.config, options.jobs, options.address)
    of_detectors = (options.model, options.annotations, options.split)
    if options.benchmark != DETECTION:
        if any(value is not None for value in of_detectors):
            raise MonospikeError(
                f"--model, --annotations and --split are for {DETECTION!r}; {options.benchmark!r} takes --tracker"
            )
        evaluate_tracking(options)
        return
    follows = options.tracker != "demo" or options.starts != 1 or options.single_frame
    if follows or any(value is not None for value in of_trackers):
        raise MonospikeError("evaluate detection takes --root, --model, --engine, --out, --annotations and --split")
    evaluate_detection(options)
