"""Processes joined as torchrun joins them, forked from one, so that what is slow to import is imported once."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import torch
from torch import distributed

from tokframe.errors import TokframeError

__all__ = ["die", "together"]

torch.set_num_threads(1)


def together(count: int, work: Callable[[int], object]) -> list[int]:
    """Call `work(number)` in each process and return how each ended.

    0, or 3 for an error of tokframe, which is kept in the file `error-NUMBER`, or less than 0 for a signal.
    """
    children, pipes = [], [os.pipe() for _ in range(count)]
    for number, (reading, _) in enumerate(pipes):
        child = os.fork()
        if child == 0:
            _join(number, count, int(os.read(reading, 8)))
            _run(work, number)
        children.append(child)
    # Only now: the store answers on a thread of its own, and a fork copies the locks that a thread holds just then.
    store = distributed.TCPStore("127.0.0.1", 0, is_master=True, timeout=timedelta(seconds=120))  # a port that is free
    for _, writing in pipes:
        os.write(writing, str(store.port).encode())
    return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]


def die() -> None:
    """End as nothing can be done about."""
    os.kill(os.getpid(), signal.SIGKILL)


def _join(number: int, count: int, port: int) -> None:
    names = {"RANK": number, "LOCAL_RANK": number, "WORLD_SIZE": count, "LOCAL_WORLD_SIZE": count}
    names |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    names |= {"TORCHELASTIC_USE_AGENT_STORE": True, "TORCHELASTIC_RESTART_COUNT": 0}
    os.environ.update({name: str(value) for name, value in names.items()})


def _run(work: Callable[[int], object], number: int) -> None:
    code = 1
    try:
        work(number)
        code = 0
    except TokframeError as error:
        Path(f"error-{number}").write_text(f"{type(error).__name__}: {error}", encoding="utf-8")
        code = 3
    finally:
        sys.stderr.flush()
        os._exit(code)
