"""The catalogue of faults: each is brought about on real runs, and what must be true then is looked at.

``make faults`` does all of it, 20 minutes at most on two quiet cores; ``python scripts/faults.py KIND... --seconds N``
some of it. Each kind has its share of the time; what did not fit is said. Prints the table of docs/faults.md.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import redirect_stdout, suppress
from pathlib import Path

import h5py
import numpy as np
import psutil
import torch
from faults_kitchen import Kitchen, Outcome, forked, monospike

from netx import LIF, Dense, Input, Layer, Network, Shape
from netx.files import UNFINISHED
from pipeline.cli.app import main
from pipeline.deploy.steps import STAGES

_MEBIBYTE = 1 << 20


def _kill_at(number: int, asked: Path) -> Callable[[], None]:
    """Has the process killed just before its rename of that number, from 1, which it notes in the file ``asked``."""

    def prepare() -> None:
        from netx import files

        count = itertools.count(1)
        for name in ("_exchanged",):
            original = getattr(files, name)
            setattr(files, name, lambda *paths, original=original: _die_or(original, *paths))
        replace = Path.replace

        def _die_or(move: Callable[..., object], *paths: object) -> object:
            if next(count) == number:
                asked.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            return move(*paths)

        Path.replace = lambda self, target: _die_or(replace, self, target)  # type: ignore[method-assign]

    return prepare


def kill_at_every_rename(kitchen: Kitchen, until: float, outcome: Outcome) -> None:
    """Killed before any rename of any stage, the same command goes on, to the same files, and nothing is left."""
    for stage in (*(one for one in STAGES if one != "simulate"), "simulate"):  # which runs Lava, and takes longest
        for number in itertools.count(1):
            if time.monotonic() > until:
                outcome.note += f" {stage} from rename {number} on not reached;"
                break
            with kitchen.copy() as place:
                asked = place / "killed"
                words = ("--from", stage, "--until", stage)
                killed = kitchen.deploy(place, *words, before=_kill_at(number, asked))
                if not asked.exists():
                    outcome.check(f"{stage} without a kill", killed.fine())
                    break
                again = kitchen.deploy(place, "--until", "profile")
                outcome.check(f"{stage}, rename {number}", again.fine(), kitchen.altered(place))


def full_disk(kitchen: Kitchen, until: float, outcome: Outcome) -> None:
    """A stage for whose files there is no room is one line that names a file; with room, it goes on."""
    for stage, size in itertools.product([one for one in STAGES if one != "train"], (1 << 12, 1 << 16)):
        outcome.of += 1
        if time.monotonic() > until:
            continue
        with kitchen.copy() as place:
            limit = lambda size=size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))  # noqa: E731
            shutil.rmtree(place / "runs" / "tiny" / stage, ignore_errors=True)
            # Standard output is a file, too, which has to have room for the message.
            ended = kitchen.deploy(place, "--from", stage, "--until", stage, before=limit)
            problem = ended.fine() or (None if "Exception ignored" not in ended.said else "noise")
            if ended.code == 2 and str(place) not in ended.said and "tiny" not in ended.said:
                problem = f"names no file: {ended.said[-200:]!r}"
            left = list((place / "runs").rglob(f"*{UNFINISHED}"))
            outcome.check(f"{stage}, files of {size} bytes", problem, "left something" if left else None)


def full_file_system(kitchen: Kitchen, until: float, outcome: Outcome) -> None:
    """The same on a file system of its own that is full."""
    del until
    place = kitchen.place / "small"
    place.mkdir()
    size = sum(file.stat().st_size for file in kitchen.finished.rglob("*") if file.is_file())
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size + (1 << 18)}", "tmpfs", place], check=False)
    if mounted.returncode:
        outcome.note = " not done: no file system can be mounted here;"
        return
    try:
        shutil.copytree(kitchen.finished, place / "runs" / "tiny")
        filler = place / "filler"
        with suppress(OSError), filler.open("wb") as file:
            while True:
                file.write(bytes(4096))
                file.flush()
        for stage in ("data", "quantize", "export", "profile", "report"):
            ended = kitchen.deploy(place, "--from", stage, "--until", stage)
            outcome.check(f"{stage} on a full file system", ended.refused())
        filler.unlink()
        outcome.check("with room again", kitchen.deploy(place).fine(), kitchen.altered(place))
    finally:
        subprocess.run(["umount", place], check=True)


_JSON = ("", "null", "[]", "{}", '{"identical": "yes"}', "[[[", "NaN")


def damaged_files(kitchen: Kitchen, until: float, outcome: Outcome) -> None:
    """Files of a run that are cut, changed or something else: a refusal in one line, or made again; never 1."""
    generator = random.Random(1)
    files = [one.relative_to(kitchen.finished) for one in sorted(kitchen.finished.rglob("*")) if one.is_file()]
    cases = [(file, how) for file in files if file.name != ".lock" for how in ("empty", "half", "other", "flipped")]
    generator.shuffle(cases)
    outcome.of = len(cases)
    for file, how in cases:
        if time.monotonic() > until:
            break
        with kitchen.copy() as place:
            path = place / "runs" / "tiny" / file
            _damage(path, how, generator)
            ended = kitchen.deploy(place, "--from", "report")
            problem = ended.fine()
            if ended.code == 1 and "NOT identical" in ended.said and file.parts[0] == "verify":
                problem = None  # the file now says so
            outcome.check(f"{file} {how}", problem)


def _damage(path: Path, how: str, generator: random.Random) -> None:
    content = bytearray(path.read_bytes())
    if how == "half":
        content = content[: len(content) // 2]
    elif how == "flipped" and content:
        for _ in range(8):
            content[generator.randrange(len(content))] ^= 1 << generator.randrange(8)
    elif how == "other" and path.suffix == ".json":
        content = bytearray(generator.choice(_JSON).encode())
    elif how == "other" and path.suffix == ".npz":
        np.savez(path, other=np.zeros(3))
        return
    elif how == "other" and path.suffix in (".net", ".nir"):
        with h5py.File(path, "w") as file:
            file["other"] = 1
        return
    path.write_bytes(b"" if how == "empty" else bytes(content))


def hostile_names(kitchen: Kitchen, until: float, outcome: Outcome) -> None:
    """Names with controls, markup or signs that turn text: shown, never sent to the terminal or a page as they are."""
    del until
    names = ("a\x1b[2Jb", "a\rb", "a\x9b1mb", "a\u202etxt", "<b>&amp;", "[red]a", "a\x7f\x08", "b\udcff", "n" * 240)
    for name in names:
        with kitchen.copy() as place:
            shutil.copy(next(kitchen.finished.glob("quantize/network/*.net")), place / f"{name}.net")
            (place / f"{name}.yaml").write_text("name: a\nname: b\n")
            commands = [
                ("lint", f"{name}.net"), ("lint", f"{name}.nir"), ("map", f"{name}.net"), ("deploy", f"{name}.yaml"),
                ("graph", f"{name}.net", "--out", f"{name}.svg"), ("verify", name), ("diff", f"{name}.net", name),
                ("map", f"{name}.net", "--svg", f"{name}.map.svg", "--chip", "loihi2"),
            ]  # fmt: skip
            for command in commands:
                ended = monospike(*command, cwd=place)
                raw = [sign for sign in ended.said if not sign.isprintable() and sign not in "\n\t"]
                problem = f"sent {raw[0]!r}" if raw else None
                outcome.check(f"{command[0]} {name!r}", problem, "traceback" if "Traceback" in ended.said else None)
            for page in place.glob("*.svg"):
                odd = [sign for sign in page.read_text("utf-8") if ord(sign) < 32 and sign not in "\n\t"]
                outcome.check(f"{page.name!r}", f"holds {odd[0]!r}" if odd else None)


def two_at_once(kitchen: Kitchen, until: float, outcome: Outcome) -> None:
    """Of two deploys of one folder one is refused, and the files are those of a single one."""
    del until
    for stage in ("quantize", "export", "profile"):
        with kitchen.copy() as place, tempfile.TemporaryFile() as one, tempfile.TemporaryFile() as two:
            words = ["deploy", str(kitchen.config), "--runs", str(place / "runs"), "--from", stage, "--until", stage]
            children = [forked(words, place, output.fileno()) for output in (one, two)]
            codes = sorted(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children)
            problem = None if codes == [0, 2] else f"ended with {codes}"
            outcome.check(f"two from {stage}", problem, kitchen.altered(place))


def _memory(process: psutil.Process) -> int:
    """Bytes of a process and its children."""
    total = 0
    for one in (process, *process.children(recursive=True)):
        with suppress(psutil.Error):
            total += one.memory_info().rss
    return total


def _soaked(words: list[str], place: Path, outcome: Outcome, what: str, command: Callable[[], None] = main) -> None:
    with tempfile.TemporaryFile() as output:
        started = time.monotonic()
        child = forked(words, place, output.fileno(), command=command)
        process, seen = psutil.Process(child), []
        while not (ended := os.waitpid(child, os.WNOHANG))[0]:
            with suppress(psutil.Error):
                seen.append(_memory(process))
            time.sleep(0.5)
        output.seek(0)
        said = output.read().decode("utf-8", "replace")
    code = os.waitstatus_to_exitcode(ended[1])
    third = max(len(seen) // 3, 1)
    middle, end = (max(part) / _MEBIBYTE for part in (seen[third : 2 * third] or seen, seen[2 * third :] or seen))
    grown = f"memory grew from {middle:.0f} to {end:.0f} MiB" if end > middle * 1.1 + 20 else None
    outcome.note += f" {what}: {time.monotonic() - started:.0f} s, {middle:.0f} then {end:.0f} MiB;"
    outcome.check(what, f"ended with {code}: {said[-200:]!r}" if code else None, grown)


def soak_lava(kitchen: Kitchen, until: float, outcome: Outcome) -> None:
    """10,000 frames in Lava's processes, with memory that stays."""
    del until
    weight = np.random.default_rng(0).integers(-8, 9, (16, 16)).astype(np.int32) * 2
    network = Network((Input("x", Shape(16, 1, 1)),), (Layer("a", ("x",), Dense(weight), LIF(9)),), ("a",))
    frames = np.random.default_rng(1).integers(0, 2, (10_000, 16, 1, 1)).astype(np.int32)

    def run() -> None:
        import sim.lava

        recording = sim.lava.run(network, {"x": frames}, timeout=600)
        assert recording.frames == len(frames)

    _soaked([], kitchen.place, outcome, "10,000 frames in Lava", run)


def soak_video(kitchen: Kitchen, until: float, outcome: Outcome) -> None:
    """3,000 frames of a video tracked, with memory that stays."""
    del until
    from pipeline.datasets.clip import Clip

    clip = Clip.load(next(kitchen.finished.glob("data/*.npz")))
    video = np.resize(clip.stacked(), (3000, *clip.stacked().shape[1:]))
    boxes = np.resize(clip.boxes, (3000, 4))
    Clip("long", video, boxes).save(kitchen.place / "long.npz")
    words = ["track", "long.npz", "--tracker", "demo", "--out", "tracked"]
    _soaked(words, kitchen.place, outcome, "3,000 frames of video")


KINDS: dict[str, tuple[Callable[[Kitchen, float, Outcome], None], float]] = {
    "kill": (kill_at_every_rename, 0.3),
    "full": (full_disk, 0.15),
    "mounted": (full_file_system, 0.05),
    "damaged": (damaged_files, 0.25),
    "names": (hostile_names, 0.05),
    "two": (two_at_once, 0.05),
    "lava": (soak_lava, 0.1),
    "video": (soak_video, 0.05),
}
"""Each with its part of the time."""


def catalogue(kinds: list[str], seconds: float) -> bool:
    """Bring about the faults of these kinds, and print the table. Returns whether all was as it must be."""
    torch.set_num_threads(1)
    rows, wrong = [], []
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        with redirect_stdout(sys.stderr):
            kitchen = Kitchen(Path(folder))
        for kind in kinds:
            function, part = KINDS[kind]
            outcome, started = Outcome(), time.monotonic()
            function(kitchen, started + seconds * part, outcome)
            took = time.monotonic() - started
            done = f"{outcome.cases} of {outcome.of}" if outcome.of > outcome.cases else str(outcome.cases)
            what = (function.__doc__ or "").strip()
            rows.append(
                f"| {kind} | {what} | {done} | {len(outcome.wrong)} | {took:.0f} s |{outcome.note.rstrip(';')} |"
            )
            print(rows[-1], file=sys.stderr, flush=True)
            wrong += [f"{kind}: {line}" for line in outcome.wrong]
    print("| kind | what must be true | cases | wrong | time | |\n| --- | --- | --- | --- | --- | --- |")
    print("\n".join([*rows, *map(json.dumps, wrong)]))
    return not wrong


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kinds", nargs="*", help=f"of {', '.join(KINDS)}; all")
    parser.add_argument("--seconds", type=float, default=1100, help="for all kinds together")
    asked = parser.parse_args()
    if unknown := set(asked.kinds) - KINDS.keys():
        parser.error(f"there is no kind {', '.join(sorted(unknown))}")
    sys.exit(not catalogue(asked.kinds or list(KINDS), asked.seconds))
