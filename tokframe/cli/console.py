"""Where output goes: tables and JSON to stdout, notes to stderr; colour only on a terminal and never with NO_COLOR."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any, NoReturn, TextIO

import click
from rich.console import Console, RenderableType

__all__ = ["make_console", "note", "show", "show_json", "write_json"]

_WIDTH = 100  # columns where there is no terminal to ask


class _Console(Console):
    """A console that leaves a closed pipe to the command line's one error handler."""

    def on_broken_pipe(self) -> NoReturn:
        raise BrokenPipeError


def make_console(stream: TextIO) -> Console:
    """Return a rich console on a stream, 100 columns wide where the stream is no terminal."""
    sized = stream.isatty() or os.environ.get("COLUMNS", "").isdigit()
    return _Console(file=stream, width=None if sized else _WIDTH, highlight=False, markup=False, emoji=False)


def show(renderable: RenderableType) -> None:
    """Write a table or text to stdout, without blanks at line ends where it is no terminal."""
    console = make_console(sys.stdout)
    if console.is_terminal:
        console.print(renderable)
        return
    with console.capture() as capture:
        console.print(renderable)
    click.echo("\n".join(line.rstrip() for line in capture.get().splitlines()))


def show_json(data: Any) -> None:
    """Write JSON to stdout."""
    click.echo(_json(data))


def write_json(data: Any, target: str) -> None:
    """Write JSON to a file, or to stdout for `-`. Raises: OSError."""
    if target == "-":
        show_json(data)
        return
    Path(target).write_text(_json(data) + "\n", encoding="utf-8")
    note(f"wrote {target}")


def note(text: str) -> None:
    """Write one line to stderr."""
    click.echo(text, err=True)


def _json(data: Any) -> str:
    return json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False, default=_plain)


def _plain(value: Any) -> Any:
    """Return what json does not know as what it knows: mappings, paths, numpy scalars and arrays."""
    for convert in ("tolist", "items"):
        if hasattr(value, convert):
            return dict(value.items()) if convert == "items" else value.tolist()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} is not JSON data")
