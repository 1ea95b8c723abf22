"""Workers: run a function over the parts of a text on threads or on an executor of the caller's.

What the parts are, and how results are joined, is left to the caller.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor, Executor, ThreadPoolExecutor
from typing import Any

from attrs import field, frozen

from tokframe.errors import TrainingError
from tokframe.shards.engines import available_cores, run_bounded
from tokframe.training.progress import never_stop

__all__ = ["Workers"]


@frozen(kw_only=True, eq=False)
class Workers:
    """How many parts are worked on at a time, and where; nothing here changes a result.

    `count` is the number of threads (the compiled parts of the work run without the interpreter's lock); None is one
    for each processor. `executor`, any `concurrent.futures.Executor`, takes the place of the threads: processes, or
    other machines (`mpi4py.futures`, `distributed.Client.get_executor`). `check` is called a few times a second and
    raises to stop the work.
    """

    count: int | None = None
    executor: Executor | None = field(default=None, repr=False)
    check: Callable[[], object] = field(default=never_stop, repr=False)

    @property
    def number(self) -> int:
        """How many parts are worked on at a time."""
        return available_cores() if self.count is None else self.count

    def run(
        self, function: Callable[..., Any], tasks: Iterable[tuple[Any, tuple[Any, ...]]]
    ) -> Iterator[tuple[Any, Any]]:
        """Yield `(key, function(*arguments))` for each task `(key, arguments)`, in the order they are done.

        Raises: TrainingError if a worker is lost; whatever `function` or `check` raise, once the threads have ended.
        """
        if self.executor is None and self.number == 1:
            for key, arguments in tasks:
                self.check()
                yield key, function(*arguments)
            return
        if self.executor is not None:
            # Views of a text cannot be sent to another process.
            tasks = (
                (key, tuple(bytes(value) if isinstance(value, memoryview) else value for value in arguments))
                for key, arguments in tasks
            )
        pool = self.executor or ThreadPoolExecutor(self.number, thread_name_prefix="tokframe")
        try:
            # One more than there are workers: the next part is ready, and memory holds few results.
            yield from run_bounded(pool, function, tasks, self.number + 1, self._stopped)
        except BrokenExecutor as lost:
            raise TrainingError(
                f"a worker ended without returning its result ({lost}): killed, or out of memory. Finished stages are "
                "kept; use --resume (resume=True), with fewer workers (mining.workers) if memory was short"
            ) from lost
        finally:
            if pool is not self.executor:
                pool.shutdown(cancel_futures=True)

    def _stopped(self) -> bool:
        self.check()
        return False
