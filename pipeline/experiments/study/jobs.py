"""Commands of monospike, several at a time, each after those that it needs. Their processes end with this one."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.core.progress import Progress
from pipeline.experiments.study.launcher import Launcher

_POLL_SECONDS = 0.2

_NAMED_FAILURE = "monospike: "
"""What the command line begins its messages with."""


@dataclass(frozen=True)
class Job:
    """One command. arguments: what follows ``monospike``. output: file for what it prints. needs: names of jobs.

    size: how much there is to do, in units of its own. done: how much of it is done by now.
    """

    name: str
    arguments: tuple[str, ...]
    output: Path
    needs: tuple[str, ...] = ()
    size: int = 1
    done: Callable[[], int] = lambda: 0

    @property
    def command(self) -> str:
        """What a user would type."""
        return " ".join(("monospike", *self.arguments))


def run_jobs(
    jobs: Sequence[Job],
    launcher: Launcher,
    at_once: int,
    what: str,
    progress: Progress,
    after: Callable[[Job], None] = lambda _: None,
) -> dict[str, str]:
    """Run all jobs; returns why some failed, by name. A job that needs a failed one is not started, and fails too.

    after: called with each job that ended well. A need that is no job of these counts as met. When this function is
    left early (Ctrl-C), all processes are ended.
    """
    waiting, running, failed = list(jobs), dict[str, Job](), dict[str, str]()
    finished = 0
    with progress.task(what, sum(job.size for job in jobs)) as task:
        try:
            while waiting or running:
                for job in _ready(waiting, running, failed)[: at_once - len(running)]:
                    waiting.remove(job)
                    if lost := [need for need in job.needs if need in failed]:
                        failed[job.name] = f"needs {lost[0]!r}, which failed"
                        continue
                    progress.say(f"  {job.name} ...")
                    launcher.start(job.name, job.arguments, job.output)
                    running[job.name] = job
                for name, status in launcher.ended().items() if running else ():
                    job = running.pop(name)
                    finished += job.size
                    if status:
                        failed[name] = _reason(job, status)
                        progress.say(f"  {name}: failed: {failed[name]}")
                    else:
                        after(job)
                task.reach(finished + sum(job.done() for job in running.values()), ", ".join(running))
                if running:
                    time.sleep(_POLL_SECONDS)
        finally:
            if running:
                launcher.end_all()
    return failed


def _ready(waiting: Sequence[Job], running: Mapping[str, Job], failed: Mapping[str, str]) -> list[Job]:
    """Those that wait for nobody. A job that can only fail is ready as well."""
    open_ = {*(job.name for job in waiting), *running}
    return [job for job in waiting if not open_.intersection(job.needs) or set(job.needs) & failed.keys()]


def _reason(job: Job, status: int) -> str:
    """The message that the command ended with, or its last line."""
    lines = [line for line in job.output.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    for index, line in enumerate(lines):
        if line.startswith(_NAMED_FAILURE):
            return " ".join([line.removeprefix(_NAMED_FAILURE), *lines[index + 1 :]])
    last = lines[-1].strip() if lines else "it said nothing"
    return f"ended with {status}: {last}; see {job.output}"
