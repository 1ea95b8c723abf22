"""Execution engines: run a function over a list of items on worker processes or a cluster.

What the function does is left to the caller. `local` is built in; plugins add others as components of kind `engine`.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager
from multiprocessing.context import SpawnContext, SpawnProcess
from pathlib import Path
from typing import IO, Any, Protocol, TypeVar

from tokframe.errors import EngineError, PluginBrokenError, UnknownNameError
from tokframe.plugins.children import SAFE_PATH, restore_safe_path, safely_spawned
from tokframe.plugins.discovery import host
from tokframe.plugins.registry import call_target, load_target
from tokframe.storage.advice import FIRST_PARTY

__all__ = ["LOCAL", "Engine", "available_cores", "engine", "local", "run_bounded"]

T = TypeVar("T")
R = TypeVar("R")
K = TypeVar("K")

#: The name of the engine that is always there.
LOCAL = "local"

_MAX_WORKER_LOSSES = 3  # in a row, with nothing done in between
POLL_S = 0.2  # seconds between two checks of whether to stop


class Engine(Protocol):
    """Runs `work(item)` for every item, on `workers` workers (None: as many as there are cores).

    Yields each result as soon as it is there, in any order. `work` is pickled and sent to a worker once. An item
    whose worker is lost is run again, perhaps while the first is still at it: `work` has to bear that. The first
    exception of `work` ends the run and is raised. Once `should_stop()` is true no item is begun any more, and the
    iterator ends, with or without the results of those at work.

    Raises: EngineError where workers cannot be started or are lost again and again.
    """

    def __call__(
        self,
        work: Callable[[T], R],
        items: Sequence[T],
        *,
        workers: int | None,
        should_stop: Callable[[], bool],
    ) -> Iterator[R]:
        """Yield `work(item)` of every item, in any order."""


def engine(name: str) -> Engine:
    """Return the engine of a name: `local`, or a component of kind `engine`.

    Raises: UnknownNameError; ComponentImportError where its dependencies are missing, with what to install; running
    it, PluginBrokenError where it is no such function.
    """
    if name == LOCAL:
        return local
    try:
        spec = host().registry.component("engine", name, FIRST_PARTY)
    except UnknownNameError as error:
        error.add_note(f"Built in: {LOCAL}.")
        raise
    target = load_target(spec)

    def run(*given: Any, **named: Any) -> Iterator[Any]:
        results = call_target(spec, target, *given, **named)
        if not isinstance(results, Iterable):
            raise PluginBrokenError(
                f"engine {name!r} of {spec.distribution} returned {results!r:.60}; expected an iterator that yields "
                "work(item) of every item",
                distribution=spec.distribution,
            )
        yield from results

    return run


def available_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def local(
    work: Callable[[T], R], items: Sequence[T], *, workers: int | None, should_stop: Callable[[], bool]
) -> Iterator[R]:
    """The engine `local`: processes on this machine; one worker works in the calling process.

    Processes, not threads: a tokenizer may be Python throughout, and a process that dies takes nothing with it.
    """
    count = min(workers or available_cores(), len(items))
    if count <= 1:
        for item in items:
            if should_stop():
                return
            yield work(item)
        return
    left = dict(enumerate(items))
    lost = 0
    while left and not should_stop():
        before = len(left)
        try:
            for position, result in _pooled(work, left, min(count, len(left)), should_stop):
                del left[position]
                yield result
        except BrokenProcessPool as error:
            lost = lost + 1 if len(left) == before else 0
            if lost >= _MAX_WORKER_LOSSES:
                raise EngineError(
                    f"workers died {lost} times in a row with nothing done in between. Too little memory is the usual "
                    "reason: take fewer --workers. From a script, call it under `if __name__ == '__main__':`"
                ) from error


def _pooled(
    work: Callable[[T], R], items: dict[int, T], workers: int, should_stop: Callable[[], bool]
) -> Iterator[tuple[int, R]]:
    """Yield `(position, result)`; as many items are submitted as there are workers, so that stopping is quick."""
    tasks = [(position, (item,)) for position, item in items.items()]
    with _function_file(work) as function:
        # Spawned, not forked: a forked copy of a process with threads (torch, Arrow) may hang.
        begin = function, os.environ.get(SAFE_PATH)
        with safely_spawned():  # the pool's locks start a process as well
            pool = ProcessPoolExecutor(workers, _Spawn(), initializer=_begin, initargs=begin)
        try:
            yield from run_bounded(pool, _run, tasks, workers, should_stop)
        except OSError as error:  # of a function, or of starting a worker just when the loss of another was noticed
            _kill(pool)
            if getattr(pool, "_broken", False):
                raise BrokenProcessPool("a worker was lost while another was started") from error
            raise
        except BaseException:
            _kill(pool)
            raise
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def run_bounded(
    executor: Executor,
    function: Callable[..., R],
    tasks: Iterable[tuple[K, tuple[Any, ...]]],
    limit: int,
    should_stop: Callable[[], bool],
) -> Iterator[tuple[K, R]]:
    """Yield `(key, function(*arguments))` of each task `(key, arguments)`, in the order they are done.

    At most `limit` tasks are submitted at a time, and none once `should_stop`, called a few times a second, is true.
    Raises: whatever `function` or `should_stop` raise; BrokenExecutor if a worker is lost.
    """
    waiting = iter(tasks)
    running: dict[Future[R], K] = {}
    while True:
        while not should_stop() and len(running) < limit and (task := next(waiting, None)) is not None:
            running[executor.submit(function, *task[1])] = task[0]
        if not running:
            return
        done, _ = wait(running, timeout=POLL_S, return_when=FIRST_COMPLETED)
        for future in done:
            yield running.pop(future), future.result()


@contextmanager
def _function_file(work: Callable[..., Any]) -> Iterator[Path]:
    """Write a function for workers to read; on Linux to a file without a name, which no kind of death leaves behind.

    It may be large (a whole tokenizer), so it is not sent down the pipe that starts a worker: where a worker died
    before it had read all, this process would wait forever.
    """
    descriptors = Path(f"/proc/{os.getpid()}/fd")
    with ExitStack() as stack:
        try:
            if descriptors.is_dir():
                file: IO[bytes] = stack.enter_context(tempfile.TemporaryFile())
                place = descriptors / str(file.fileno())
            else:
                place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tokframe-")), "function.pickle")
                file = stack.enter_context(place.open("wb"))
            pickle.dump(work, file)
            file.flush()
        except OSError as error:
            raise EngineError(
                f"cannot write what workers need to {tempfile.gettempdir()}: {error.strerror or error}. Free some "
                "space there, name another folder in TMPDIR, or use --workers 1"
            ) from error
        yield place


class _SpawnedProcess(SpawnProcess):
    def start(self) -> None:
        with safely_spawned():
            super().start()


class _Spawn(SpawnContext):
    """Spawns workers that import no code of the working directory."""

    Process = _SpawnedProcess


def _kill(pool: ProcessPoolExecutor) -> None:
    """End workers that are at work: what they have begun is not wanted any more."""
    for process in list((pool._processes or {}).values()):
        process.kill()


_work: Callable[[Any], Any] | Exception = EngineError("a worker was given an item before it was ready")


def _begin(function: Path, safe_path: str | None) -> None:
    """Make a worker ready: Ctrl-C and a lost terminal are for the process that submits the items."""
    global _work
    restore_safe_path(safe_path)
    for name in ("SIGINT", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        _work = pickle.loads(function.read_bytes())
    except Exception as error:  # raised where somebody listens, with the first item
        _work = error


def _end_with_parent() -> None:
    """End this process when the one that submits the items is gone, killed perhaps: a pool's own workers wait on."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _run(item: Any) -> Any:
    if isinstance(_work, Exception):
        raise _work
    return _work(item)
