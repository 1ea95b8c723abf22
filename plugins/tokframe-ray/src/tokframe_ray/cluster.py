"""Connection to a Ray cluster: an existing one, the one at `RAY_ADDRESS`, or one started here."""

from __future__ import annotations

import logging
import os
import re
import secrets
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import ray
from ray.job_config import JobConfig

from tokframe.errors import EngineError
from tokframe.shards.engines import available_cores

__all__ = ["connected"]

OBJECT_STORE_BYTES = 200_000_000  # of a cluster started here: only the work and small results go through it
CONNECT_TIMEOUT_S = 10.0
MAX_STARTS = 3  # Ray allows a start 30 seconds, which a busy machine may exceed
#: No usage reports, no warnings of Ray's core on stderr, long timeouts for a busy machine.
_VARIABLES = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_BACKEND_LOG_LEVEL": "fatal",
    "RAY_gcs_server_port_wait_time_s": "120",
    "RAY_worker_register_timeout_seconds": "300",
}


@contextmanager
def connected(workers: int | None) -> Iterator[None]:
    """Connect to a cluster; on exit leave one that was started or joined here. Raises: EngineError."""
    if ray.is_initialized():
        yield
        return
    with _signals_kept(), _environment():
        if address := os.environ.get("RAY_ADDRESS"):
            _join(address)
        else:
            _start(workers or available_cores())
    try:
        yield
    finally:
        with _signals_kept():
            ray.shutdown()


def _join(address: str) -> None:
    try:
        _check_reachable(address)
        client = address.startswith("ray://")  # its driver is a process of the cluster's, which knows no class of ours
        _init(address=address, **({} if client else {"job_config": _JobConfig()}))
    except Exception as error:  # Ray raises exceptions of no class of its own
        raise EngineError(f"cannot use the Ray cluster at RAY_ADDRESS={address}: {error}") from error


def _start(cores: int) -> None:
    _keep_token_private()
    for attempt in range(1, MAX_STARTS + 1):
        try:
            _init(
                address="local",
                num_cpus=cores,
                include_dashboard=False,
                object_store_memory=OBJECT_STORE_BYTES,
                job_config=_JobConfig(),
            )
            return
        except Exception as error:
            ray.shutdown()
            if attempt == MAX_STARTS:
                raise EngineError(
                    f"cannot start a Ray cluster on this machine, tried {MAX_STARTS} times: {error}. "
                    "Use --engine local instead"
                ) from error


class _JobConfig(JobConfig):
    """Workers look for modules in the working directory, which Ray adds, only where this process does."""

    def _serialize(self) -> str:
        mine = {os.path.abspath(entry) for entry in sys.path}
        self._py_driver_sys_path = [entry for entry in self._py_driver_sys_path if os.path.abspath(entry) in mine]
        return super()._serialize()


def _keep_token_private() -> None:
    """Let nobody else read the token of clusters started here, which Ray would write for all to read."""
    if {"RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"} & set(os.environ):
        return
    path = Path.home() / ".ray" / "auth_token"
    with suppress(OSError):  # Ray says what it cannot do without
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(secrets.token_hex(32))
        except FileExistsError:
            path.chmod(0o600)


def _init(**options: Any) -> None:
    ray.init(logging_level=logging.ERROR, log_to_driver=False, **options)


def _check_reachable(address: str) -> None:
    """Raises: OSError where nothing listens at `host:port`; Ray itself would retry for minutes."""
    if found := re.fullmatch(r"(?:ray://)?([\w.-]+):(\d+)", address):
        socket.create_connection((found[1], int(found[2])), timeout=CONNECT_TIMEOUT_S).close()


@contextmanager
def _environment() -> Iterator[None]:
    """Set those of `_VARIABLES` that the user has not set, while Ray starts."""
    added = {key: value for key, value in _VARIABLES.items() if key not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for key in added:
            os.environ.pop(key, None)


@contextmanager
def _signals_kept() -> Iterator[None]:
    """Restore the signal handlers that Ray replaces: the command line handles Ctrl-C and SIGTERM."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
