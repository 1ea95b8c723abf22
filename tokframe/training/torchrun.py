"""Distributed processes: the rank and number of those that torchrun started, from its environment variables.

Communication between them is left to the plugins that train in several processes.
"""

from __future__ import annotations

import os
import sys

__all__ = ["command", "count", "is_first", "number", "restarted"]


def count() -> int:
    """Return how many processes were started together; 1 by default."""
    return max(1, _variable("WORLD_SIZE", 1))


def number() -> int:
    """Return the rank of this process, from 0 on."""
    return _variable("RANK", 0) if count() > 1 else 0


def is_first() -> bool:
    """Return whether this is the process that writes files and shows progress."""
    return number() == 0


def restarted() -> bool:
    """Return whether torchrun restarted these processes because one was lost (`--max-restarts`)."""
    return count() > 1 and _variable("TORCHELASTIC_RESTART_COUNT", 0) > 0


def command() -> list[str]:
    """Return the words of the command line that start `tokframe` the way this process was started."""
    if count() == 1:
        return ["tokframe"]
    one_machine = _variable("LOCAL_WORLD_SIZE", 0) == count()
    options = ["--standalone", "--nproc-per-node", str(count())] if one_machine else ["..."]
    started = ["--no-python", "tokframe"] if os.path.basename(sys.argv[0]) == "tokframe" else ["-m", "tokframe"]
    return ["torchrun", *options, *started]


def _variable(name: str, otherwise: int) -> int:
    value = os.environ.get(name, "")
    return int(value) if value.isascii() and value.isdigit() else otherwise
