"""The engine `ray`: maps items over a pool of Ray Data actors, each of which unpickles the work once.

The plan decides what a shard holds before Ray sees it, so shards depend neither on Ray's blocks nor on the number or
speed of workers.
"""

from __future__ import annotations

import logging
import pickle
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import ray
import ray.data

from tokframe.errors import EngineError
from tokframe_ray.cluster import connected

__all__ = ["run"]

T = TypeVar("T")
R = TypeVar("R")

#: No output on the screen, where tokframe shows progress; no time limit for an item.
_CONTEXT = {
    "enable_progress_bars": False,
    "enable_operator_progress_bars": False,
    "print_on_execution_start": False,
    "execution_no_progress_timeout_s": -1,  # a compressed file of many GB is one item
}


def run(
    work: Callable[[T], R], items: Sequence[T], *, workers: int | None, should_stop: Callable[[], bool]
) -> Iterator[R]:
    """Run `work(item)` for every item on the Ray cluster that this process is connected to, that `RAY_ADDRESS` names,
    or that is started here; see `tokframe.shards.engines.Engine`.

    Ray restarts a lost worker and runs its item again. Raises: EngineError where Ray fails.
    """
    if not items or should_stop():
        return
    with connected(workers), _context():
        resources: Any = ray.cluster_resources  # without types of its own
        count = min(workers or int(resources().get("CPU", 1)), len(items))
        rows = ray.data.from_items([pickle.dumps(item) for item in items], override_num_blocks=len(items))
        results = rows.map_batches(
            _Worker,
            fn_constructor_args=(pickle.dumps(work),),
            batch_size=1,
            batch_format="numpy",
            num_cpus=1,
            # One item queued per actor: more would keep the last ones from idle workers.
            compute=ray.data.ActorPoolStrategy(size=count, max_tasks_in_flight_per_actor=2),
        )
        try:
            for row in results.iter_rows():
                succeeded, value = pickle.loads(row["outcome"])
                if not succeeded:
                    raise value
                yield value
                if should_stop():
                    return
        except ray.exceptions.RayError as error:
            raise EngineError(
                f"Ray failed: {error}. If workers run out of memory, use fewer --workers; `ray status` shows the "
                "cluster"
            ) from error


class _Worker:
    """Actor: unpickles the work once, then runs it item by item."""

    def __init__(self, pickled: bytes) -> None:
        self._work: Callable[[Any], Any] = pickle.loads(pickled)

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[bytes]]:
        """Return the pickled outcome of each item: whether it succeeded, and the result or the error.

        Errors are returned as results: Ray would wrap them, and might retry.
        """
        return {"outcome": [self._outcome(item) for item in batch["item"]]}

    def _outcome(self, item: bytes) -> bytes:
        try:
            return pickle.dumps((True, self._work(pickle.loads(item))))
        except Exception as error:
            return pickle.dumps((False, error))


@contextmanager
def _context() -> Iterator[None]:
    """Configure Ray Data by `_CONTEXT`, and restore it on exit."""
    context = ray.data.DataContext.get_current()
    before = {name: getattr(context, name) for name in _CONTEXT if hasattr(context, name)}
    logger = logging.getLogger("ray.data")
    level = logger.level
    try:
        for name in before:
            setattr(context, name, _CONTEXT[name])
        logger.setLevel(logging.ERROR)
        yield
    finally:
        for name, value in before.items():
            setattr(context, name, value)
        logger.setLevel(level)
