"""Ctrl-C while training: the first asks for a checkpoint, the second stops at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

__all__ = ["Stop", "stopping"]


class Stop:
    """Whether to stop, and the signal that said so."""

    def __init__(self) -> None:
        self.signal = 0

    def __call__(self) -> bool:
        """Return True once stopping was asked for."""
        return self.signal != 0


@contextmanager
def stopping(tell: Callable[[str], None]) -> Iterator[Stop]:
    """Give a `should_stop` that turns true on the first SIGINT or SIGTERM; a second one interrupts as usual.

    `tell` is called with what is going on. Does nothing outside the main thread, where signals cannot be caught.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def on_signal(number: int, _: FrameType | None) -> None:
        if stop.signal:
            raise KeyboardInterrupt
        stop.signal = number
        with suppress(RuntimeError):  # the signal came in the middle of a write to the same stream
            tell("Stopping after this step and saving a checkpoint. Ctrl-C again stops at once.")

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
