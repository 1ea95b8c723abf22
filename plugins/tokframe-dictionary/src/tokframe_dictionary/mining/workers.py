"""Workers: a job's parts, side by side on threads or on an executor of the caller's, and what a lost worker means.

What the parts are, and how results are joined, is the caller's business.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, ThreadPoolExecutor, wait
from typing import Any

from attrs import field, frozen

from tokframe.errors import TrainingError

__all__ = ["Workers", "available"]

#: Seconds between two looks at whether the user wants to stop.
_LOOK = 0.2


def available() -> int:
    """Return the number of processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _go_on() -> None:
    """Nobody wants to stop."""


@frozen(kw_only=True, eq=False)
class Workers:
    """How many parts are worked on at a time, and by whom; nothing here changes a result.

    `count` is the number of threads (the compiled parts of the work run without the interpreter's lock); None is one
    for each processor. `executor`, any `concurrent.futures.Executor`, takes the place of the threads: processes, or
    other machines (`mpi4py.futures`, `distributed.Client.get_executor`). `check` is called a few times a second and
    raises to stop the work.
    """

    count: int | None = None
    executor: Executor | None = field(default=None, repr=False)
    check: Callable[[], None] = field(default=_go_on, repr=False)

    @property
    def number(self) -> int:
        """How many parts are worked on at a time."""
        return max(1, available() if self.count is None else self.count)

    def run(
        self, function: Callable[..., Any], tasks: Iterable[tuple[Any, tuple[Any, ...]]]
    ) -> Iterator[tuple[Any, Any]]:
        """Yield `(name, function(*arguments))` for each task `(name, arguments)`, in the order they are done.

        Raises: TrainingError if a worker is lost; whatever `function` or `check` raise, once what runs has ended.
        """
        if self.executor is not None:
            yield from self._spread(self.executor, function, ((name, _sent(given)) for name, given in tasks))
        elif self.number == 1:
            for name, given in tasks:
                self.check()
                yield name, function(*given)
        else:
            with ThreadPoolExecutor(self.number, thread_name_prefix="tokframe") as threads:
                yield from self._spread(threads, function, tasks)

    def _spread(
        self, executor: Executor, function: Callable[..., Any], tasks: Iterable[tuple[Any, tuple[Any, ...]]]
    ) -> Iterator[tuple[Any, Any]]:
        waiting = iter(tasks)
        running: dict[Future[Any], Any] = {}
        try:
            while True:
                # One more than there are workers: the next part is at hand, and memory holds few results.
                while len(running) <= self.number and (task := next(waiting, None)) is not None:
                    running[executor.submit(function, *task[1])] = task[0]
                if not running:
                    return
                self.check()
                done, _ = wait(running, timeout=_LOOK, return_when=FIRST_COMPLETED)
                for future in done:
                    yield running.pop(future), future.result()
        except BrokenExecutor as lost:
            raise TrainingError(
                f"a worker ended without giving its result ({lost}): killed, or out of memory. Finished stages are "
                "kept; say --resume, with fewer workers (mining.workers) if memory was short"
            ) from lost
        finally:
            wait([future for future in running if not future.cancel()])


def _sent(given: tuple[Any, ...]) -> tuple[Any, ...]:
    """Views of a text as bytes of their own, which can be sent to another process."""
    return tuple(bytes(value) if isinstance(value, memoryview) else value for value in given)
