"""One file of a corpus as a stream of documents: plain, compressed, JSON lines, Parquet; UTF-8 or an error.

Which files there are is `corpus`'s business.
"""

from __future__ import annotations

import codecs
import hashlib
import importlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from attrs import frozen

from tokframe.errors import CorpusError

__all__ = ["CorpusFile", "NoTextError", "checked", "looks_binary"]

_PIECE = 1_000_000  # bytes of text in one document of a long file
_LONGEST_LINE = 16 * _PIECE  # a line longer than this is cut at a whole character: memory stays bounded
_PROBE = 4096  # bytes looked at when a corpus is opened
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class NoTextError(CorpusError):
    """The file is no text: an error where it was named, left out where a folder was."""


@frozen(kw_only=True)
class CorpusFile:
    """One file of a corpus.

    `name` is short and unique in its corpus; `source` groups files that are of one kind of text; `size` is in
    bytes of text, None where only reading would tell; `whole` makes the file one document whatever its size.
    """

    name: str
    path: Path
    source: str
    size: int | None = None
    format: str = "text"  #: "text", "jsonl" (a text field per line) or "parquet" (a column of text)
    compression: str = ""  #: the module that unpacks it
    whole: bool = False
    column: str = "text"  #: the field of .jsonl or column of .parquet that holds the text

    def read(self) -> bytes:
        """Return the text as UTF-8 bytes; the records of .jsonl and .parquet joined by newlines.

        Raises: CorpusError.
        """
        return b"".join(self._content())

    def text(self) -> str:
        """Return the text. Raises: CorpusError naming the first byte that is not UTF-8."""
        return _decoded(self, self.read(), 0)

    def sha256(self) -> str:
        """Return the SHA-256 (hex) of what `read` returns. Raises: CorpusError."""
        digest = hashlib.sha256()
        for chunk in self._content():
            digest.update(chunk)
        return digest.hexdigest()

    def documents(self, start: int = 0, end: int | None = None) -> Iterator[str]:
        """Yield the text in order, never empty: a record each, or pieces of about 1 MB cut after line ends.

        The pieces of a text file joined are the file. `start` and `end` take a part of it: bytes of a file that is
        not compressed, which should begin and end with a line, or, both given, row groups of .parquet.

        Raises: CorpusError.
        """
        if self.whole:
            yield from filter(None, [self.text()])
        elif self.format == "text":
            offset = start
            for piece in _pieces(self._chunks(_PIECE, start, end)):
                yield _decoded(self, piece, offset)
                offset += len(piece)
        else:
            yield from filter(None, self._records(start, end))

    def _content(self) -> Iterator[bytes]:
        if self.format == "text":
            yield from self._chunks(_PIECE)
            return
        for number, record in enumerate(self._records()):
            yield (b"\n" if number else b"") + record.encode()

    def _records(self, start: int = 0, end: int | None = None) -> Iterator[str]:
        if self.format == "parquet":
            return _parquet_records(self, start, end)
        return _json_records(self, self._chunks(_PIECE, start, end), start)

    def _chunks(self, size: int, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Yield the unpacked bytes, of a plain file those from `start` to `end`.

        Raises: CorpusError if the file cannot be read or unpacked.
        """
        if self.compression == "zstandard":
            _optional("zstandard", self, "pip install 'tokframe[zstd]'")
        try:
            if self.compression == "zstandard":
                yield from _zstd_chunks(self.path, size)
                return
            module: Any = importlib.import_module(self.compression) if self.compression else None
            with module.open(self.path, "rb") if module else self.path.open("rb") as stream:
                if start:
                    stream.seek(start)
                left = end - start if end is not None else None
                while chunk := stream.read(size if left is None else min(size, left)):
                    yield chunk
                    left = None if left is None else left - len(chunk)
        except CorpusError:
            raise
        except Exception as cause:  # gzip, lzma, bz2, zlib and zstandard each have errors of their own
            if isinstance(cause, OSError) and cause.errno is not None:
                raise CorpusError(f"cannot read {self.path}: {cause.strerror}", path=self.path) from cause
            raise CorpusError(
                f"{self.path} is truncated or corrupt ({cause}). Copy or download it again", path=self.path
            ) from cause


def checked(file: CorpusFile) -> CorpusFile:
    """Return the file if it begins with text. Raises: CorpusError if it is empty, unreadable or no text."""
    if file.format == "text":
        head = _head(file)
        _decoded(file, head, 0, final=len(head) < _PROBE)
        empty = not head
    else:
        empty = next(file.documents(), None) is None
    if empty:
        raise NoTextError(f"{file.path} is empty", path=file.path)
    return file


def looks_binary(file: CorpusFile) -> bool:
    """Say whether a plain file begins with a NUL among its first bytes, as pictures and programs do."""
    return b"\0" in _head(file)


def _head(file: CorpusFile) -> bytes:
    return next(file._chunks(_PROBE), b"")


def _decoded(file: CorpusFile, data: bytes, offset: int, final: bool = True) -> str:
    """Return bytes as text; `offset` is where in the file they begin. Raises: CorpusError."""
    try:
        return codecs.utf_8_decode(data, "strict", final)[0]
    except UnicodeDecodeError as cause:
        at = offset + cause.start
        origin = "UTF-16" if offset == 0 and data.startswith(_UTF16) else "LATIN1"
        raise NoTextError(
            f"{file.path} is not UTF-8: byte 0x{data[cause.start]:02x} at offset {at}. If it is text in "
            f"another encoding, convert it: iconv -f {origin} -t UTF-8 FILE > NEW; if it is no text, leave it out",
            path=file.path,
        ) from cause


def _pieces(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Cut a stream of bytes into pieces of at least `_PIECE` that end with a line (the last may not)."""
    pending = bytearray()
    for chunk in chunks:
        pending += chunk
        if len(pending) < _PIECE:
            continue
        end = pending.rfind(b"\n") + 1
        if not end and len(pending) >= _LONGEST_LINE:
            end = len(pending) - 1
            while end > len(pending) - 4 and pending[end] & 0xC0 == 0x80:
                end -= 1
        if end:
            yield bytes(pending[:end])
            del pending[:end]
    if pending:
        yield bytes(pending)


def _json_records(file: CorpusFile, chunks: Iterable[bytes], start: int = 0) -> Iterator[str]:
    """Yield the text field of each line; the first begins at byte `start`. Raises: CorpusError naming the line."""
    for number, line in enumerate(_lines(chunks), 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except ValueError as cause:  # not JSON, or not UTF-8
            where = f"{file.path}, line {_lines_before(file, start) + number}"
            raise CorpusError(f"{where}: not JSON ({cause})", path=file.path) from cause
        text = record.get(file.column) if isinstance(record, dict) else None
        if not isinstance(text, str):
            where = f"{file.path}, line {_lines_before(file, start) + number}"
            kind = f"it is a {type(text).__name__}" if text is not None else "there is none"
            keys = f"; its fields are {', '.join(map(repr, record))}" if isinstance(record, dict) else ""
            raise CorpusError(f'{where}: expected a string "{file.column}", {kind}{keys}', path=file.path)
        yield _without_surrogates(file, text, number, start)


def _lines_before(file: CorpusFile, start: int) -> int:
    """Return how many lines end before byte `start`: counted when an error names one, so that reading need not."""
    return sum(chunk.count(b"\n") for chunk in file._chunks(_PIECE, 0, start)) if start else 0


def _lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        yield from lines
    yield rest


def _parquet_records(file: CorpusFile, start: int = 0, end: int | None = None) -> Iterator[str]:
    """Yield the text column of row groups `start` to `end`, nulls left out.

    Raises: CorpusError without pyarrow or the column.
    """
    parquet = _optional("pyarrow.parquet", file, "pip install 'tokframe[parquet]'")
    if file.compression:
        raise CorpusError(f"{file.path}: parquet compresses by itself; unpack the file first", path=file.path)
    try:
        with parquet.ParquetFile(file.path) as table:
            columns = table.schema_arrow.names
            if file.column not in columns:
                raise CorpusError(
                    f'{file.path} has no column "{file.column}"; it has {", ".join(columns)}', path=file.path
                )
            part = {} if end is None else {"row_groups": list(range(start, end))}
            for batch in table.iter_batches(batch_size=256, columns=[file.column], **part):
                for text in batch.column(0).to_pylist():
                    if isinstance(text, str):
                        yield text
                    elif text is not None:
                        raise CorpusError(
                            f'{file.path}: column "{file.column}" holds {type(text).__name__}, not strings',
                            path=file.path,
                        )
    except CorpusError:
        raise
    except Exception as cause:  # pyarrow's errors are not importable where it is not installed
        raise CorpusError(f"{file.path} is no readable parquet file ({cause})", path=file.path) from cause


def _without_surrogates(file: CorpusFile, text: str, number: int, start: int) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as cause:
        raise CorpusError(
            f"{file.path}, line {_lines_before(file, start) + number}: character {cause.start} of the text is a lone "
            "surrogate",
            path=file.path,
        ) from cause
    return text


def _zstd_chunks(path: Path, size: int) -> Iterator[bytes]:
    """Yield unpacked bytes of all frames; unlike the package's own reader, notice a truncated file."""
    zstandard: Any = importlib.import_module("zstandard")
    with path.open("rb") as stream:
        unpack = zstandard.ZstdDecompressor().decompressobj()
        fed = False
        while block := stream.read(min(size, 1 << 16)):
            while block:
                fed = True
                if data := unpack.decompress(block):
                    yield data
                block = unpack.unused_data if unpack.eof else b""
                if unpack.eof:
                    unpack, fed = zstandard.ZstdDecompressor().decompressobj(), False
        if fed:
            raise EOFError("the compressed stream ends before its end mark")


def _optional(module: str, file: CorpusFile, command: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as cause:
        package = module.partition(".")[0]
        raise CorpusError(f"reading {file.path} needs {package}: {command}", path=file.path) from cause
