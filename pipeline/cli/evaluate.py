"""``monospike evaluate``: a tracker on a benchmark, a detector on pictures, or a segmenter on videos with masks."""

from __future__ import annotations

from netx.errors import MonospikeError
from pipeline.cli.evaluate_detection import DETECTION, evaluate_detection
from pipeline.cli.evaluate_segmentation import evaluate_segmentation, mask_benchmarks
from pipeline.cli.evaluate_tracking import evaluate_tracking
from pipeline.cli.evaluation_options import EvaluateOptions


def evaluate(options: EvaluateOptions) -> None:
    """Run a tracker on every sequence of a benchmark, a detector on every picture or a segmenter on every video, and
    write its scores.

    With several starts each runs to the end of the sequence that is farther away, forwards or backwards, as VOT has it
    since 2020; the scores are means over the runs, and one loss of the object decides less.

    In single-frame evaluation a tracker takes its template from each start and searches frames of the whole sequence,
    each around a box near the true one; no error reaches the next frame.

    Several sequences are followed at the same time, each on one core, with the same boxes as one after the other.

    Each finished sequence leaves its boxes beside the result file: the same command goes on where it was stopped. Ends
    with 1 when a sequence could not be evaluated; the others' scores are written all the same.

    For a detector: monospike evaluate detection --root DIR --model NAME. It leaves its detections beside the scores, as
    COCO's results. Bad annotations and pictures are named, and cost the others nothing.

    For a segmenter: monospike evaluate davis16|davis17|youtube-vos|masks --root DIR --model NAME. It leaves its masks
    beside the scores. Bad sequences are named, and cost the others nothing. The model "still" is a first mask that
    never moves.
    """
    name, masked = options.benchmark, mask_benchmarks()
    of_trackers = (options.absent, options.weights, options.config, options.jobs, options.address, options.looks)
    if name not in (DETECTION, *masked):
        if any(value is not None for value in (options.model, options.annotations, options.split)):
            others = ", ".join(map(repr, (DETECTION, *masked)))
            raise MonospikeError(f"--model, --annotations and --split are for {others}; {name!r} takes --tracker")
        evaluate_tracking(options)
        return
    follows = options.tracker != "demo" or options.starts != 1 or options.single_frame
    if follows or any(value is not None for value in of_trackers):
        raise MonospikeError(f"evaluate {name} takes --root, --model, --engine, --out, --split{_MORE.get(name, '')}")
    if name == DETECTION:
        evaluate_detection(options)
    elif options.annotations is not None:
        raise MonospikeError(f"--annotations is for {DETECTION!r}; {name!r} has its masks in the root")
    else:
        evaluate_segmentation(options)


_MORE = {DETECTION: " and --annotations"}
