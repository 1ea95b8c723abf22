"""Output: tables and JSON to stdout, notes to stderr; color only on a terminal and never with NO_COLOR."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

import click
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from tokframe.cli.stdout import output

if TYPE_CHECKING:
    from tokframe.plugins.protocols import Check

__all__ = ["checks_table", "make_console", "note", "plain_table", "show", "show_json", "write_json"]

WIDTH_WITHOUT_TERMINAL = 100  # columns


class _Console(Console):
    """A console that leaves a closed pipe to the error handler of the command line."""

    def on_broken_pipe(self) -> NoReturn:
        raise BrokenPipeError


def make_console(stream: TextIO) -> Console:
    """Return a rich console on a stream, 100 columns wide where the stream is not a terminal."""
    sized = stream.isatty() or os.environ.get("COLUMNS", "").isdigit()
    return _Console(
        file=stream, width=None if sized else WIDTH_WITHOUT_TERMINAL, highlight=False, markup=False, emoji=False
    )


def show(renderable: RenderableType) -> None:
    """Write a table or text to stdout, without trailing blanks where it is not a terminal."""
    console = make_console(sys.stdout)
    if console.is_terminal:
        console.print(renderable)
        return
    with console.capture() as capture:
        console.print(renderable)
    click.echo("\n".join(line.rstrip() for line in capture.get().splitlines()))


def plain_table(*titles: str, wrapped: int = 1) -> Table:
    """Return a table without lines; cells of the last `wrapped` columns may have several lines."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold", show_header=any(titles))
    for number, title in enumerate(titles, 1):
        table.add_column(title, no_wrap=number <= len(titles) - wrapped, overflow="fold")
    return table


def checks_table(checks: Iterable[Check], good: str, bad: str, bad_style: str = "bold red") -> Table:
    """Return a table of checks: `good`, `bad` or skipped, name, detail."""
    table = plain_table("", "", "")
    for check in checks:
        status = (
            Text("skipped", "yellow") if check.skipped else Text(good, "green") if check.ok else Text(bad, bad_style)
        )
        table.add_row(status, check.name, Text(f"({check.detail})" if check.skipped else check.detail))
    return table


def show_json(data: Any) -> None:
    """Write JSON to stdout."""
    click.echo(_json(data), file=output())


def write_json(data: Any, target: str) -> None:
    """Write JSON to a file, whole or not at all, or to stdout for `-`. Raises: ArtifactError."""
    if target == "-":
        show_json(data)
        return
    from tokframe.storage.places import write_output

    write_output(target, (_json(data) + "\n").encode())
    note(f"wrote {target}")


def note(text: str) -> None:
    """Write one line to stderr."""
    click.echo(text, err=True)


def _json(data: Any) -> str:
    text = json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False, default=_plain)
    return text.encode(errors="backslashreplace").decode()  # half a character in a path: as JSON escapes it


def _plain(value: Any) -> Any:
    """Convert what json cannot serialize: mappings, paths, numpy scalars and arrays."""
    for convert in ("tolist", "items"):
        if hasattr(value, convert):
            return dict(value.items()) if convert == "items" else value.tolist()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} is not JSON data")
