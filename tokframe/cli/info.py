"""`tokframe info`: the parts, config, files and training of a saved tokenizer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import click

from tokframe.cli.options import Command, json_option, name_argument

__all__ = ["command"]

MAX_DEPTH = 4


@click.command(
    "info", cls=Command, epilog="\b\nExample:\n  tokframe info autoencoder-fsq\n  tokframe info ./mine --json"
)
@name_argument()
@json_option()
def command(name: str, as_json: bool) -> None:
    """Show what a saved tokenizer is: parts, config, files, training.

    JSON: {"name", "path", "registered", "tokenizer", "components", "format_version", "bytes", "files", "config",
    "training", "vocab_size", "special_tokens", "capabilities"}; the last three are null if it does not load.
    """
    import attrs

    from tokframe.cli.console import note, show, show_json
    from tokframe.errors import TokframeError
    from tokframe.loading.inspection import describe
    from tokframe.loading.loading import load

    described = describe(name)
    loaded: dict[str, Any] = {"vocab_size": None, "special_tokens": None, "capabilities": None}
    try:
        tokenizer = load(name)
        loaded = {
            "vocab_size": tokenizer.vocab_size,
            "special_tokens": dict(tokenizer.special_tokens),
            "capabilities": attrs.asdict(tokenizer.capabilities),
        }
    except TokframeError as error:
        note(f"does not load: {error}")
    if as_json:
        show_json({**described, **loaded})
    else:
        show(_page({**described, **loaded}))


def _page(facts: Mapping[str, Any]) -> Any:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    def grid() -> Table:
        table = Table(box=None, padding=(0, 2, 0, 2), pad_edge=False, show_header=False)
        table.add_column(style="dim", no_wrap=True)
        table.add_column(overflow="fold")
        return table

    def section(title: str) -> Text:
        return Text(title, style="bold cyan")

    head = grid()
    maker = facts["tokenizer"]
    head.add_row("made by", f"{maker.get('distribution', '?')} {maker.get('distribution_version', '')}".strip())
    head.add_row("path", Text(str(facts["path"])))
    if facts["vocab_size"] is not None:
        special = ", ".join(f"{text} = {token}" for text, token in facts["special_tokens"].items())
        head.add_row("ids", f"{facts['vocab_size']:,}" + (f"  ({special})" if special else ""))
        able = [name.replace("_", " ") for name, has in facts["capabilities"].items() if has]
        head.add_row("capabilities", ", ".join(able) or "none")
    for part in facts["components"]:
        made = f"{part.get('distribution', '')} {part.get('distribution_version', '')}".strip()
        head.add_row(str(part.get("kind", "part")), f"{part.get('name', '?')}  ({made})")
    parts: list[Any] = [Text(str(facts["name"]), style="bold"), head]
    for title in ("training", "config"):
        data = facts.get(title) or {}
        if title == "training" and data.get("config") == facts["config"]:
            data = {key: value for key, value in data.items() if key != "config"}  # shown below
        rows = list(_flat(data))
        if rows:
            table = grid()
            for key, value in rows:
                table.add_row(key, Text(value))
            parts += [Text(), section(title.capitalize()), table]
    files = Table(box=None, padding=(0, 2, 0, 2), pad_edge=False, header_style="dim")
    files.add_column("file", no_wrap=True)
    files.add_column("bytes", justify="right", no_wrap=True)
    files.add_column("SHA-256", no_wrap=True)
    for file, entry in sorted(facts["files"].items()):
        files.add_row(file, f"{entry['bytes']:,}", str(entry.get("sha256", ""))[:16])
    return Group(*parts, Text(), section(f"Files: {facts['bytes'] / 1e6:,.2f} MB"), files)


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
