"""A whole training: from a configuration to checkpoints in the run's folder."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

import torch
from torch import nn

from netx.errors import FormatError
from netx.files import remove_unfinished, write_whole
from netx.text_files import read_json
from pipeline.core.config import ConfigError, parse_config
from pipeline.core.files import file_digest
from pipeline.core.progress import Progress
from pipeline.core.provenance import versions
from pipeline.core.task import Batch, Task, Validator
from pipeline.models.blocks import built_of, find_blocks, name_of
from pipeline.models.parameters import parameter_count
from pipeline.models.quantisation import QuantisedModule
from pipeline.tasks.checkpoint import parse_architecture, round_to_half, save_checkpoint, start_from
from pipeline.tasks.config import TrainingConfig
from pipeline.tasks.dry_run import dry_answers, dry_run
from pipeline.training.averaging import Averages
from pipeline.training.batches import batches
from pipeline.training.config import MAIN
from pipeline.training.distributed import DistributedContext
from pipeline.training.gate import Gate
from pipeline.training.learners import Learner, learners_of
from pipeline.training.logs import SPEED, Log, Stopwatch
from pipeline.training.loop import train
from pipeline.training.method import Method
from pipeline.training.state import SavedState, load_state, save_state
from pipeline.training.term import Term, TrainingError

STATE = "state.safetensors"
METRICS = "metrics.json"


def run_training(
    task: Task, config: TrainingConfig, folder: Path, context: DistributedContext, progress: Progress
) -> dict[str, Any]:
    """Train, or go on where a training of the same configuration was stopped, or find that it is done.

    Leaves NAME.safetensors for each trained model, metrics.json, log.jsonl and state.safetensors in ``folder``. Returns
    what metrics.json holds: for each trained model what the task's validation says after the last step.
    """
    _check_weights(config)
    saved = load_state(folder / STATE, lambda fingerprint: _is_of(task, config, fingerprint))
    first = saved.step if saved else 0
    if saved and first >= config.train.steps and (folder / METRICS).exists():
        progress.say(f"{config.name}: is trained already, in {folder}")
        return _finished(folder / METRICS)
    terms, needed = _terms(task, config)
    stream = _Stream(task, config, first, context)
    models = _models(task, config, needed, saved, stream, context)
    method = Method(
        {name: model for name, model in models.items() if config.models[name].trained},
        {name: model.eval() for name, model in models.items() if not config.models[name].trained},
        [term.to(context.device) for term in terms],
        _gate(task, config),
    )
    learners = learners_of(method, config.train, config.learners)
    averages = None
    if config.train.averaging is not None and context.leads:  # who writes files keeps them; all have the same weights
        averages = Averages(method.trained, config.train.averaging)
    if saved:
        saved.restore(method, learners, averages)
    validator = task.validator(config) if context.leads else None
    session = _Session(task, config, folder, context, method, learners, validator, averages, Stopwatch(first))
    if context.leads:
        session.begin(first, progress)
    with progress.task(config.name, config.train.steps) as bar:

        def after_step(step: int, losses: Mapping[str, float], rates: Mapping[str, float]) -> None:
            session.after_step(step, losses, rates)
            bar.reach(step, ", ".join(f"{name} {value:.3f}" for name, value in losses.items()))

        train(method, learners, config.train, first, iter(stream), context, after_step)
    return session.finish()


@dataclass
class _Session:
    """What happens between the steps: states, logs, validation."""

    task: Task
    config: TrainingConfig
    folder: Path
    context: DistributedContext
    method: Method
    learners: Sequence[Learner]
    validator: Validator | None
    averages: Averages | None
    stopwatch: Stopwatch
    log: Log | None = None

    def begin(self, first: int, progress: Progress) -> None:
        """Make the folder ready, and say what is about to be done in it."""
        config, context = self.config, self.context
        self.folder.mkdir(parents=True, exist_ok=True)
        remove_unfinished(self.folder)
        (self.folder / METRICS).unlink(missing_ok=True)  # of another configuration: would say that this one is done
        self.log = Log(self.folder, first)
        at = f"from step {first}" if first else "afresh"
        progress.say(f"{config.name}: training {at} on {context.world} x {context.device.type}, in {self.folder}")
        models = {**self.method.trained, **self.method.fixed}
        progress.say("  parameters: " + ", ".join(f"{n} {parameter_count(model):,}" for n, model in models.items()))
        if made := {name_of(model.blocks) for model in self.method.trained.values() if hasattr(model, "blocks")}:
            progress.say(f"  spiking layers: {' and '.join(sorted(made))}")
        if len(self.learners) > 1:
            members = (f"{learner.name} ({', '.join(sorted(learner.members))})" for learner in self.learners)
            progress.say("  learners: " + ", ".join(members))
        if online := config.online:
            progress.say(f"  gate ({online.gate}): {online.teacher} is held back by its gap to {online.student}")
        if config.train.mixed_precision and not context.has_bfloat16:
            progress.say("  in float32: this processor has no bfloat16, which mixed_precision asks for")
        if not self.log.has_tensorboard:
            progress.say("  without TensorBoard's logs: they need monospike's extra 'train'")

    def after_step(self, step: int, losses: Mapping[str, float], rates: Mapping[str, float]) -> None:
        settings, last = self.config.train, step == self.config.train.steps
        saves = step % settings.save_every == 0 or last
        if saves:
            self.context.agree(self.method.learning.values())
        if self.averages is not None:
            self.averages.update(step)
        if self.log is None:
            return
        self._write(self.log, step, losses, rates)
        if saves:
            # Last, so that a training that goes on from this state lacks nothing that was to be logged before it.
            self.log.flush()
            save_state(self.folder / STATE, self.method, self.learners, step, _fingerprint(self.config), self.averages)

    def _write(self, log: Log, step: int, losses: Mapping[str, float], rates: Mapping[str, float]) -> None:
        """What of this step is to be logged, validation included."""
        settings, last = self.config.train, step == self.config.train.steps
        if step % settings.log_every == 0 or last:
            speed = self.stopwatch.lap(step) * settings.batch * self.context.world
            by_name = {"rate" if name == MAIN else f"rate/{name}": value for name, value in rates.items()}
            log.add(step, {**losses, **by_name, SPEED: speed})
        if step % self.config.validation.every == 0 and not last:
            for name, scores in self.validated().items():
                log.add(step, self._logged(name, scores))
            self.stopwatch.lap(step)

    def _logged(self, name: str, scores: Mapping[str, Any]) -> dict[str, float]:
        assert self.validator is not None, "the process that logs validates"
        return {f"{name}/{key}": scores[key] for key in self.validator.logged if key in scores}

    @property
    def models(self) -> Mapping[str, nn.Module]:
        """What has been trained by now: moving averages of the weights where there are any."""
        return self.method.trained if self.averages is None else self.averages.models

    def validated(self) -> dict[str, Any]:
        """The scores of each trained model by now."""
        assert self.validator is not None, "the process that logs validates"
        return {n: self.validator.validate(model, self.context.device) for n, model in self.models.items()}

    def sizes(self, name: str) -> dict[str, Any]:
        """How many parameters a trained model has, and how many times fewer than each model beside it that is not."""
        count = parameter_count(self.method.trained[name])
        others = {other: parameter_count(model) / count for other, model in self.method.fixed.items()}
        return {"parameters": count, **({"times_fewer_parameters": others} if others else {})}

    def finish(self) -> dict[str, Any]:
        """Validate and save the models. Processes that don't lead have nothing to say."""
        metrics: dict[str, Any] = {}
        if self.log is not None and self.validator is not None:
            halved = {name for name in self.models if self.config.models[name].stored == "float16"}
            for name in halved:
                round_to_half(self.models[name])  # what is scored is what is kept
            for name, scores in self.validated().items():
                rounding = self.validator.rounding(self.models[name], self.context.device)
                metrics[name] = {**scores, **self.sizes(name), **({"rounding": rounding} if rounding else {})}
            notes = {"training": self.config.model_dump_json(), "versions": json.dumps(versions())}
            processing = self.task.processing(self.config)
            for name, model in self.models.items():
                path, of_model = self.folder / f"{name}.safetensors", {"metrics": json.dumps(metrics[name])}
                save_checkpoint(model, self.task.name, processing, path, {**notes, **of_model}, name in halved)
                self.log.add(self.config.train.steps, self._logged(name, metrics[name]))
            with write_whole(self.folder / METRICS) as temporary:
                temporary.write_text(json.dumps(metrics, indent=1), encoding="utf-8")
            self.log.close()
        self.context.wait()
        return metrics


class _Stream:
    """The batches of a training from a step on, of which the first ones may be looked at before."""

    def __init__(self, task: Task, config: TrainingConfig, first: int, context: DistributedContext) -> None:
        self._task, self._config, self._context = task, config, context
        self._batches = batches(task.batches(config, context.rank), first, config.train.workers)
        self._shown: list[Batch] = []

    def __iter__(self) -> Iterator[Batch]:
        return self._batches

    def first(self, count: int) -> Sequence[Batch]:
        """The first batches. All processes look at the same ones, so that they start from the same weights."""
        if len(self._shown) < count:
            if self._context.leads:
                untouched = self._batches
                drawn = list(islice(untouched, count))
                self._shown, self._batches = drawn, chain(drawn, untouched)
            else:
                others = batches(self._task.batches(self._config, 0), 0, self._config.train.workers)
                self._shown = list(islice(others, count))
        return self._shown[:count]


def _check_weights(config: TrainingConfig) -> None:
    for name, entry in config.models.items():
        if entry.weights is not None and not Path(entry.weights).is_file():
            raise TrainingError(
                f"models.{name}.weights: there is no checkpoint {entry.weights} here; train that model first, or name "
                "another file"
            )


def _terms(task: Task, config: TrainingConfig) -> tuple[list[Term], set[str]]:
    """The terms, and the names of the models that they look at. Raises TrainingError where a term doesn't fit them."""
    example = task.example(config)
    answers = dry_answers(task, {name: entry.architecture for name, entry in config.models.items()}, example)
    torch.manual_seed(config.seed)  # adapters have weights at random
    terms = task.build_terms(config, answers)
    answers.read.clear()
    return terms, dry_run(terms, _gate(task, config), answers, example)


def _gate(task: Task, config: TrainingConfig) -> Gate | None:
    if config.online is None:
        return None
    learner = config.learner_of(config.online.teacher)
    assert learner is not None, "as the configuration has it"
    return Gate(config.online, learner, task.compared(config))


def _models(
    task: Task,
    config: TrainingConfig,
    needed: set[str],
    saved: SavedState | None,
    stream: _Stream,
    context: DistributedContext,
) -> dict[str, nn.Module]:
    """The needed models on their device; the others' terms are left out."""
    models: dict[str, nn.Module] = {}
    for name, entry in config.models.items():
        if name not in needed:
            continue
        torch.manual_seed(config.seed)
        if saved and entry.trained:
            models[name] = task.build_model(parse_architecture(saved.architectures[name], task, saved.path))
        elif entry.weights is not None:
            models[name] = start_from(Path(entry.weights), entry.architecture, task.processing(config), task)
        else:
            models[name] = task.initialised(name, task.build_model(entry.architecture), config, stream.first)
        if entry.trained:
            models[name] = _in_blocks(models[name], config, context.device)
        models[name].to(context.device)
    return models


def _in_blocks(model: nn.Module, config: TrainingConfig, device: torch.device) -> nn.Module:
    """A spiking model in the layers that it is trained in."""
    if not isinstance(model, QuantisedModule) or not hasattr(model, "blocks"):
        return model
    settings: Any = model.config
    return built_of(model, find_blocks(config.train.blocks, settings.neurons, settings.surrogate, device))


def _finished(path: Path) -> dict[str, Any]:
    scores = read_json(path)
    if not isinstance(scores, dict) or not all(isinstance(value, dict) for value in scores.values()):
        raise FormatError(f"{path}: holds no scores of trained models; remove it, and they are worked out again")
    return scores


def _fingerprint(config: TrainingConfig) -> str:
    """Tells trainings apart whose weights may differ."""
    weights = [file_digest(Path(entry.weights)) for entry in config.models.values() if entry.weights is not None]
    return json.dumps([_values(config), weights])


def _values(config: TrainingConfig) -> dict[str, Any]:
    train = {"save_every", "log_every", "workers", "blocks"}  # none of them changes a bit
    return config.model_dump(mode="json", exclude={"train": train, "validation": True, "name": True, "pruning": True})


def _is_of(task: Task, config: TrainingConfig, fingerprint: str) -> bool:
    """Whether a training of this fingerprint is one of ``config``. Options that were not there when it was saved have
    their defaults."""
    try:
        values, weights = json.loads(fingerprint)
        before = parse_config({**values, "name": config.name}, task.training_config, "the saved state")
    except (ConfigError, ValueError, TypeError):
        return False
    assert isinstance(before, TrainingConfig), "of a task that is registered"
    return json.dumps([_values(before), weights]) == _fingerprint(config)
