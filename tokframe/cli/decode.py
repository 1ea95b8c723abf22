"""`tokframe decode`: ids to the exact bytes they represent."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from functools import partial
from itertools import chain
from typing import BinaryIO

import click

from tokframe.cli.options import Command, json_option, name_argument
from tokframe.errors import EncodingError, InvalidTokenError
from tokframe.loading.counting import BLOCK_BYTES, open_input

__all__ = ["command"]


@click.command(
    "decode",
    cls=Command,
    examples=["tokframe decode autoencoder-fsq notes.ids > notes.txt", "echo 100 101 | tokframe decode bpe"],
)
@name_argument
@click.argument("file", default="-", metavar="[FILE|-]")
@click.option("--special", is_flag=True, help="Write special tokens as their text instead of leaving them out.")
@json_option
def command(name: str, file: str, special: bool, as_json: bool) -> None:
    """Turn ids from a file (or stdin) back into the exact bytes, on stdout; nothing is added, not even a line end.

    Only a terminal, which would obey control characters, gets those as escapes.

    Ids are numbers separated by blanks or line ends, or the JSON that `tokframe encode --json` writes.

    JSON: {"text", "base64", "bytes", "tokens"}; "text" is null where the bytes are not UTF-8.
    """
    from tokframe.cli.console import BytesWriter, show_json
    from tokframe.loading.loading import load

    tokenizer = load(name)
    parts: list[bytes] = []
    count = 0
    writer = BytesWriter()
    add = parts.append if as_json else writer.write
    decoder = tokenizer.stream_decoder(skip_special=not special)
    with open_input(file) as stream:
        for ids in _blocks(stream):
            try:
                add(decoder.feed_bytes(ids))
            except InvalidTokenError as error:
                raise InvalidTokenError(
                    f"id {error.token} at position {count + error.position} is outside the vocabulary of {name}; "
                    f"ids are 0 to {tokenizer.vocab_size - 1}",
                    token=error.token,
                    position=count + error.position,
                ) from error
            count += len(ids)
    add(decoder.finish_bytes())
    if as_json:
        data = b"".join(parts)
        show_json({"text": _text(data), "base64": base64.b64encode(data).decode(), "bytes": len(data), "tokens": count})
    else:
        writer.close()


def _blocks(stream: BinaryIO) -> Iterator[list[int]]:
    """Yield ids in order, a block of input at a time. Raises: EncodingError for what is not a number."""
    first = stream.read(BLOCK_BYTES)
    if first.lstrip()[:1] in (b"{", b"["):
        yield _from_json(first + stream.read())
        return
    rest, done = b"", 0
    for block in chain([first], iter(partial(stream.read, BLOCK_BYTES), b""), [b" "]):
        words = (rest + block).split()
        rest = words.pop() if words and not block[-1:].isspace() else b""
        yield _numbers(words, done)
        done += len(words)


def _numbers(words: list[bytes], done: int) -> list[int]:
    numbers: list[int] = []
    try:
        for word in words:
            numbers.append(int(word))
    except ValueError:
        position = done + len(numbers)
        bad = words[len(numbers)][:40].decode("utf-8", "replace")
        raise EncodingError(
            f"{bad!r} at position {position} is not an id; expected numbers, as `tokframe encode` writes them",
            position=position,
        ) from None
    return numbers


def _from_json(raw: bytes) -> list[int]:
    try:
        data = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise EncodingError(f"the ids are not valid JSON: {error}") from error
    ids = data.get("ids") if isinstance(data, dict) else data
    if not isinstance(ids, list) or not all(type(token) is int for token in ids):
        raise EncodingError('expected {"ids": [numbers]} or [numbers], as `tokframe encode --json` writes them')
    return ids


def _text(data: bytes) -> str | None:
    text = data.decode(errors="ignore")
    return text if text.encode() == data else None
