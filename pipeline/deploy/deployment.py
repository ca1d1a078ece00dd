"""The main job: a configuration becomes a trained student, a network of integers, proof that it runs alike, a report.

A deployment is a list of named stages. Each leaves its files in the run's folder, and reads those of the stages before
it from there, so that any stage can be run alone.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from netx import Network, prove_headroom
from netx.bundle import load, save
from netx.difference import first_difference
from netx.errors import MonospikeError
from netx.files import write_whole
from pipeline.core.files import file_digest, files_stamp, write_json
from pipeline.core.progress import Progress
from pipeline.core.provenance import versions
from pipeline.datasets.clip import Clip
from pipeline.datasets.config import DataConfig
from pipeline.datasets.dataset import make_sequences
from pipeline.datasets.errors import DataError
from pipeline.datasets.locations import located
from pipeline.datasets.pictures import BUILTIN
from pipeline.deploy import verification
from pipeline.deploy.config import RunConfig
from pipeline.deploy.stages import STAGES, Stage, StageError, read_record
from pipeline.experiments.dse.page import chip_fronts
from pipeline.experiments.dse.results import read_results, save_results
from pipeline.model_zoo.names import checkpoint_path
from pipeline.planning.costs import cost_summary, save_activity
from pipeline.planning.files import save_plans
from pipeline.planning.plan import chip_name, make_plans
from pipeline.report.figures import Figures, TrackedSequence
from pipeline.report.report import write_report
from pipeline.tasks.tracking import accuracy
from pipeline.tasks.tracking.crop import from_pixels
from pipeline.tasks.tracking.deployable import trained_model
from pipeline.tasks.tracking.deployed import Deployed
from sim.activity import count
from sim.hardware import load_chip
from sim.recording import Recording

REPORT_FILES = ("report.json", "report.html", "tracking.gif", "search/*")
"""The last are those of a search, where the configuration names one."""

SPIKE_PICTURE_FRAME = 12
"""Search frame whose spikes the report shows: the target has moved by then."""

FORMATS: tuple[Literal["net"], Literal["nir"]] = ("net", "nir")


class ExportError(MonospikeError):
    """A file that, read back, is not the network that was written."""


class Deployment:
    """The stages of one run, and the files that pass between them."""

    def __init__(self, config: RunConfig, folder: Path, progress: Progress, retrain: bool = False) -> None:
        """folder: the run's."""
        self.config, self.folder, self.progress = config, folder, progress
        if retrain:
            raise StageError(f"--retrain: {config.model} is trained by monospike train; there is nothing to train here")

    def stages(self) -> list[Stage]:
        """All stages, in order."""
        config = self.config.model_dump(mode="json")
        config["checkpoint"] = file_digest(checkpoint_path(self.config.model))
        config["searched"] = self.config.search and read_results(self.config.search)
        config["data"]["files"] = _stamps(self.config.data)
        priced = {*self.config.profile.chips, *self.config.profile.energy}
        config["profile"]["read"] = {name: load_chip(name).model_dump(mode="json") for name in priced}

        def stage(name: str, work: Callable[[], str], needs: str, settings: str, *outputs: str) -> Stage:
            picked = {key: config[key] for key in settings.split()}
            return Stage(name, work, picked, tuple(needs.split()), outputs or (f"{name}/**/*",))

        frames = "seed model simulate tracker"
        return [
            stage("data", self.data, "", "seed data"),
            stage("train", self.train, "", "model tracker checkpoint", "train/student.safetensors"),
            stage("quantize", self.quantize, "train", "model"),
            stage("export", self.export, "data quantize", frames),
            stage("simulate", self.simulate, "data train quantize export", frames),
            stage("verify", self.verify, "data quantize export simulate", frames),
            stage("profile", self.profile, "data train quantize simulate", f"{frames} profile"),
            stage("report", self.report, " ".join(STAGES[:-1]), " ".join(config), *REPORT_FILES),
        ]

    def data(self) -> str:
        """Sequences to judge the trackers on: composed from pictures, or read from a dataset."""
        frames = 0
        with (
            self.progress.task("sequences", self.config.data.sequences) as task,
            write_whole(self.folder / "data") as to,
        ):
            to.mkdir()
            for index, sequence in enumerate(make_sequences(self.config.data, self.config.seed)):
                if len(sequence) < 2:
                    raise DataError(
                        f"sequence {sequence.name!r}: has one frame; there is nothing to follow without more"
                    )
                sequence.save(to / f"{index:03}.npz")
                frames += len(sequence.frames)
                task.advance()
        return f"{index + 1} sequences, {frames} frames"

    def train(self) -> str:
        """The student, from its checkpoint."""
        source = checkpoint_path(self.config.model)
        self._deployed_from(source)
        with write_whole(self.folder / "train" / "student.safetensors") as temporary:
            shutil.copyfile(source, temporary)
        return f"taken from {source.name}"

    def quantize(self) -> str:
        """The student as one network of integers, every accumulator proven, written as .net parts and read back."""
        network = self._deployed().network()
        bounds = prove_headroom(network)
        _save_checked(network, self.folder / "quantize" / "network", "net")
        tightest = max(bounds, key=lambda bound: bound.worst_case)
        return (
            f"{len(bounds)} layers proven within 24 bits; closest is {tightest.layer} "
            f"with {tightest.worst_case} of {tightest.limit}"
        )

    def export(self) -> str:
        """The tracker of the first sequence's target in both formats, read back and compared."""
        target = self._target()
        for format_ in FORMATS:
            for branch, network in target.networks.items():
                _save_checked(network, self._exported(format_)[branch], format_)
        return "template and programmed search network as .net and .nir, read back equal"

    def simulate(self) -> str:
        """The same frames through every engine."""
        target = self._target()
        for name, recordings in self._run_engines(target):
            for branch, recording in recordings.items():
                recording.save(self._recorded(name, branch))
        return f"{len(target.frames['search'])} search frames through {', '.join(verification.ENGINES)}"

    def _run_engines(self, target: verification.Target) -> Iterator[tuple[str, Mapping[str, Recording]]]:
        with self.progress.task("SLAYER, engine, norse", 3) as task:
            yield "slayer", self._deployed().record(target)
            task.advance()
            yield "engine", verification.run_engine(target)
            task.advance()
            yield "norse", verification.run_norse(self._exported("nir"), target)
            task.advance()
        with self.progress.task("Lava", len(target.frames["search"])) as task:
            settings = self.config.simulate
            reach = lambda done, _: task.reach(done)  # noqa: E731
            yield "lava", verification.run_lava(self._exported("net"), target, settings, reach)

    def verify(self) -> str:
        """Compare what ``simulate`` recorded."""
        recordings = {
            name: {branch: Recording.load(self._recorded(name, branch)) for branch in verification.BRANCHES}
            for name in verification.ENGINES
        }
        verdict = self._judge(self._target(), recordings)
        write_json(self.folder / "verify" / "verification.json", verdict)
        return verification.in_words(verdict)

    def identical(self) -> bool:
        """What the last ``verify`` found."""
        return bool(_read_json(self.folder / "verify" / "verification.json")["identical"])

    def verify_again(self) -> dict[str, Any]:
        """Run and compare every engine anew, on the files as they are now; nothing is written."""
        target = self._target()
        return self._judge(target, dict(self._run_engines(target)))

    def _judge(self, target: verification.Target, recordings: Mapping[str, Mapping[str, Recording]]) -> dict[str, Any]:
        exports: dict[str, Mapping[str, Path]] = {format_: self._exported(format_) for format_ in FORMATS}
        return verification.judge(target, recordings, exports)

    def profile(self) -> str:
        """Accuracy of float and integer side by side; size, activity and energy of the integer network."""
        network, target, deployed = self._network(), self._target(), self._deployed()
        tracks = accuracy.follow_all(
            self._sequences(), deployed.scorers(network), deployed.geometry, deployed.settings, self.progress
        )
        recordings = {branch: Recording.load(self._recorded("engine", branch)) for branch in verification.BRANCHES}
        real = target.real_frames
        frames = {"search": target.frames["search"][:real]}
        activity = count(target.networks["search"], frames, recordings["search"].first(real))
        costs = cost_summary(network, activity, list(recordings.values()), self.config.profile.energy)
        scores = accuracy.summary(tracks)
        save_activity(self.folder / "profile" / "activity.npz", activity)
        accuracy.save_tracks(self.folder / "profile" / "tracks.npz", tracks)
        write_json(self.folder / "profile" / "costs.json", costs)
        searching, real_recording = target.networks["search"], recordings["search"].first(real)
        save_plans(self.folder / "profile", make_plans(searching, frames, real_recording, self.config.profile.chips))
        write_json(self.folder / "profile" / "accuracy.json", scores)
        values = ", ".join(f"{name.replace('_', ' ')} {scores[name]['mean_iou']:.3f}" for name in accuracy.TRACKERS)
        return f"mean IoU: {values}"

    def report(self) -> str:
        """Everything in report.json, report.html and an animation."""
        verdict = _read_json(self.folder / "verify" / "verification.json")
        scores = _read_json(self.folder / "profile" / "accuracy.json")
        searched = None if self.config.search is None else read_results(self.config.search)
        report = {
            **_read_json(self.folder / "profile" / "costs.json"),
            "verification": verdict,
            "planning": _read_json(self.folder / "profile" / "planning.json"),
            "accuracy": {
                **{name: {"mean_iou": scores[name]["mean_iou"]} for name in accuracy.TRACKERS},
                "frames": scores["frames"],
                "sequences": scores["sequences"],
            },
            "files": self._files(),
            "versions": versions(),
            "seed": self.config.seed,
            "config": self.config.model_dump(mode="json"),
            "seconds": {name: record["seconds"] for name in STAGES if (record := read_record(self.folder, name))},
            "commands": self._commands(),
            **({} if searched is None else {"search": searched}),
        }
        write_report(self.folder, report, self._figures(searched))
        shutil.rmtree(self.folder / "search", ignore_errors=True)
        if searched is not None:
            save_results(searched, self.folder / "search")
        return str(self.folder / "report.html")

    def _commands(self) -> list[str]:
        config = self.folder / "config.yaml"
        return [f"monospike deploy {config}", f"monospike verify {config}"]

    def _files(self) -> dict[str, dict[str, Any]]:
        files = {}
        for name in STAGES[:-1]:
            record = read_record(self.folder, name) or {"files": {}}
            for path, digest in record["files"].items():
                files[path] = {"path": path, "sha256": digest, "bytes": (self.folder / path).stat().st_size}
        return files

    def _figures(self, searched: Mapping[str, Any] | None) -> Figures:
        tracks = accuracy.load_tracks(self.folder / "profile" / "tracks.npz")
        tracked = tuple(
            TrackedSequence(
                name=track.name,
                frames=sequence.stacked(),
                truth=track.truth,
                float_boxes=track.boxes["float"],
                integer_boxes=track.boxes["integer"],
                float_iou=track.overlaps("float"),
                integer_iou=track.overlaps("integer"),
                fixed_iou=track.overlaps("fixed_box"),
            )
            for sequence, track in zip(self._sequences(), tracks, strict=True)
        )
        target = self._target()
        shown = min(SPIKE_PICTURE_FRAME, target.real_frames - 1)
        at = {"template": 0, "search": shown}
        spikes = {
            name: values[at[branch]]
            for branch in verification.BRANCHES
            for name, values in Recording.load(self._recorded("engine", branch)).spikes.items()
        }
        bits = self._deployed().chip_geometry.pixel_bits
        crops = {branch: from_pixels(target.frames[branch][at[branch]], bits) for branch in verification.BRANCHES}
        planned = [chip_name(chip) for chip in self.config.profile.chips]
        chips = {chip: (self.folder / "profile" / f"planning-{chip}.svg").read_text("utf-8") for chip in planned}
        fronts = () if searched is None else chip_fronts(searched)
        return Figures(sequences=tracked, spikes=spikes, chips=chips, fronts=fronts, **crops)

    def _target(self) -> verification.Target:
        first, deployed = Clip.load(self._sequence_files()[0]), self._deployed()
        geometry, settings = deployed.chip_geometry, deployed.settings
        return verification.make_target(
            self._network(), first, self.config.simulate.frames, geometry, settings, self.config.seed
        )

    def _deployed(self) -> Deployed:
        return self._deployed_from(self.folder / "train" / "student.safetensors")

    def _deployed_from(self, checkpoint: Path) -> Deployed:
        return trained_model(checkpoint, self.config.tracker)

    def _network(self) -> Network:
        return load(self.folder / "quantize" / "network")

    def _sequences(self) -> list[Clip]:
        return [Clip.load(path) for path in self._sequence_files()]

    def _sequence_files(self) -> list[Path]:
        folder = self.folder / "data"
        files = sorted(folder.glob("*.npz"))
        if not files:
            raise StageError(f"{folder}: holds no sequences; run monospike deploy first, or again with --from data")
        return files

    def _exported(self, format_: str) -> dict[str, Path]:
        """Where the branches lie in one format: folders, since one file holds a chain, and a template branch makes two
        kernels and a search branch several read-outs."""
        return {branch: self.folder / "export" / f"{branch}-{format_}" for branch in verification.BRANCHES}

    def _recorded(self, engine: str, branch: str) -> Path:
        return self.folder / "simulate" / f"{engine}-{branch}.npz"


def _stamps(data: DataConfig) -> list[str]:
    """What tells the user's pictures and sequences, where there are any, from those that were there before."""
    pictures = [] if data.pictures == BUILTIN else [files_stamp(located(data.pictures), "**/*")]
    dataset = [] if data.dataset is None else [files_stamp(located(data.dataset), "*/groundtruth_rect*.txt", "*/img/*")]
    return pictures + dataset


def _save_checked(network: Network, path: Path, format_: Literal["net", "nir"]) -> None:
    save(network, path, format=format_)
    if found := first_difference(network, load(path)):
        raise ExportError(f"{path}: read back, it is another network: {found}")


def _read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))
