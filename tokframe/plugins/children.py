"""Children: fresh Python processes that import what this one can, and nothing else: no code of the working directory.

`python -c` and `python -m` put the working directory first in a child's import path, though its parent has it nowhere.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["SAFE_PATH", "child_environment", "restore_safe_path", "safely_spawned"]

#: With it Python adds neither the working directory nor the folder of the script to the import path.
SAFE_PATH = "PYTHONSAFEPATH"

_lock = threading.RLock()
#: Of a terminal, which sends them to all its processes: the one that spawned the others handles them.
_TERMINAL_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGHUP") if hasattr(signal, "pthread_sigmask")]


def child_environment() -> dict[str, str]:
    """Return the environment variables for `python -c` and `python -m`: the import path is that of this process.

    Folders of PYTHONPATH that are not in it follow; an empty entry there, which means the working directory, does not.
    """
    named = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
    path = dict.fromkeys([*(entry or os.getcwd() for entry in sys.path), *named])
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path), "PYTHONNOUSERSITE": "1", SAFE_PATH: "1"}


@contextmanager
def safely_spawned() -> Iterator[None]:
    """Spawn processes of `multiprocessing` that get the import path of this one, and no signals of its terminal.

    They begin with those blocked, so that none dies of them before it can ignore them; Python's resource tracker never
    ignores SIGHUP. Meanwhile `SAFE_PATH` is set.
    """
    with _lock, _without_signals():
        before = os.environ.get(SAFE_PATH)
        os.environ[SAFE_PATH] = "1"
        try:
            yield
        finally:
            restore_safe_path(before)


@contextmanager
def _without_signals() -> Iterator[None]:
    if not _TERMINAL_SIGNALS:
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _TERMINAL_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def restore_safe_path(value: str | None) -> None:
    """Set `SAFE_PATH` to what it was, here or in a child: it is not for the processes that others start."""
    if value is None:
        os.environ.pop(SAFE_PATH, None)
    else:
        os.environ[SAFE_PATH] = value
