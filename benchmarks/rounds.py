"""Interleaved rounds: every task once per round, each round in another order, so that other load affects all.

pytest-benchmark times whole rounds and keeps the record; what each task took goes into its `extra_info`.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from attrs import frozen

__all__ = ["Prepared", "each", "interleave", "keep"]


@frozen
class Prepared:
    """A task with a part that is not timed: `prepare` returns what is then run and timed."""

    prepare: Callable[[], Callable[[], object]]


def interleave(benchmark: Any, tasks: Mapping[str, Callable[[], object] | Prepared], rounds: int) -> dict[str, float]:
    """Run `rounds` rounds and one to warm up; return the median seconds of each task.

    A task that raises is left out of later rounds and given as infinite. All times are stored in the record.
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
                task = tasks[name]
                work = task.prepare() if isinstance(task, Prepared) else task
                start = time.perf_counter()
                work()
                seconds[name].append(time.perf_counter() - start)
            except (KeyboardInterrupt, SystemExit):
                raise
            except BaseException as error:  # some peers panic with a BaseException of their own
                failed[name] = f"{type(error).__name__}: {error}"[:200]

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


def each(call: Callable[[Any], object], items: Iterable[Any]) -> Callable[[], None]:
    """Return a task that calls with each of the items."""

    def work() -> None:
        for item in items:
            call(item)

    return work
