"""`tokframe config`: the keys of a training config, with default, bounds and meaning."""

from __future__ import annotations

import json

import click

from tokframe.cli.installed import complete_names
from tokframe.cli.options import Command, json_option

__all__ = ["command"]


@click.command("config", cls=Command, examples=["tokframe config autoencoder-fsq", "tokframe config bpe --json"])
@click.argument("name", metavar="NAME", shell_complete=complete_names)
@json_option
def command(name: str, as_json: bool) -> None:
    """List the keys of a tokenizer's training config: default, what each may be, and what it means.

    Keys are set in the file of train --config, as {"training": {"max_minutes": 5}}, or by train --set
    training.max_minutes=5; train --print-config shows all values.

    JSON: {"tokenizer", "keys": [{"key", "default", "type", "allowed", "meaning"}]}.
    """
    from rich.text import Text

    from tokframe.cli.console import plain_table, show, show_json
    from tokframe.loading.configs import config

    found = config(name)
    if as_json:
        show_json(found.to_dict())
        return
    table = plain_table("key", "default", "meaning", wrapped=1)
    for key in found.keys:
        allowed = f" ({key.allowed})" if key.allowed else ""
        table.add_row(Text(key.key, "bold"), Text(json.dumps(key.default)), Text(f"{key.meaning}{allowed}"))
    show(table)
