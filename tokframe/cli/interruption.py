"""Interruption of long work: the first Ctrl-C saves a checkpoint, the second stops at once; prints how to continue."""

from __future__ import annotations

import shlex
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import TypedDict

import click

from tokframe.cli.console import note
from tokframe.cli.options import ARGUMENTS
from tokframe.cli.progress import reporting
from tokframe.errors import ShardsInterrupted, TrainingInterrupted
from tokframe.training.progress import Reporter
from tokframe.training.torchrun import command, is_first

__all__ = ["RunControl", "Stop", "resumable", "stopping"]


class RunControl(TypedDict):
    """Keyword arguments of everything that runs long: where to report progress, and whether to stop."""

    reporter: Reporter
    should_stop: Callable[[], bool]


class Stop:
    """Whether to stop, and the signal that asked for it."""

    def __init__(self) -> None:
        self.signal = 0

    def __call__(self) -> bool:
        """Return True once stopping was asked for."""
        return self.signal != 0


@contextmanager
def resumable(
    ctx: click.Context,
    stopping_text: str = "Stopping after this step and saving a checkpoint. Ctrl-C again stops at once.",
    killed_text: str = "",
) -> Iterator[RunControl]:
    """Show progress and catch Ctrl-C; when interrupted, print the command that continues and exit with 130 (SIGINT).

    `stopping_text` is shown at the first Ctrl-C; `killed_text` at the second, where that can be resumed as well.
    """
    with reporting() as reporter, stopping(lambda: reporter.note(stopping_text)) as stop:
        try:
            yield RunControl(reporter=reporter, should_stop=stop)
        except (TrainingInterrupted, ShardsInterrupted, KeyboardInterrupt) as error:
            text = killed_text if isinstance(error, KeyboardInterrupt) else str(error)
            if not text:
                raise
            reporter.close()
            if is_first():
                note(f"{text}\n{_next_command(ctx, getattr(error, 'checkpoint', text) is not None)}")
            ctx.exit(128 + (stop.signal or signal.SIGINT))


@contextmanager
def stopping(announce: Callable[[], None]) -> Iterator[Stop]:
    """Give a `should_stop` that turns true on the first SIGINT or SIGTERM; a second one interrupts as usual.

    `announce` is called at the first. Does nothing outside the main thread, where signals cannot be caught.
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
            announce()

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _next_command(ctx: click.Context, kept: bool) -> str:
    """Return the running command as it was given, with `--resume` if it has that option and something was `kept`."""
    given = [word for word in ctx.meta[ARGUMENTS] if word != "--resume"]
    words = [*command(), *ctx.command_path.split()[1:], *given]
    if any(param.name == "resume" for param in ctx.command.params):  # others continue by themselves
        if not kept:
            return f"Start again with:\n  {shlex.join(words)}"
        words.append("--resume")
    return f"Continue with:\n  {shlex.join(words)}"
