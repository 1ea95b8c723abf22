"""Interruption of a command: the first signal saves a checkpoint, the second stops at once; prints how to continue."""

from __future__ import annotations

import shlex
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TypedDict

import click

from tokframe.cli.console import note
from tokframe.cli.options import ARGUMENTS
from tokframe.cli.progress import reporting
from tokframe.errors import ShardsInterrupted, TrainingInterrupted
from tokframe.training.interruption import stopping
from tokframe.training.progress import Reporter
from tokframe.training.torchrun import command, is_first

__all__ = ["RunControl", "next_command", "resumable"]


class RunControl(TypedDict):
    """Keyword arguments of everything that runs long: where to report progress, and whether to stop."""

    reporter: Reporter
    should_stop: Callable[[], bool]


@contextmanager
def resumable(
    ctx: click.Context,
    stopping_text: str = "Stopping after this step; what can be resumed is saved. Ctrl-C again stops at once.",
    killed_text: str = "",
) -> Iterator[RunControl]:
    """Show progress and catch signals; when interrupted, print the command that continues and exit with 128 + signal.

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
                with suppress(OSError):  # the terminal is gone
                    note(f"{text}\n{next_command(ctx, getattr(error, 'checkpoint', text) is not None)}")
            ctx.exit(128 + (getattr(error, "signal", 0) or stop.signal or signal.SIGINT))


def next_command(ctx: click.Context, kept: bool, *more: str) -> str:
    """Return the running command as it was given, with `more` options, and `--resume` if something was `kept`."""
    given = [*(word for word in ctx.meta[ARGUMENTS] if word not in ("--resume", *more)), *more]
    words = [*command(), *ctx.command_path.split()[1:], *given]
    if any(param.name == "resume" for param in ctx.command.params):  # others continue by themselves
        if not kept:
            return f"Start again with:\n  {shlex.join(words)}"
        words.append("--resume")
    return f"Continue with:\n  {shlex.join(words)}"
