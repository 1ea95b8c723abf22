"""`tokframe aliases`: your own names for tokenizers, where each is set, and whether it resolves."""

from __future__ import annotations

from typing import Any

import attrs
import click
from rich.text import Text

from tokframe.cli.console import plain_table, show, show_json
from tokframe.cli.options import Command, json_option
from tokframe.errors import ConfigError, TokframeError
from tokframe.loading.aliases import Alias, all_aliases
from tokframe.loading.reference import resolve
from tokframe.storage.artifact import FORMAT

__all__ = ["command"]

_HOW = """No aliases are set. Set one in ./tokframe.toml:
  [aliases]
  production = "word"
or in the environment: TOKFRAME_ALIASES=production=word"""


@click.command(
    "aliases", cls=Command, examples=["tokframe aliases", "TOKFRAME_ALIASES=next=./mine tokframe aliases --json"]
)
@click.option("--check", is_flag=True, help="Exit with 1 if any alias does not resolve.")
@json_option
@click.pass_context
def command(ctx: click.Context, check: bool, as_json: bool) -> None:
    """List your own names for tokenizers: what each refers to, where it is set, and whether it resolves.

    By precedence: TOKFRAME_ALIASES; tokframe.toml in the working directory; tokframe.toml in the user's
    configuration folder (~/.config/tokframe, or $XDG_CONFIG_HOME/tokframe). TOKFRAME_CONFIG names one file in place
    of the two.

    JSON: {"aliases": [{"name", "target", "source", "place", "overridden_by", "resolves", "path", "reason"}]}.
    """
    entries = [_entry(alias) for alias in all_aliases()]
    if as_json:
        show_json({"aliases": entries})
    elif entries:
        _show(entries)
    else:
        show(Text(_HOW))
    if check and not all(entry["resolves"] or entry["overridden_by"] for entry in entries):
        ctx.exit(1)


def _entry(alias: Alias) -> dict[str, Any]:
    """Return an alias with the folder it is loaded from, or the reason why it does not resolve."""
    path, reason = None, f"overridden by {alias.overridden_by}" if alias.overridden_by else ""
    try:
        path = None if reason else resolve(alias.name).folder()
    except TokframeError as error:
        # The text of a config error repeats where the alias is set, which is shown beside it.
        reason = "; ".join(text for _, text in error.problems) if isinstance(error, ConfigError) else str(error)
    if path is not None and not FORMAT.is_ours(path):
        reason = f"{path} {'is not a saved tokenizer' if path.exists() else 'does not exist'}"
    entry = attrs.asdict(alias, filter=lambda attribute, _: attribute.name != "folder")
    return {**entry, "resolves": not reason, "path": path and str(path), "reason": reason}


def _show(entries: list[dict[str, Any]]) -> None:
    table = plain_table("alias", "refers to", "set in", "resolves", wrapped=3)
    for entry in entries:
        over = bool(entry["overridden_by"])
        state = Text("yes", "green") if entry["resolves"] else Text(entry["reason"], "dim" if over else "yellow")
        source = Text(f"{entry['source']}, {entry['place']}")
        table.add_row(Text(entry["name"], "dim" if over else "bold"), Text(entry["target"]), source, state)
    show(table)
