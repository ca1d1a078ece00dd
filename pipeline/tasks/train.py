"""A whole training: from a configuration to checkpoints in the run's folder."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

import torch

from netx.files import write_whole
from pipeline.core.config import ConfigError, parse_config
from pipeline.core.files import file_digest
from pipeline.core.progress import Progress
from pipeline.core.provenance import versions
from pipeline.models.blocks import find_blocks, name_of
from pipeline.models.parameters import parameter_count
from pipeline.tasks.dry_run import rehearse, rehearsed_answers
from pipeline.tasks.tracking.checkpoint import Model, build, save_model, start_from
from pipeline.tasks.tracking.models.initialisation import LIKE_RATE, LOOKED_AT, start_like
from pipeline.tasks.tracking.models.spiking import SpikingSiamFCpp
from pipeline.tasks.tracking.rounding import rounding_difference
from pipeline.tasks.tracking.terms import build_terms
from pipeline.tasks.tracking.training_config import ModelEntry, TrainingConfig
from pipeline.tasks.tracking.validation import Track, judge, validation_tracks
from pipeline.training.batches import CropBatch, batches
from pipeline.training.calibration import RATE, calibrate
from pipeline.training.distributed import Place
from pipeline.training.logs import SPEED, Log, Stopwatch
from pipeline.training.loop import Learner, Method, learner_of, train
from pipeline.training.state import SavedState, load_state, save_state
from pipeline.training.term import Term, TrainingError

STATE = "state.safetensors"
METRICS = "metrics.json"


def run_training(config: TrainingConfig, folder: Path, place: Place, progress: Progress) -> dict[str, Any]:
    """Train, or go on where a training of the same configuration was stopped, or find that it is done.

    Leaves NAME.safetensors for each trained model, metrics.json, log.jsonl and state.safetensors in ``folder``. Returns
    what metrics.json holds: for each trained model what ``judge`` says after the last step.
    """
    _check_weights(config)
    saved = load_state(folder / STATE, lambda fingerprint: _is_of(config, fingerprint))
    first = saved.step if saved else 0
    if saved and first >= config.train.steps and (folder / METRICS).exists():
        progress.say(f"{config.name}: is trained already, in {folder}")
        return dict(json.loads((folder / METRICS).read_text(encoding="utf-8")))
    terms, needed = _terms(config)
    stream = batches(config, first, place.rank)
    models, stream = _models(config, needed, saved, stream, place)
    method = Method(
        {name: model for name, model in models.items() if config.models[name].trained},
        {name: model.eval() for name, model in models.items() if not config.models[name].trained},
        [term.to(place.device) for term in terms],
    )
    learner = learner_of(method, config.train)
    if saved:
        saved.restore(method.learning, learner.optimiser)
    tracks = validation_tracks(config.validation, config.seed) if place.leads else []
    session = _Session(config, folder, place, method, learner, tracks, Stopwatch(first))
    if place.leads:
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.glob(f".{STATE}.*"):  # by a training that was killed while it wrote
            shutil.rmtree(left, ignore_errors=True)
        (folder / METRICS).unlink(missing_ok=True)  # of another configuration: they would say that this one is done
        session.log = Log(folder, first)
        at = f"from step {first}" if first else "afresh"
        progress.say(f"{config.name}: training {at} on {place.world} x {place.device.type}, in {folder}")
        models = {**method.trained, **method.fixed}
        progress.say("  parameters: " + ", ".join(f"{n} {parameter_count(model):,}" for n, model in models.items()))
        if made := {name_of(model.blocks) for model in method.trained.values() if isinstance(model, SpikingSiamFCpp)}:
            progress.say(f"  spiking layers: {' and '.join(sorted(made))}")
        if config.train.mixed_precision and not place.has_bfloat16:
            progress.say("  in float32: this processor has no bfloat16, which mixed_precision asks for")
        if not session.log.has_tensorboard:
            progress.say("  without TensorBoard's logs: they need monospike's extra 'train'")
    with progress.task(config.name, config.train.steps) as task:

        def after_step(step: int, losses: Mapping[str, float], rate: float) -> None:
            session.after_step(step, losses, rate)
            task.reach(step, ", ".join(f"{name} {value:.3f}" for name, value in losses.items()))

        train(method, learner, config.train, first, stream, place, after_step)
    return session.finish()


@dataclass
class _Session:
    """What happens between the steps: states, logs, validation."""

    config: TrainingConfig
    folder: Path
    place: Place
    method: Method[Model]
    learner: Learner
    tracks: list[Track]
    stopwatch: Stopwatch
    log: Log | None = None

    def after_step(self, step: int, losses: Mapping[str, float], rate: float) -> None:
        settings, last = self.config.train, step == self.config.train.steps
        saves = step % settings.save_every == 0 or last
        if saves:
            self.place.agree(self.method.learning.values())
        if self.log is None:
            return
        self._write(self.log, step, losses, rate)
        if saves:
            # Last, so that a training that goes on from this state lacks nothing that was to be logged before it.
            self.log.flush()
            fingerprint = _fingerprint(self.config)
            save_state(self.folder / STATE, self.method.learning, self.learner.optimiser, step, fingerprint)

    def _write(self, log: Log, step: int, losses: Mapping[str, float], rate: float) -> None:
        """What of this step is to be logged, validation included."""
        settings, last = self.config.train, step == self.config.train.steps
        if step % settings.log_every == 0 or last:
            log.add(step, {**losses, "rate": rate, SPEED: self.stopwatch.lap(step) * settings.batch * self.place.world})
        if step % self.config.validation.every == 0 and not last:
            for name, judged in self.judged().items():
                log.add(step, {f"{name}/{key}": judged[key] for key in ("mean_iou", "spike_rate") if key in judged})
            self.stopwatch.lap(step)

    def judged(self) -> dict[str, Any]:
        """What each trained model is worth by now."""
        settings, device = self.config.tracker, self.place.device
        return {name: judge(model, self.tracks, settings, device) for name, model in self.method.trained.items()}

    def sizes(self, name: str) -> dict[str, Any]:
        """How many parameters a trained model has, and how many times fewer than each model beside it that is not."""
        count = parameter_count(self.method.trained[name])
        others = {other: parameter_count(model) / count for other, model in self.method.fixed.items()}
        return {"parameters": count, **({"times_fewer_parameters": others} if others else {})}

    def rounding(self, name: str) -> dict[str, Any]:
        """What rounding to integers changes in a model that spikes."""
        model = self.method.trained[name]
        if not isinstance(model, SpikingSiamFCpp):
            return {}
        return {"rounding": rounding_difference(model, self.tracks, self.config.tracker, self.place.device)}

    def finish(self) -> dict[str, Any]:
        """Judge and save the models. Processes that don't lead have nothing to say."""
        metrics: dict[str, Any] = {}
        if self.log is not None:
            metrics = {n: {**judged, **self.sizes(n), **self.rounding(n)} for n, judged in self.judged().items()}
            notes = {"training": self.config.model_dump_json(), "versions": json.dumps(versions())}
            for name, model in self.method.trained.items():
                save_model(model, self.folder / f"{name}.safetensors", {**notes, "metrics": json.dumps(metrics[name])})
                self.log.add(self.config.train.steps, {f"{name}/mean_iou": metrics[name]["mean_iou"]})
            with write_whole(self.folder / METRICS) as temporary:
                temporary.write_text(json.dumps(metrics, indent=1), encoding="utf-8")
            self.log.close()
        self.place.wait()
        return metrics


def _check_weights(config: TrainingConfig) -> None:
    for name, entry in config.models.items():
        if entry.weights is not None and not Path(entry.weights).is_file():
            raise TrainingError(
                f"models.{name}.weights: there is no checkpoint {entry.weights} here; train that model first, or name "
                "another file"
            )


def _terms(config: TrainingConfig) -> tuple[list[Term], set[str]]:
    """The terms, and the names of the models that they look at. Raises TrainingError where a term doesn't fit them."""
    architectures = {name: entry.architecture for name, entry in config.models.items()}
    answers = rehearsed_answers(architectures)
    torch.manual_seed(config.seed)  # adapters have weights at random
    terms = build_terms(config.losses, answers)
    answers.read.clear()
    return terms, rehearse(terms, answers, next(iter(architectures.values())))


def _models(
    config: TrainingConfig, needed: set[str], saved: SavedState | None, stream: Iterator[CropBatch], place: Place
) -> tuple[dict[str, Model], Iterator[CropBatch]]:
    """The needed models on their device, and the stream as it was before batches of it were looked at."""
    models: dict[str, Model] = {}
    shown: list[CropBatch] = []
    for name, entry in config.models.items():
        if name not in needed:
            continue  # the terms that look at it are left out
        torch.manual_seed(config.seed)
        if saved and entry.trained:
            models[name] = build(saved.architectures[name])
        elif entry.weights is not None:
            models[name] = start_from(Path(entry.weights), entry.architecture)
        else:
            models[name] = build(entry.architecture)
            if not shown and _looks(entry):
                # All processes look at the same batches, so that they start from the same weights and thresholds.
                shown = list(islice(stream if place.leads else batches(config, 0), LOOKED_AT))
                stream = chain(shown, stream) if place.leads else stream
            models[name] = _started(models[name], config, entry, shown)
        models[name] = _in_blocks(models[name], config, entry, place).to(place.device)
    return models, stream


def _in_blocks(model: Model, config: TrainingConfig, entry: ModelEntry, place: Place) -> Model:
    """A spiking model that is trained, in the layers that it is trained in."""
    if not isinstance(model, SpikingSiamFCpp) or not entry.trained:
        return model
    return model.built_of(find_blocks(config.train.blocks, model.config.neurons, model.config.surrogate, place.device))


def _looks(entry: ModelEntry) -> bool:
    """Whether a model that starts afresh looks at batches before."""
    return entry.architecture.kind == "spiking" and (entry.calibrate or entry.like is not None)


def _started(model: Model, config: TrainingConfig, entry: ModelEntry, shown: Sequence[CropBatch]) -> Model:
    if not isinstance(model, SpikingSiamFCpp) or not _looks(entry):
        return model
    if entry.like is None:
        return calibrate(model, shown[0].template, shown[0].search, entry.rate or RATE)
    other = config.models[entry.like]
    assert other.weights is not None, "the configuration has been checked"
    return start_like(model, start_from(Path(other.weights), other.architecture), shown, entry.rate or LIKE_RATE)


def _fingerprint(config: TrainingConfig) -> str:
    """Tells trainings apart whose weights may differ."""
    weights = [file_digest(Path(entry.weights)) for entry in config.models.values() if entry.weights is not None]
    return json.dumps([_values(config), weights])


def _values(config: TrainingConfig) -> dict[str, Any]:
    train = {"save_every", "log_every", "workers", "blocks"}  # none of them changes a bit
    return config.model_dump(mode="json", exclude={"train": train, "validation": True, "name": True, "pruning": True})


def _is_of(config: TrainingConfig, fingerprint: str) -> bool:
    """Whether a training of this fingerprint is one of ``config``. Options that were not there when it was saved have
    their defaults."""
    values, weights = json.loads(fingerprint)
    try:
        before = parse_config({**values, "name": config.name}, TrainingConfig, "the saved state")
    except ConfigError:
        return False
    return json.dumps([_values(before), weights]) == _fingerprint(config)
