"""Being connected to a Ray cluster: the one there is, the one that `RAY_ADDRESS` names, or one of our own."""

from __future__ import annotations

import logging
import os
import re
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ray

from tokframe.errors import EngineError
from tokframe.shards.engines import available_cores

__all__ = ["connected"]

_STORE = 200_000_000  # bytes of object store of a cluster of our own: only the work and small results go through it
_CONNECT = 10.0  # seconds to wait for a cluster to answer
_ATTEMPTS = 3  # starts of a cluster of our own: Ray gives a start 30 seconds, which a busy machine may exceed
#: No usage report sent anywhere, no warnings of Ray's core on stderr, patience with a busy machine.
_VARIABLES = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_BACKEND_LOG_LEVEL": "fatal",
    "RAY_gcs_server_port_wait_time_s": "120",
    "RAY_worker_register_timeout_seconds": "300",
}


@contextmanager
def connected(workers: int | None) -> Iterator[None]:
    """Be connected to a cluster, and leave again one that was started or joined here. Raises: EngineError."""
    if ray.is_initialized():
        yield
        return
    address = os.environ.get("RAY_ADDRESS", "")
    with _signals_kept(), _environment():
        if address:
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
        _init(address=address)
    except Exception as error:  # Ray raises exceptions of no class of its own
        raise EngineError(f"cannot use the Ray cluster at RAY_ADDRESS={address}: {error}") from error


def _start(cores: int) -> None:
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            _init(address="local", num_cpus=cores, include_dashboard=False, object_store_memory=_STORE)
            return
        except Exception as error:
            ray.shutdown()
            if attempt == _ATTEMPTS:
                raise EngineError(
                    f"cannot start a Ray cluster on this machine, tried {_ATTEMPTS} times: {error}. "
                    "--engine local does without one"
                ) from error


def _init(**options: Any) -> None:
    ray.init(logging_level=logging.ERROR, log_to_driver=False, **options)


def _check_reachable(address: str) -> None:
    """Raises: OSError where nobody listens at `host:port`; Ray itself would go on trying for minutes."""
    found = re.fullmatch(r"(?:ray://)?([\w.-]+):(\d+)", address)
    if found:
        socket.create_connection((found[1], int(found[2])), timeout=_CONNECT).close()


@contextmanager
def _environment() -> Iterator[None]:
    """Set, for Ray's start, those of `_VARIABLES` that the user has not."""
    added = {key: value for key, value in _VARIABLES.items() if key not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for key in added:
            os.environ.pop(key, None)


@contextmanager
def _signals_kept() -> Iterator[None]:
    """Undo what Ray does to signals: Ctrl-C and SIGTERM are the command line's."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
