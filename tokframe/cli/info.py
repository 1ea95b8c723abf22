"""`tokframe info`: the parts, config, files and training of a saved tokenizer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import click

from tokframe.cli.options import Command, json_option, name_argument

__all__ = ["command"]

MAX_DEPTH = 4


@click.command("info", cls=Command, examples=["tokframe info autoencoder-fsq", "tokframe info ./mine --json"])
@name_argument
@json_option
def command(name: str, as_json: bool) -> None:
    """Show what a saved tokenizer is: parts, config, files, training.

    JSON: {"name", "path", "registered", "tokenizer", "components", "format_version", "bytes", "files", "config",
    "training", "vocab_size", "special_tokens", "capabilities"}; the last three are null if it does not load. With
    "extended" for a tokenizer that was given more ids.
    """
    from tokframe.cli.console import note, show, show_json
    from tokframe.loading.inspection import info

    facts = info(name)
    if reason := facts.pop("reason"):
        note(f"does not load: {reason}")
    if as_json:
        show_json(facts)
    else:
        show(_page(facts))


def _page(facts: Mapping[str, Any]) -> Any:
    from rich.console import Group
    from rich.padding import Padding
    from rich.text import Text

    from tokframe.cli.console import plain_table

    def grid(rows: Iterable[tuple[str, str]]) -> Padding:
        table = plain_table("", "")
        table.columns[0].style = "dim"
        for name, value in rows:
            table.add_row(name, Text(value))
        return Padding(table, (0, 0, 0, 2))

    def made_by(part: Mapping[str, Any]) -> str:
        return f"{part.get('distribution', '?')} {part.get('distribution_version', '')}".strip()

    head = [("made by", made_by(facts["tokenizer"])), ("path", facts["path"])]
    if facts["vocab_size"] is not None:
        special = ", ".join(f"{text} = {token}" for text, token in facts["special_tokens"].items())
        head.append(("ids", f"{facts['vocab_size']:,}" + (f"  ({special})" if special else "")))
        able = [name.replace("_", " ") for name, has in facts["capabilities"].items() if has]
        head.append(("capabilities", ", ".join(able) or "none"))
    for part in facts["components"]:
        head.append((str(part.get("kind", "part")), f"{part.get('name', '?')}  ({made_by(part)})"))
    parts: list[Any] = [Text(facts["name"], style="bold"), grid(head)]
    training = facts.get("training") or {}
    if training.get("config") == facts["config"]:
        training = {key: value for key, value in training.items() if key != "config"}  # shown below
    for title, data in (("Training", training), ("Extended", facts.get("extended")), ("Config", facts["config"])):
        if data:
            parts += [Text(), Text(title, style="bold cyan"), grid(_flat(data))]
    files = plain_table("file", "bytes", "SHA-256", wrapped=0)
    files.header_style, files.columns[1].justify = "dim", "right"
    for file, entry in sorted(facts["files"].items()):
        files.add_row(file, f"{entry['bytes']:,}", str(entry.get("sha256", ""))[:16])
    title = f"Files: {facts['bytes'] / 1e6:,.2f} MB"
    return Group(*parts, Text(), Text(title, style="bold cyan"), Padding(files, (0, 0, 0, 2)))


def _flat(data: Mapping[str, Any], path: str = "", depth: int = 0) -> Iterator[tuple[str, str]]:
    """Yield nested JSON data as dotted keys and short values."""
    for key, value in data.items():
        name = f"{path}.{key}" if path else str(key)
        if isinstance(value, Mapping) and depth < MAX_DEPTH:
            yield from _flat(value, name, depth + 1)
        elif isinstance(value, list) and len(value) > 16:
            yield name, f"{len(value):,} entries"
        elif isinstance(value, list):
            yield name, ", ".join(map(str, value)) or "none"
        else:
            number = type(value) in (int, float) and value >= 10_000 and value == int(value)
            yield name, f"{int(value):,}" if number else str(value)
