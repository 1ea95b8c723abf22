"""Standard output: kept for JSON alone where that was asked for; all else that writes to it then goes to stderr."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

__all__ = ["kept_for_json", "output", "silence"]

_json_alone: TextIO | None = None
_was_kept = False


def output() -> TextIO:
    """Return the stream that a command writes its result to."""
    return _json_alone or sys.stdout


@contextmanager
def kept_for_json() -> Iterator[None]:
    """Let only `output()` write to stdout; what Python code and C code print goes to stderr."""
    global _json_alone, _was_kept
    stdout = sys.stdout
    copy = _copied(stdout)
    _json_alone, _was_kept, sys.stdout = copy or stdout, True, sys.stderr
    try:
        yield
    finally:
        _json_alone, sys.stdout = None, stdout
        if copy is not None:
            with suppress(OSError):  # the reader is gone, which has been noticed already
                copy.flush()
            os.dup2(copy.fileno(), 1)
            with suppress(OSError):
                copy.close()


def silence() -> None:
    """Send what is still written to stdout to stderr: what others print at the end is no result of the command.

    What C code has buffered comes last, and is sent there too where stdout was kept.
    """
    with suppress(OSError, ValueError):
        sys.stdout.flush()
    sys.stdout = sys.stderr
    if _was_kept:
        with suppress(OSError):
            os.dup2(2, 1)


def _copied(stdout: TextIO) -> TextIO | None:
    """Return a stream on a copy of the descriptor of stdout, which then is that of stderr; None where it has none."""
    try:
        if stdout.fileno() != 1:
            return None
        stdout.flush()
        copy = os.fdopen(os.dup(1), "w", encoding=stdout.encoding, errors=stdout.errors)
        os.dup2(2, 1)
    except (OSError, ValueError, AttributeError):
        return None
    return copy
