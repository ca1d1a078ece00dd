"""Many calls of one function at a time, on Ray: a worker that is lost is replaced, and its call made again."""

from __future__ import annotations

import importlib.util
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from netx.errors import MonospikeError
from pipeline.core.progress import Progress
from pipeline.core.ray_guard import ray_folder

Result = TypeVar("Result")

RETRIES = 3
"""How often a call whose worker was lost is made again."""

START_SECONDS = 10.0
"""What Ray's start and end and a worker's imports take, about: workers have to save more than that."""

_STARTS = 3
"""How often Ray is asked to start: on a busy machine its parts wait for each other in vain."""

_PATIENCE_SECONDS = 60
"""How long Ray's parts may wait for each other."""

_OBJECT_STORE_BYTES = 100 << 20
"""Room for what calls return, which is little; by default Ray takes a third of the memory."""

_POLL_SECONDS = 0.5

_ANSWER_SECONDS = 10.0
"""How long a cluster may take to answer at all."""

_QUEUE = 4
"""Calls a worker that are handed to Ray at a time: enough that none waits, few enough to be looked through."""

_THREADS = (("torch", "get_num_threads", "set_num_threads"), ("cv2", "getNumThreads", "setNumThreads"))
"""Libraries, and what they call it to say and set the number of their threads."""


@dataclass(frozen=True)
class Workers:
    """count: at a time; 0 for none, which is this process, without Ray. address: of a cluster that runs already; count
    is then the most calls at a time there, 0 for as many as it takes. asked: the user named the number, or the cluster:
    without that fewer are taken where more would not pay, or cannot be had.
    """

    count: int
    address: str | None = None
    asked: bool = True

    @property
    def here(self) -> bool:
        """Whether calls are made in this process. One worker beside a caller that waits would gain nothing."""
        return self.address is None and self.count <= 1

    def for_calls(self, calls: int, seconds: float, progress: Progress) -> Workers:
        """What to take for as many calls, which take about so many seconds in this process. Where nobody has asked for
        workers there are none for work that ends sooner without."""
        if self.here or self.address is not None:
            return self
        count = min(self.count, calls)
        if count < 2 or (not self.asked and seconds * (1 - 1 / count) < START_SECONDS):
            return HERE
        if not self.asked and importlib.util.find_spec("ray") is None:
            progress.say("Ray is not installed, so one core works: pip install 'monospike[plan]', or say --jobs 0")
            return HERE
        return replace(self, count=count)

    def __str__(self) -> str:
        if self.address is not None:
            return f"the cluster at {self.address}"
        return "this process" if self.here else f"{self.count} workers"


HERE = Workers(0)
"""This process."""


def workers_asked(jobs: int | None, address: str | None) -> Workers:
    """What the options ``--jobs`` and ``--address`` say. Raises MonospikeError where they contradict each other."""
    if address is None:
        return Workers(cores() if jobs is None else jobs, asked=jobs is not None)
    if jobs == 0:
        raise MonospikeError("--jobs 0: is this process alone; give either this or --address")
    return Workers(jobs or 0, address)


def cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0))


@contextmanager
def one_thread() -> Iterator[None]:
    """The libraries that are loaded compute on one thread: sums in another number of threads are other sums, and
    workers share the machine."""
    with ExitStack() as restored:
        for name, get, set_ in _THREADS:
            if (library := sys.modules.get(name)) is not None:
                restored.callback(getattr(library, set_), getattr(library, get)())
                getattr(library, set_)(1)
        yield


def call_all(
    function: Callable[..., Result],
    calls: Mapping[str, tuple[Any, ...]],
    workers: Workers,
    finished: Callable[[str, Result], bool | None],
    *,
    ordered: bool = False,
) -> dict[str, str]:
    """Call ``function`` with the arguments of every one of ``calls``. Returns by name why some failed.

    finished: called here, with the call's name and result, as soon as it is there; where it returns True, no more is
    wanted. ordered: it is called in the order of ``calls``, and the first that fails ends it all, so that what is
    found does not depend on the workers. In this process an error of the function's passes through.

    Ray is ended when this function is left, however. Raises MonospikeError when Ray is not there or does not start.
    """
    if workers.here:
        for name, arguments in calls.items():
            if finished(name, function(*arguments)):
                break
        return {}
    with ray_folder() as folder:
        with _signals_kept():
            ray = _started(workers, folder)
        try:
            answers = _answers(ray, workers, function, calls)
            return _handed_on(_in_order(answers, calls) if ordered else answers, finished, ordered)
        finally:
            ray.shutdown()


@dataclass(frozen=True)
class _Answer:
    """What came of one call. failure: why there is no result."""

    name: str
    result: Any = None
    failure: str | None = None


def _handed_on(answers: Iterator[_Answer], finished: Callable[[str, Any], bool | None], stop: bool) -> dict[str, str]:
    failed: dict[str, str] = {}
    for answer in answers:
        if answer.failure is not None:
            failed[answer.name] = answer.failure
            if stop:
                break
        elif finished(answer.name, answer.result):
            break
    return failed


def _in_order(answers: Iterator[_Answer], names: Mapping[str, object]) -> Iterator[_Answer]:
    early: dict[str, _Answer] = {}
    for name in names:
        while name not in early:
            answer = next(answers)
            early[answer.name] = answer
        yield early.pop(name)


def _answers(
    ray: Any, workers: Workers, function: Callable[..., Any], calls: Mapping[str, tuple[Any, ...]]
) -> Iterator[_Answer]:
    remote = ray.remote(num_cpus=1, max_retries=RETRIES)(function)
    # A cluster may be made larger for what waits, so all of it is to be seen there.
    at_once = workers.count or len(calls) if workers.address is not None else _QUEUE * workers.count
    names = iter(calls)
    waiting: dict[Any, str] = {}
    while True:
        while len(waiting) < at_once and (name := next(names, None)) is not None:
            waiting[remote.remote(*calls[name])] = name
        if not waiting:
            return
        # Not without a limit: an interrupt is only heard between two waits.
        done, _ = ray.wait(list(waiting), timeout=_POLL_SECONDS)
        if workers.address is not None and not done:
            _check_there(ray.get_runtime_context().gcs_address, workers.address)
        for reference in done:
            name = waiting.pop(reference)
            try:
                result = ray.get(reference)
            except ray.exceptions.RayError as error:
                yield _Answer(name, failure=_reason(ray, error))
            else:
                yield _Answer(name, result)


def _reason(ray: Any, error: Exception) -> str:
    lost = (ray.exceptions.WorkerCrashedError, ray.exceptions.NodeDiedError, ray.exceptions.OutOfMemoryError)
    if isinstance(error, lost):
        return f"its worker was lost {RETRIES + 1} times ({type(error).__name__}); the same command tries again"
    cause = getattr(error, "cause", None) or error
    return f"{type(cause).__name__}: {cause}"


def _check_there(head: str, address: str) -> None:
    """Ray itself waits a minute for a cluster that has gone, and then ends this process."""
    try:
        _connect(head)
    except OSError as error:
        raise MonospikeError(
            f"--address {address}: the cluster has gone ({_first_line(error)}); what is done is kept, and the same "
            "command goes on with the rest"
        ) from None


def _connect(address: str) -> None:
    host, _, port = address.rpartition(":")
    socket.create_connection((host, int(port)), _ANSWER_SECONDS).close()


@contextmanager
def _signals_kept() -> Iterator[None]:
    """Ray answers SIGTERM with a stack dump and abort() (``absl::InstallFailureSignalHandler``): it shall not."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    except SystemExit:  # of the handlers that Ray has while it starts (ray 2.60 ``_private/worker.py``, ``node.py``)
        before = signal.SIG_IGN
        raise SystemExit(128 + signal.SIGTERM) from None
    finally:
        if threading.current_thread() is threading.main_thread() and before is not None:
            signal.signal(signal.SIGTERM, before)


def _started(workers: Workers, folder: Path) -> Any:
    # Ray reads these when it is imported or starts. It must not report to its makers, nor ask whether it may.
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.setdefault("RAY_raylet_start_wait_time_s", str(_PATIENCE_SECONDS))
    try:
        import ray
    except ImportError:
        raise MonospikeError(
            "work on several cores needs Ray: install 'monospike[plan]', or stay in this process with --jobs 0"
        ) from None
    return _joined(ray, workers.address) if workers.address is not None else _embedded(ray, workers.count, folder)


def _joined(ray: Any, address: str) -> Any:
    """Ray, as part of the cluster at ``address``: HOST:PORT, or what else Ray takes, such as auto."""
    host, _, port = address.rpartition(":")
    try:
        if host and port.isdigit() and "/" not in host:
            _connect(address)  # Ray would try for minutes
        ray.init(address=address, logging_level=logging.ERROR, log_to_driver=False)
    except (OSError, ValueError, RuntimeError, OverflowError, ray.exceptions.RayError) as error:
        raise MonospikeError(
            f"--address {address}: no Ray cluster answers there ({_first_line(error)}); one that asks for a token does "
            "with RAY_AUTH_MODE=token before the command"
        ) from None
    return ray


def _embedded(ray: Any, count: int, folder: Path) -> Any:
    """Ray with ``count`` workers; its logs and sockets in ``folder``."""
    settings = {
        "agent_register_timeout_ms": _PATIENCE_SECONDS * 1000,
        "task_oom_retries": RETRIES,  # by default for ever
        "worker_niceness": 0,  # added to that of this process; by default workers wait for all else on the machine
    }
    for _ in range(_STARTS):
        try:
            ray.init(
                address="local",
                num_cpus=count,
                num_gpus=0,
                object_store_memory=_OBJECT_STORE_BYTES,
                include_dashboard=False,
                logging_level=logging.ERROR,
                log_to_driver=False,
                _temp_dir=str(folder),
                _system_config=settings,
            )
        except Exception as error:  # Ray has no narrower one for parts of it that do not start
            problem = _first_line(error)
            ray.shutdown()
        else:
            return ray
    raise MonospikeError(f"Ray does not start on this machine ({problem}); is it too busy? --jobs 0 works without Ray")


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
