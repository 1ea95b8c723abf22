"""Interruption of a command: the first signal saves a checkpoint, the second stops at once; prints how to continue."""

from __future__ import annotations

import shlex
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypedDict

import click

from tokframe.cli.console import note
from tokframe.cli.options import ARGUMENTS
from tokframe.errors import ShardsInterrupted, TrainingInterrupted
from tokframe.storage.places import outputs
from tokframe.training.interruption import stopping
from tokframe.training.progress import Reporter
from tokframe.training.terminal import reporting
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
) -> Iterator[RunControl]:
    """Show progress and catch signals; when interrupted, print the command that continues and exit with 128 + signal.

    `stopping_text` is shown at the first Ctrl-C. The command has an option `--out`.
    """
    with reporting() as reporter, stopping(lambda: reporter.note(stopping_text)) as stop:
        try:
            yield RunControl(reporter=reporter, should_stop=stop)
        except (TrainingInterrupted, ShardsInterrupted, KeyboardInterrupt) as error:
            reporter.close()
            if isinstance(error, KeyboardInterrupt):
                kept: object = _kept(ctx)
                text = f"Stopped at once; {f'what was finished is kept in {kept}' if kept else 'nothing was kept'}"
            else:
                kept, text = getattr(error, "checkpoint", error), str(error)
            if is_first():
                with suppress(OSError):  # the terminal is gone
                    note(f"{text}\n{next_command(ctx, kept is not None)}")
            ctx.exit(128 + (getattr(error, "signal", 0) or stop.signal or signal.SIGINT))


def _kept(ctx: click.Context) -> Path | None:
    """Return the folder of what a run was not allowed to finish: it removes one from which nothing can be resumed."""
    out, *unfinished = outputs(ctx.params["out"])
    places = unfinished if "resume" in ctx.params else [out]  # which commands without the option continue from
    return next(filter(Path.is_dir, places), None)


def next_command(ctx: click.Context, kept: bool, *more: str) -> str:
    """Return the running command as it was given, with `more` options, and `--resume` if something was `kept`."""
    given = [*(word for word in ctx.meta[ARGUMENTS] if word not in ("--resume", *more)), *more]
    words = [*command(), *ctx.command_path.split()[1:], *given]
    if "resume" in ctx.params:  # others continue by themselves
        if not kept:
            return f"Start again with:\n  {shlex.join(words)}"
        words.append("--resume")
    return f"Continue with:\n  {shlex.join(words)}"
