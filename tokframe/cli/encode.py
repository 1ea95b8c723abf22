"""`tokframe encode`: bytes to ids, read as a stream."""

from __future__ import annotations

from itertools import chain

import click

from tokframe.cli.options import Command, json_option, name_argument

__all__ = ["command"]


@click.command(
    "encode",
    cls=Command,
    examples=[
        "tokframe encode autoencoder-fsq notes.txt > notes.ids",
        "echo hello | tokframe encode bpe | tokframe decode bpe",
    ],
)
@name_argument
@click.argument("file", default="-", metavar="[FILE|-]")
@click.option("--special", is_flag=True, help="Add the tokenizer's special tokens around the text.")
@json_option
def command(name: str, file: str, special: bool, as_json: bool) -> None:
    """Turn a file (or stdin) into ids: one line of numbers for the whole input.

    The input is read as bytes; `tokframe decode` returns exactly the same bytes.

    JSON: {"ids": [...], "tokens": n, "bytes": n}.
    """
    from tokframe.cli.console import show_json
    from tokframe.loading.counting import encoded, open_input
    from tokframe.loading.loading import load

    tokenizer = load(name)
    before, after = tokenizer.template() if special else ((), ())
    with open_input(file) as stream:
        ids: list[int] = []
        size = 0
        gap = ""
        for data, part in chain([(b"", before)], encoded(tokenizer, stream), [(b"", after)]):
            size += len(data)
            if as_json:
                ids += part
            elif part:
                click.echo(gap + " ".join(map(str, part)), nl=False)
                gap = " "
    if as_json:
        show_json({"ids": ids, "tokens": len(ids), "bytes": size})
    else:
        click.echo()
