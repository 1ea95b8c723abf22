"""`tokframe aliases`: names of one's own for tokenizers, where each is set, and whether it resolves."""

from __future__ import annotations

from typing import Any

import attrs
import click
from rich.table import Table
from rich.text import Text

from tokframe.cli.console import show, show_json
from tokframe.cli.options import json_option
from tokframe.errors import ConfigError, TokframeError
from tokframe.loading import loading
from tokframe.loading.aliases import Alias, all_aliases
from tokframe.storage.artifact import MANIFEST

__all__ = ["command"]

_HOW = """No aliases are set. Set one in ./tokframe.toml:
  [aliases]
  production = "word"
or in the environment: TOKFRAME_ALIASES=production=word"""


@attrs.frozen(kw_only=True)
class _Row:
    alias: Alias
    resolves: bool
    path: str | None  # the folder it would be loaded from
    reason: str  # why it does not resolve


@click.command(
    "aliases",
    epilog="\b\nExample:\n  tokframe aliases\n  TOKFRAME_ALIASES=next=./mine tokframe aliases --json",
)
@click.option("--check", is_flag=True, help="Exit with 1 if any alias does not resolve.")
@json_option()
@click.pass_context
def command(ctx: click.Context, check: bool, as_json: bool) -> None:
    """List names of your own for tokenizers: what each stands for, where it is set, and whether it resolves.

    What wins first: TOKFRAME_ALIASES; tokframe.toml in the working directory; tokframe.toml in the user's
    configuration folder (~/.config/tokframe, or $XDG_CONFIG_HOME/tokframe). TOKFRAME_CONFIG names one file in place
    of the two.

    JSON: {"aliases": [{"name", "target", "source", "place", "overridden_by", "resolves", "path", "reason"}]}.
    """
    rows = [_row(alias) for alias in all_aliases()]
    if as_json:
        show_json({"aliases": [_data(row) for row in rows]})
    else:
        _show(rows)
    if check and not all(row.resolves for row in rows if not row.alias.overridden_by):
        ctx.exit(1)


def _row(alias: Alias) -> _Row:
    if alias.overridden_by:
        return _Row(alias=alias, resolves=False, path=None, reason=f"overridden by {alias.overridden_by}")
    try:
        path, _ = loading.where(alias.name)
    except TokframeError as error:
        # A config error's own text repeats where the alias is set, which stands beside it here.
        reason = "; ".join(text for _, text in error.problems) if isinstance(error, ConfigError) else str(error)
        return _Row(alias=alias, resolves=False, path=None, reason=reason)
    if not (path / MANIFEST).is_file():
        what = "is no saved tokenizer" if path.exists() else "does not exist"
        return _Row(alias=alias, resolves=False, path=str(path), reason=f"{path} {what}")
    return _Row(alias=alias, resolves=True, path=str(path), reason="")


def _data(row: _Row) -> dict[str, Any]:
    alias = attrs.asdict(row.alias, filter=lambda attribute, _: attribute.name != "folder")
    return {**alias, "resolves": row.resolves, "path": row.path, "reason": row.reason}


def _show(rows: list[_Row]) -> None:
    if not rows:
        show(Text(_HOW))
        return
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    table.add_column("alias", no_wrap=True)
    table.add_column("stands for", overflow="fold")
    table.add_column("set in", overflow="fold")
    table.add_column("resolves", overflow="fold")
    for row in rows:
        over = bool(row.alias.overridden_by)
        state = Text("yes", "green") if row.resolves else Text(row.reason, "dim" if over else "yellow")
        style = "dim" if over else "bold"
        source = f"{row.alias.source}, {row.alias.place}"
        table.add_row(Text(row.alias.name, style), Text(row.alias.target), Text(source), state)
    show(table)
