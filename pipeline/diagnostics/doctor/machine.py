"""The machine: Python, cores, threads, shared memory, disk and the tests' browser."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

from pipeline.core.workers import cores
from pipeline.diagnostics.doctor.finding import Finding, Status, one_line

LAVA_PYTHON = (3, 10)
"""lava-nc 0.10.0 and lava-dl 0.6.0 are final releases, for this Python."""
_NEWEST_PYTHON = (3, 13)
"""The newest on which the core is tested."""

SHARED_MEMORY = Path("/dev/shm")
_MB = 1_000_000
_SHARED_NEEDED, _SHARED_ROOM = 32 * _MB, 256 * _MB
"""Free bytes of shared memory. Lava's channels take up to 18 MB in the demo, and more in wider networks."""
_DISK_NEEDED, _DISK_ROOM = 300 * _MB, 5_000 * _MB
"""Free bytes. A run of the demo takes 220 MB, a training or a study some thousand."""

_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def python() -> Finding:
    """The interpreter."""
    version = sys.version_info[:3]
    said = f"Python {'.'.join(map(str, version))}, {sys.executable}"
    facts = {"version": ".".join(map(str, version)), "executable": sys.executable}
    if version[:2] == LAVA_PYTHON:
        return Finding("python", Status.WORKS, said, facts=facts)
    if LAVA_PYTHON < version[:2] <= _NEWEST_PYTHON:
        return Finding(
            "python",
            Status.LIMITED,
            f"{said}: networks, files, the engine, mapping and reports, but neither Lava nor SLAYER",
            "install with Python 3.10 to deploy, train and verify",
            facts=facts,
        )
    return Finding("python", Status.LIMITED, f"{said}: never tested", "take one from 3.10 to 3.13", facts=facts)


def processor() -> Finding:
    """Cores that this process may use, of those that there are."""
    usable, there = cores(), os.cpu_count() or 1
    said = f"{usable} of {there}" if usable < there else f"{there}"
    facts = {"usable": usable, "there": there}
    if usable == 1:
        return Finding(
            "cores", Status.LIMITED, said, "with two and more, searches and studies take less time", facts=facts
        )
    return Finding("cores", Status.WORKS, said, facts=facts)


def threads() -> Finding:
    """What the environment says about threads, which numeric libraries obey."""
    usable = cores()
    said = {name: os.environ[name] for name in (*_THREADS, "OMP_WAIT_POLICY") if name in os.environ}
    shown = ", ".join(f"{name}={value!r}" for name, value in said.items()) or "nothing is set: one a core"
    wrong = [name for name in _THREADS if name in said and not said[name].isdecimal()]
    many = [name for name in _THREADS if said.get(name, "").isdecimal() and int(said[name]) > usable]
    if wrong:
        return Finding("threads", Status.LIMITED, shown, f"{wrong[0]} is no number: unset it", facts={**said})
    if many:
        do = f"{many[0]} is more than the {usable} cores, and threads wait for each other: unset it"
        return Finding("threads", Status.LIMITED, shown, do, facts={**said})
    if said.get("OMP_WAIT_POLICY", "").upper() == "ACTIVE":
        do = "unset OMP_WAIT_POLICY: threads that spin while they wait slow a busy machine many times"
        return Finding("threads", Status.LIMITED, shown, do, facts={**said})
    return Finding("threads", Status.WORKS, shown, facts={**said})


def shared_memory(folder: Path = SHARED_MEMORY) -> Finding:
    """Room in /dev/shm, through which the processes of a Lava network talk."""
    if not folder.is_dir():
        do = "mount a tmpfs at /dev/shm; Lava runs on Linux alone"
        return Finding("shared_memory", Status.ABSENT, f"there is no {folder}", do, needed=True)
    usage = shutil.disk_usage(folder)
    facts = {"total_bytes": usage.total, "free_bytes": usage.free}
    said = f"{_size(usage.free)} of {_size(usage.total)} are free in {folder}"
    if not _writable(folder):
        do = f"let this user write to {folder}"
        return Finding("shared_memory", Status.BROKEN, f"{folder} cannot be written", do, needed=True, facts=facts)
    do = "give it more: `docker run --shm-size=1g`, or `mount -o remount,size=1G /dev/shm`"
    status = Status.WORKS
    if usage.free < _SHARED_ROOM:
        status = Status.BROKEN if usage.free < _SHARED_NEEDED else Status.LIMITED
        said += "; Lava takes 18 MB in the demo, and more in wider networks"
    return Finding("shared_memory", status, said, do if status is not Status.WORKS else "", needed=True, facts=facts)


def disk() -> Finding:
    """Room where runs are written by default, and for temporary files."""
    try:
        places = {"runs": Path.cwd(), "temporary": Path(tempfile.gettempdir())}
    except OSError as error:
        do = "work in a folder that is there, and let TMPDIR name one that can be written"
        return Finding("disk", Status.BROKEN, one_line(str(error)), do, needed=True)
    free = {name: shutil.disk_usage(place).free for name, place in places.items()}
    facts = {f"{name}_free_bytes": size for name, size in free.items()}
    said = ", ".join(f"{_size(size)} are free in {places[name]}" for name, size in free.items())
    for name, place in places.items():
        if not _writable(place):
            do = f"let this user write there, or {'work in another folder' if name == 'runs' else 'set TMPDIR'}"
            return Finding("disk", Status.BROKEN, f"{place} cannot be written", do, needed=True, facts=facts)
    if min(free.values()) >= _DISK_ROOM:
        return Finding("disk", Status.WORKS, said, needed=True, facts=facts)
    status = Status.BROKEN if min(free.values()) < _DISK_NEEDED else Status.LIMITED
    do = "make room, or let --runs and TMPDIR name folders elsewhere: the demo takes 220 MB, a study thousands"
    return Finding("disk", status, said, do, needed=True, facts=facts)


def browser() -> Finding:
    """Chromium, in which tests look at the pages of runs."""
    found = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if found is None:
        do = "install Chromium with your system's packages, for the tests of the pages alone"
        return Finding("chromium", Status.ABSENT, "tests that look at pages are skipped", do)
    return Finding("chromium", Status.WORKS, found, facts={"path": found})


def _writable(folder: Path) -> bool:
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
