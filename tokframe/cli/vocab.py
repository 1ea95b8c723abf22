"""`tokframe vocab`: the ids of a tokenizer and the bytes that each stands for."""

from __future__ import annotations

import click

from tokframe.cli.options import Command, json_option, name_argument

__all__ = ["command"]


@click.command(
    "vocab",
    cls=Command,
    examples=["tokframe vocab autoencoder-fsq | less", "tokframe vocab bpe --filter ing --json"],
)
@name_argument
@click.option("--filter", "pattern", default="", metavar="TEXT", help="Only ids whose text contains TEXT.")
@json_option
def command(name: str, pattern: str, as_json: bool) -> None:
    """List the ids of a tokenizer with the text and the bytes that each stands for.

    One id a line: id, text with what cannot be seen written as escapes, bytes in hex; separated by tabs.

    JSON: {"tokenizer", "vocab_size", "ids": [{"id", "text", "hex", "special"}]}.
    """
    from tokframe.cli.console import say, show_json
    from tokframe.loading.counting import vocab

    found = vocab(name, pattern)
    if as_json:
        show_json(found.to_dict())
        return
    for each in found.entries:
        say(f"{each.id}\t{each.text}\t{each.bytes.hex()}")
