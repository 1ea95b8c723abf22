"""CorpusFile: one file of a corpus as a stream of documents, and Format: what a file format has to provide.

The formats themselves are in `formats`; finding files is left to `files`.
"""

from __future__ import annotations

import codecs
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, ClassVar

from attrs import frozen

from tokframe.corpus.compression import unpacked
from tokframe.errors import CorpusError

__all__ = ["CHUNK_BYTES", "CorpusFile", "Format", "NoTextError", "Span", "after_line", "decoded"]

CHUNK_BYTES = 1_000_000  # bytes of text read at a time, and in one document of a long text file
_UNPACKING_RATIO = 3  # bytes of text in a byte of a packed file, to group small ones by; no file's shards depend on it
_SEARCH_BYTES = 1 << 16
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class NoTextError(CorpusError):
    """The file is not text: an error where it was named, left out where a folder was."""


class Format(ABC):
    """A file format: how documents are read from a file, and where a long file may be cut into parts.

    The methods here suit a format of one record a line; a format of another kind overrides them.
    """

    suffixes: ClassVar[tuple[str, ...]] = ()  #: of file names, in lower case
    has_records: ClassVar[bool] = True  #: whether the format says what a document is; else a file is one text
    packed: ClassVar[bool] = False  #: whether the size of the file says little about the size of its text

    @abstractmethod
    def records(self, file: CorpusFile, start: int = 0, end: int | None = None) -> Iterator[str]:
        """Yield the texts between two places as `spans` gives them, empty ones too. Raises: CorpusError."""

    def begins_with_text(self, file: CorpusFile, allow_nul: bool) -> bool:
        """Return whether there is any text, after a look at the first of it. Raises: CorpusError, NoTextError."""
        return any(self.records(file))

    def spans(self, file: CorpusFile, span_bytes: int, split: str) -> Iterator[Span]:
        """Cut a file into equal parts of at most about `span_bytes`, each moved to the next place `cut` allows.

        Raises: CorpusError.
        """
        size = file.estimated_bytes()
        if file.packed or file.whole or size <= span_bytes:
            yield Span(file=file, end=None if file.packed else size, weight=size)
            return
        count = -(-size // span_bytes)
        start = 0
        try:
            with file.path.open("rb") as stream:
                for number in range(1, count + 1):
                    even = max(start, size * number // count)
                    end = size if number == count else self.cut(stream, even, size, split)
                    if end > start:
                        yield Span(file=file, start=start, end=end, weight=end - start)
                    start = end
        except OSError as error:
            raise CorpusError(f"cannot read {file.path}: {error.strerror}", path=file.path) from error

    def cut(self, stream: BinaryIO, at: int, size: int, split: str) -> int:
        """Return the first place from byte `at` on where a document may begin; a record is never cut."""
        return after_line(stream, at, size) or size


@frozen(kw_only=True)
class CorpusFile:
    """One file of a corpus.

    `name` is short and unique in its corpus; `source` groups files that are of one kind of text; `size` is in
    bytes of text, None where only reading would tell; `whole` makes the file one document whatever its size.
    """

    name: str
    path: Path
    source: str
    format: Format
    size: int | None = None
    compression: str = ""  #: the suffix of `compression.SUFFIXES` that the file is unpacked by, or ""
    whole: bool = False
    column: str = "text"  #: the field of .jsonl or column of .parquet that holds the text

    @property
    def packed(self) -> bool:
        """Whether only reading the file would tell how much text there is."""
        return bool(self.compression) or self.format.packed

    def documents(self, start: int = 0, end: int | None = None) -> Iterator[str]:
        """Yield the text in order, never empty: a record each, or pieces of about 1 MB cut after line ends.

        The pieces of a text file joined are the file. `start` and `end` select a span of it (see `Span`).
        Raises: CorpusError.
        """
        whole = [decoded(self, b"".join(self.chunks()))] if self.whole else None
        yield from filter(None, whole or self.format.records(self, start, end))

    def slices(self, chars: int) -> Iterator[str]:
        """Yield the documents in slices of about `chars` characters, cut after line ends where there are any."""
        for document in self.documents():
            start = 0
            while start < len(document):
                end = start + chars
                if end < len(document):
                    end = document.rfind("\n", start, end) + 1 or end
                yield document[start:end]
                start = end

    def checked(self, allow_nul: bool = True) -> CorpusFile:
        """Return the file if it begins with text. Raises: CorpusError if it is empty, unreadable or not text."""
        if not self.format.begins_with_text(self, allow_nul):
            raise NoTextError(f"{self.path} is empty", path=self.path)
        return self

    def estimated_bytes(self) -> int:
        """Return the bytes of text, estimated where only reading would tell. Raises: CorpusError."""
        try:
            size = self.path.stat().st_size
        except OSError as error:
            raise CorpusError(f"cannot read {self.path}: {error.strerror}", path=self.path) from error
        return size * _UNPACKING_RATIO if self.packed else size

    def chunks(self, size: int = CHUNK_BYTES, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Yield the unpacked bytes in chunks, of a file that is not compressed those from `start` to `end`.

        Raises: CorpusError if the file cannot be read or unpacked.
        """
        try:
            if self.compression:
                yield from unpacked(self.path, self.compression, size)
                return
            with self.path.open("rb") as stream:
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


@frozen(kw_only=True)
class Span:
    """A stretch of one file: bytes of a plain one, row groups of .parquet, all of a compressed one (`end` None)."""

    file: CorpusFile
    start: int = 0
    end: int | None = None
    weight: int = 0  #: bytes of text, estimated where only reading would tell


def decoded(file: CorpusFile, data: bytes, offset: int = 0, final: bool = True) -> str:
    """Return bytes as text; `offset` is where in the file they begin. Raises: NoTextError with the place."""
    try:
        return codecs.utf_8_decode(data, "strict", final)[0]
    except UnicodeDecodeError as cause:
        at = offset + cause.start
        origin = "UTF-16" if offset == 0 and data.startswith(_UTF16) else "LATIN1"
        raise NoTextError(
            f"{file.path} is not UTF-8: byte 0x{data[cause.start]:02x} at offset {at}. If it is text in "
            f"another encoding, convert it: iconv -f {origin} -t UTF-8 FILE > NEW; if it is not text, leave it out",
            path=file.path,
        ) from cause


def after_line(stream: BinaryIO, at: int, limit: int) -> int:
    """Return where the first line after byte `at - 1` begins, 0 if none does before `limit`."""
    stream.seek(at - 1)
    while (left := limit - stream.tell()) > 0 and (line := stream.readline(min(_SEARCH_BYTES, left))):
        if line.endswith(b"\n"):
            return stream.tell()
    return 0
