"""`tokframe encode`: bytes to ids, read as a stream."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from typing import TYPE_CHECKING, BinaryIO

import click

from tokframe.cli.options import Command, json_option, name_argument
from tokframe.storage.paths import expanded

if TYPE_CHECKING:
    from tokframe.tokenizer.base import ITokenizer

__all__ = ["BLOCK_BYTES", "command", "open_input"]

BLOCK_BYTES = 1_000_000


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
    from tokframe.loading.loading import load

    tokenizer = load(name)
    before, after = tokenizer.template() if special else ((), ())
    with open_input(file) as stream:
        ids: list[int] = []
        size = 0
        gap = ""
        for data, part in chain([(0, before)], _encoded(tokenizer, stream), [(0, after)]):
            size += data
            if as_json:
                ids += part
            elif part:
                click.echo(gap + " ".join(map(str, part)), nl=False)
                gap = " "
    if as_json:
        show_json({"ids": ids, "tokens": len(ids), "bytes": size})
    else:
        click.echo()


@contextmanager
def open_input(file: str) -> Iterator[BinaryIO]:
    """Open a file for reading bytes; `-` is stdin, which stays open. Raises: CorpusError."""
    from tokframe.errors import CorpusError

    if file == "-":
        yield sys.stdin.buffer
        return
    try:
        with expanded(file).open("rb") as stream:
            yield stream
    except OSError as error:
        if error.filename is None:  # not about this file: a closed pipe, a full disk
            raise
        raise CorpusError(f"cannot read {file!r}: {error.strerror}", path=file) from error


def _encoded(tokenizer: ITokenizer, stream: BinaryIO) -> Iterator[tuple[int, list[int]]]:
    """Yield (bytes read, ids final after them) until the end; the ids of all parts are those of the whole."""
    if not tokenizer.capabilities.streaming:
        data = stream.read()
        yield len(data), tokenizer.encode_bytes(data, add_special=False)
        return
    encoder = tokenizer.stream_encoder()
    while data := stream.read(BLOCK_BYTES):
        yield len(data), encoder.feed(data)
    yield 0, encoder.finish()
