"""Interruption: the first signal asks long work to stop and keep what is done, the second ends it at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from tokframe.errors import ShardsInterrupted, TrainingInterrupted
from tokframe.training.progress import never_stop

__all__ = ["SIGNALS", "Interrupted", "Stop", "caught", "interruptible", "stopping"]

#: What asks a program to end: Ctrl-C, `kill`, and the loss of its terminal.
SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


class Interrupted(KeyboardInterrupt):
    """A signal that ends the program; `signal` is its number."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.signal = number


class Stop:
    """Whether to stop, and the signal that asked for it."""

    def __init__(self) -> None:
        self.signal = 0

    def __call__(self) -> bool:
        """Return True once stopping was asked for."""
        return self.signal != 0


@contextmanager
def caught(on_signal: Callable[[int, FrameType | None], None], *signals: int) -> Iterator[None]:
    """Have signals handled by `on_signal` meanwhile. A SIGHUP that is ignored, as under nohup, stays so.

    Does nothing outside the main thread, where signals cannot be caught.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    hangup = getattr(signal, "SIGHUP", None)
    chosen = [n for n in signals if n != hangup or signal.getsignal(n) is not signal.SIG_IGN]
    before = {number: signal.signal(number, on_signal) for number in chosen}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)  # None: set by another language


@contextmanager
def stopping(announce: Callable[[], None], *signals: int) -> Iterator[Stop]:
    """Give a `should_stop` that turns true on the first of the signals, by default all; a second raises Interrupted.

    `announce` is called at the first. Signals are `caught`.
    """
    stop = Stop()

    def on_signal(number: int, _: FrameType | None) -> None:
        if stop.signal:
            raise Interrupted(number)
        stop.signal = number
        with suppress(RuntimeError, OSError):  # in the middle of a write to the same stream; a lost terminal
            announce()

    with caught(on_signal, *(signals or SIGNALS)):
        yield stop


@contextmanager
def interruptible(
    should_stop: Callable[[], bool] | None, again: str = "make the same call with resume=True"
) -> Iterator[Callable[[], bool]]:
    """Yield `should_stop`; where the caller gave none, one that Ctrl-C turns true, so that a checkpoint is kept.

    Only where Ctrl-C would raise KeyboardInterrupt, which is what is raised then too, once the checkpoint is written.
    `again` is how to continue from it.
    """
    if should_stop is not None:
        yield should_stop
        return
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield never_stop
        return
    try:
        with stopping(lambda: None, signal.SIGINT) as stop:
            yield stop
    except (TrainingInterrupted, ShardsInterrupted) as error:
        if not stop.signal:
            raise
        kept = getattr(error, "checkpoint", error) is not None
        more = f". To continue, {again}" if kept else ""
        raise KeyboardInterrupt(f"{error}{more}") from error
