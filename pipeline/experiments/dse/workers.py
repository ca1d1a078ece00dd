"""Many calls of one function at a time, on Ray: a worker that is lost is replaced, and its call made again."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from netx.errors import MonospikeError
from pipeline.experiments.dse.guard import ray_folder

Result = TypeVar("Result")

RETRIES = 3
"""How often a call whose worker was lost is made again."""

_STARTS = 3
"""How often Ray is asked to start: on a busy machine its parts wait for each other in vain."""

_START_SECONDS = 60
_OBJECT_STORE_BYTES = 100 << 20
"""Room for what calls return, which is little; by default Ray takes a third of the memory."""

_POLL_SECONDS = 0.5

_ANSWER_SECONDS = 10.0
"""How long a cluster may take to answer at all."""


@dataclass(frozen=True)
class Workers:
    """count: at a time; 0 for none, which is this process, without Ray. address: of a cluster that runs already."""

    count: int
    address: str | None = None

    def __str__(self) -> str:
        if self.address is not None:
            return f"the cluster at {self.address}"
        return "this process" if self.count == 0 else f"{self.count} worker{'s' if self.count > 1 else ''}"


def call_all(
    function: Callable[..., Result],
    calls: Mapping[str, tuple[Any, ...]],
    workers: Workers,
    finished: Callable[[str, Result], None],
) -> dict[str, str]:
    """Call ``function`` with the arguments of every one of ``calls``, in any order.

    finished: called here, with the call's name and result, as soon as it is there. Returns by name why some failed.
    Ray is ended when this function is left, however. Raises MonospikeError when Ray is not there or does not start.
    """
    if workers.count == 0 and workers.address is None:
        for name, arguments in calls.items():
            finished(name, function(*arguments))
        return {}
    with ray_folder() as folder:
        ray = _started(workers, folder)
        try:
            return _gathered(ray, workers, function, calls, finished)
        finally:
            ray.shutdown()


def _gathered(
    ray: Any,
    workers: Workers,
    function: Callable[..., Result],
    calls: Mapping[str, tuple[Any, ...]],
    finished: Callable[[str, Result], None],
) -> dict[str, str]:
    remote = ray.remote(num_cpus=1, max_retries=RETRIES)(function)
    waiting = {remote.remote(*arguments): name for name, arguments in calls.items()}
    failed: dict[str, str] = {}
    while waiting:
        # Not without a limit: an interrupt is only heard between two waits.
        done, _ = ray.wait(list(waiting), timeout=_POLL_SECONDS)
        if workers.address is not None and not done:
            _check_there(ray.get_runtime_context().gcs_address, workers.address)
        for reference in done:
            name = waiting.pop(reference)
            try:
                result = ray.get(reference)
            except ray.exceptions.RayError as error:
                failed[name] = _reason(ray, error)
            else:
                finished(name, result)
    return failed


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
            f"--address {address}: the cluster has gone ({_first_line(error)}); what is evaluated is kept, and the "
            "same command goes on with the rest"
        ) from None


def _connect(address: str) -> None:
    host, _, port = address.rpartition(":")
    socket.create_connection((host, int(port)), _ANSWER_SECONDS).close()


def _started(workers: Workers, folder: Path) -> Any:
    # Ray reads these when it is imported or starts. It must not report to its makers, nor ask whether it may.
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.setdefault("RAY_raylet_start_wait_time_s", str(_START_SECONDS))
    try:
        import ray
    except ImportError:
        raise MonospikeError(
            "a search in parallel needs Ray: install 'monospike[plan]', or search in this process with --workers 0"
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
        "agent_register_timeout_ms": _START_SECONDS * 1000,
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
    raise MonospikeError(
        f"Ray does not start on this machine ({problem}); is it too busy? --workers 0 searches without Ray"
    )


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
