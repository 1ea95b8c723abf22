"""Ctrl-C in long work: the first asks for a checkpoint, the second stops at once; and the command that goes on."""

from __future__ import annotations

import shlex
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

import click

from tokframe.training.torchrun import command

__all__ = ["Stop", "resume_command", "stopping"]


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


def resume_command(ctx: click.Context) -> str:
    """Return the command that is running, as it was given, with `--resume`."""
    names, at = [], ctx
    while at.parent is not None:
        names.append(at.info_name or "")
        at = at.parent
    words = [*command(), *reversed(names)]
    for param in ctx.command.params:
        value = ctx.params.get(param.name or "")
        if param.name == "resume" or value in (None, (), param.get_default(ctx)):
            continue
        if isinstance(param, click.Option) and param.is_flag:
            words.append(param.opts[0] if value else param.secondary_opts[0])
            continue
        if isinstance(param, click.Option):
            words.append(param.opts[0])
        words += map(str, value) if isinstance(value, tuple) else [str(value)]
    return shlex.join([*words, "--resume"])
