"""Interleaved rounds: every task once per round, each round in another order, so that a busy machine hits all alike.

pytest-benchmark times whole rounds and keeps the record; what each task took goes into its `extra_info`.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

from attrs import frozen

__all__ = ["Task", "interleave", "keep", "ratio"]


@frozen
class Task:
    """Work to time: `prepare`, not timed, returns what is then run and timed."""

    prepare: Callable[[], Callable[[], object]]

    @classmethod
    def of(cls, work: Callable[[], object]) -> Task:
        """Return the task of work that needs no preparation."""
        return cls(lambda: work)


def interleave(benchmark: Any, tasks: Mapping[str, Task], rounds: int, *, collect: bool = True) -> dict[str, float]:
    """Run `rounds` rounds and one to warm up; return the median seconds of each task.

    A task that raises is left out of later rounds and given as infinite. All times are kept in the record.
    """
    names = list(tasks)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    failed: dict[str, str] = {}
    turn = 0

    def one_round() -> None:
        nonlocal turn
        shift = turn % len(names)
        order = names[shift:] + names[:shift]
        turn += 1
        for name in order if turn % 2 else reversed(order):
            if name in failed:
                continue
            try:
                work = tasks[name].prepare()
                start = time.perf_counter()
                work()
                seconds[name].append(time.perf_counter() - start)
            except (KeyboardInterrupt, SystemExit):
                raise
            except BaseException as error:  # some peers panic with a BaseException of their own
                failed[name] = f"{type(error).__name__}: {error}"[:200]

    if collect:
        gc.collect()
        gc.disable()
    try:
        benchmark.pedantic(one_round, rounds=rounds, iterations=1, warmup_rounds=1)
    finally:
        gc.enable()
    medians = {name: float("inf") if name in failed else statistics.median(seconds[name][1:]) for name in names}
    keep(benchmark, seconds={name: [round(s, 9) for s in seconds[name][1:]] for name in names}, failed=failed)
    return medians


def keep(benchmark: Any, **facts: Any) -> None:
    """Add to the record, which the report reads."""
    benchmark.extra_info.update(facts)


def ratio(seconds: Mapping[str, float], slow: str, fast: str) -> float | None:
    """Return how many times faster `fast` is than `slow`; None where either was not measured."""
    if slow not in seconds or fast not in seconds or float("inf") in (seconds[slow], seconds[fast]):
        return None
    return seconds[slow] / seconds[fast]
