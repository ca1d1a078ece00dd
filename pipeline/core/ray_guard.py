"""A folder for Ray, and the end of all its processes, also when this one is killed: Ray's own look for it only now and
then, and wait long for each other.

Run as a module it is the guard: a process that waits until the one that started it has gone, and then cleans up.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_GRACE_SECONDS = 10.0
_POLL_SECONDS = 0.02


@contextmanager
def ray_folder() -> Iterator[Path]:
    """A folder for Ray's logs and sockets. When the block is left, or this process ends in whatever way, the processes
    that have files there open are killed, and the folder is removed.
    """
    # Not below TMPDIR, which may be long: the path of a socket has 107 bytes at most (unix(7)).
    folder = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))
    # It reads the end of its input when the only holder of the pipe, which is this process, has gone.
    guard = subprocess.Popen(
        [sys.executable, "-m", __name__, str(folder)],
        stdin=subprocess.PIPE,
        start_new_session=True,  # Ctrl-C is this process's to answer
    )
    try:
        yield folder
    finally:
        guard.communicate()


def main() -> None:
    """The guard."""
    sys.stdin.buffer.read()
    folder = Path(sys.argv[1])
    deadline = time.monotonic() + _GRACE_SECONDS
    while (processes := _users(folder)) and time.monotonic() < deadline:
        for process in processes:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        time.sleep(_POLL_SECONDS)
    shutil.rmtree(folder, ignore_errors=True)


def _users(folder: Path) -> list[int]:
    """Ids of the living processes that have files in ``folder`` open, as all of Ray's have their logs; without the one
    that started the guard. Their environment would not tell: Ray writes their titles over it.
    """
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # ended meanwhile, or another user's
            if any(_is_in(folder, file) for file in process.glob("fd/*")):
                found.append(int(process.name))
    return [process for process in found if process != os.getppid()]


def _is_in(folder: Path, file: Path) -> bool:
    with suppress(OSError):  # closed meanwhile
        return file.readlink().is_relative_to(folder)
    return False


if __name__ == "__main__":
    main()
