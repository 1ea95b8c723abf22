"""Children: fresh Python processes that import what this one can, and nothing else: no code of the working directory.

`python -c` and `python -m` put the working directory first in a child's import path, though its parent has it nowhere.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["SAFE_PATH", "child_environment", "restore_safe_path", "safely_spawned"]

#: With it Python adds neither the working directory nor the folder of the script to the import path.
SAFE_PATH = "PYTHONSAFEPATH"

_lock = threading.RLock()


def child_environment() -> dict[str, str]:
    """Return the environment variables for `python -c` and `python -m`: the import path is that of this process.

    Folders of PYTHONPATH that are not in it follow; an empty entry there, which means the working directory, does not.
    """
    named = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
    path = dict.fromkeys([*(entry or os.getcwd() for entry in sys.path), *named])
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path), "PYTHONNOUSERSITE": "1", SAFE_PATH: "1"}


@contextmanager
def safely_spawned() -> Iterator[None]:
    """Set `SAFE_PATH` while processes of `multiprocessing` are spawned, which then get the import path of this one."""
    with _lock:
        before = os.environ.get(SAFE_PATH)
        os.environ[SAFE_PATH] = "1"
        try:
            yield
        finally:
            restore_safe_path(before)


def restore_safe_path(value: str | None) -> None:
    """Set `SAFE_PATH` to what it was, here or in a child: it is not for the processes that others start."""
    if value is None:
        os.environ.pop(SAFE_PATH, None)
    else:
        os.environ[SAFE_PATH] = value
