"""Counting: the tokens, bytes, lines and characters of files, as `wc` counts them, and the listing of a vocabulary."""

from __future__ import annotations

import codecs
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from attrs import asdict, frozen

from tokframe.errors import CorpusError, EncodingError
from tokframe.loading.loading import load
from tokframe.storage.paths import expanded
from tokframe.tokenizer.base import ITokenizer
from tokframe.tokenizer.display import Result
from tokframe.tokenizer.segments import shown

__all__ = ["BLOCK_BYTES", "Count", "Counts", "VocabEntry", "Vocabulary", "count", "encoded", "open_input", "vocab"]

BLOCK_BYTES = 1_000_000


@frozen(kw_only=True)
class Count:
    """The tokens of one file, special ones not counted, and its lines, characters and bytes."""

    file: str
    tokens: int
    lines: int
    chars: int
    bytes: int

    @property
    def bytes_per_token(self) -> float | None:
        """Bytes of text per token; None for an empty file."""
        return self.bytes / self.tokens if self.tokens else None


@frozen(kw_only=True, repr=False)
class Counts(Result):
    """The counts of `files` by the tokenizer `name`."""

    name: str
    files: tuple[Count, ...]

    @property
    def total(self) -> Count:
        """The sums over all files."""
        sums = {key: sum(getattr(each, key) for each in self.files) for key in ("tokens", "lines", "chars", "bytes")}
        return Count(file="total", **sums)

    @property
    def title(self) -> str:
        """The total."""
        return f"{self.total.tokens:,} tokens of {self.name}"

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON data of `tokframe count --json`."""
        found = [asdict(each) | {"bytes_per_token": each.bytes_per_token} for each in (*self.files, self.total)]
        total = {key: value for key, value in found[-1].items() if key != "file"}
        return {"tokenizer": self.name, "files": found[:-1], "total": total}

    def records(self) -> list[dict[str, Any]]:
        """Return one row per file, and a last one of the total where there are several."""
        rows = [*self.files, self.total] if len(self.files) > 1 else self.files
        order = ("tokens", "lines", "chars", "bytes", "bytes_per_token", "file")
        return [{key: getattr(each, key) for key in order} for each in rows]


@frozen(kw_only=True)
class VocabEntry:
    """One id and the bytes that it stands for; a special token's are its text. `text` is how they are shown."""

    id: int
    bytes: bytes
    special: bool

    @property
    def text(self) -> str:
        """The bytes as text with its controls escaped, or as hex escapes where they are not UTF-8."""
        return shown(self.bytes)


@frozen(kw_only=True, repr=False)
class Vocabulary(Result):
    """Ids of the tokenizer `name`, in order; `vocab_size` counts all of them, also those that were not asked for."""

    name: str
    vocab_size: int
    entries: tuple[VocabEntry, ...]

    @property
    def title(self) -> str:
        """How many ids these are."""
        return f"{len(self.entries):,} of {self.vocab_size:,} ids of {self.name}"

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON data of `tokframe vocab --json`."""
        return {"tokenizer": self.name, "vocab_size": self.vocab_size, "ids": self.records()}

    def records(self) -> list[dict[str, Any]]:
        """Return one row per id: its text, its bytes in hex, whether it is a special token."""
        return [
            {"id": each.id, "text": each.text, "hex": each.bytes.hex(), "special": each.special}
            for each in self.entries
        ]


def count(name: str | os.PathLike[str], files: str | Path | Sequence[str | Path] = "-") -> Counts:
    """Count the tokens of files by a tokenizer, by name or path; `-` is stdin.

    Files are read as bytes, in a stream where the tokenizer can. Raises: as `load`; CorpusError for a file that cannot
    be read; EncodingError or UnsupportedError, naming the file, for one that the tokenizer does not encode.
    """
    tokenizer = load(name)
    found = []
    for file in [files] if isinstance(files, (str, Path)) else files:
        tokens = lines = chars = size = 0
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        try:
            with open_input(str(file)) as stream:
                for data, ids in encoded(tokenizer, stream):
                    tokens, lines, size = tokens + len(ids), lines + data.count(b"\n"), size + len(data)
                    chars += len(decoder.decode(data, final=not data))
        except EncodingError as error:
            error.add_note(f"(file {file})")
            raise
        found.append(Count(file=str(file), tokens=tokens, lines=lines, chars=chars, bytes=size))
    return Counts(name=str(name), files=tuple(found))


def vocab(name: str | os.PathLike[str], pattern: str = "") -> Vocabulary:
    """Return the ids of a tokenizer, by name or path, with their bytes: all, or those whose text holds `pattern`.

    Raises: as `load`.
    """
    tokenizer = load(name)
    special = tokenizer.textless_ids
    entries = (VocabEntry(id=t, bytes=b, special=t in special) for t, b in tokenizer.vocab().items())
    wanted = pattern.encode("utf-8", "surrogateescape")
    kept = tuple(each for each in entries if wanted in each.bytes or pattern in each.text)
    return Vocabulary(name=str(name), vocab_size=tokenizer.vocab_size, entries=kept)


@contextmanager
def open_input(file: str) -> Iterator[BinaryIO]:
    """Open a file for reading bytes; `-` is stdin, which stays open. Raises: CorpusError."""
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


def encoded(tokenizer: ITokenizer, stream: BinaryIO) -> Iterator[tuple[bytes, list[int]]]:
    """Yield (bytes read, ids final after them) until the end; the ids of all parts are those of the whole.

    The last bytes are always empty.
    """
    if not tokenizer.capabilities.streaming:
        data = stream.read()
        yield data, tokenizer.encode_bytes(data, add_special=False)
        yield b"", []
        return
    encoder = tokenizer.stream_encoder()
    while data := stream.read(BLOCK_BYTES):
        yield data, encoder.feed(data)
    yield b"", encoder.finish()
