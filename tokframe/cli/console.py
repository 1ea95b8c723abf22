"""Output: tables and JSON to stdout, notes to stderr, all of it printable; color only on a terminal, if at all."""

from __future__ import annotations

import codecs
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from tokframe.cli.stdout import output
from tokframe.storage.printable import printable, printable_json
from tokframe.training.terminal import make_console

if TYPE_CHECKING:
    from tokframe.plugins.protocols import Check

__all__ = [
    "BytesWriter",
    "checks_table",
    "note",
    "plain_table",
    "say",
    "show",
    "show_json",
    "write_json",
]


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


def say(text: str) -> None:
    """Write one line to stdout."""
    click.echo(printable(text))


class BytesWriter:
    """Writes bytes to stdout as they are, and to a terminal, which would obey some of them, as printable text."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace") if sys.stdout.isatty() else None

    def write(self, data: bytes) -> None:
        """Write the next bytes. Raises: OSError."""
        if self._decoder is None:
            sys.stdout.buffer.write(data)
        else:
            click.echo(printable(self._decoder.decode(data)), nl=False)

    def close(self) -> None:
        """Write what is left of a character."""
        if self._decoder is not None:
            click.echo(printable(self._decoder.decode(b"", True)), nl=False)
        sys.stdout.flush()


def note(text: str) -> None:
    """Write one line to stderr."""
    click.echo(printable(text), err=True)


def _json(data: Any) -> str:
    return printable_json(json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False, default=_plain))


def _plain(value: Any) -> Any:
    """Convert what json cannot serialize: mappings, paths, numpy scalars and arrays."""
    for convert in ("tolist", "items"):
        if hasattr(value, convert):
            return dict(value.items()) if convert == "items" else value.tolist()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} is not JSON data")
