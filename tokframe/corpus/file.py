"""CorpusFile: one file of a corpus as a stream of documents, and Format: what a file format has to provide.

The formats themselves are in `formats`; finding files is left to `files`.
"""

from __future__ import annotations

import codecs
import errno
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, ClassVar

from attrs import Factory, evolve, field, frozen

from tokframe.corpus.compression import unpacked
from tokframe.corpus.faults import FaultError, Faults, NoTextError
from tokframe.corpus.stamp import Stamp, stamp_of
from tokframe.errors import CorpusError
from tokframe.storage.paths import shown

__all__ = ["CHUNK_BYTES", "CorpusFile", "Format", "Span", "after_line", "decoded", "fields_named", "other_encoding"]

CHUNK_BYTES = 1_000_000  # bytes of text read at a time, and in one document of a long text file
_UNPACKING_RATIO = 3  # bytes of text in a byte of a packed file, to group small ones by; no file's shards depend on it
_SEARCH_BYTES = 1 << 16
_MAX_NAMES = 20  # of fields, in an error
_PROBED_FAULTS = 1000  # bad lines or records before the first good one; with more, a file counts as none of text
_UNREADABLE = frozenset({errno.EACCES, errno.EPERM, errno.EIO})  # a fault of one file, not of the whole run
#: The marks at the beginning of files in other encodings; UTF-32's begins with that of UTF-16.
_MARKS = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}


class Format(ABC):
    """A file format: how documents are read from a file, and where a long file may be cut into parts.

    The methods here suit a format of one record a line; a format of another kind overrides them.
    """

    suffixes: ClassVar[tuple[str, ...]] = ()  #: of file names, in lower case
    has_records: ClassVar[bool] = True  #: whether the format says what a document is; else a file is one text
    packed: ClassVar[bool] = False  #: whether the size of the file says little about the size of its text

    @abstractmethod
    def records(self, file: CorpusFile, start: int = 0, end: int | None = None) -> Iterator[str]:
        """Yield the texts between two places as `spans` gives them, empty ones too.

        A bad line or record goes to `file.faults`. Raises: FaultError where the rest cannot be read; CorpusError.
        """

    def begins_with_text(self, file: CorpusFile, allow_nul: bool) -> bool:
        """Return whether there is any text, after a look at the first of it. Raises: FaultError; CorpusError."""
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
            raise file.unreadable(error) from error

    def cut(self, stream: BinaryIO, at: int, size: int, split: str) -> int:
        """Return the first place from byte `at` on where a document may begin; a record is never cut."""
        return after_line(stream, at, size) or size


def _opened(path: Path) -> Stamp:
    """Return what a file is when the corpus is opened. Raises: CorpusError."""
    try:
        return stamp_of(path)
    except OSError as error:
        raise CorpusError(f"cannot read {path}: {error.strerror}", path=path) from error


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
    kept: bool = False  #: whether `path` is a copy of what came through a pipe, so that only `name` means something
    faults: Faults = field(factory=Faults, eq=False, repr=False)  #: what was left out, of the whole corpus
    #: what the file was when the corpus was opened
    stamp: Stamp = field(default=Factory(lambda file: _opened(file.path), takes_self=True), eq=False, repr=False)

    @property
    def packed(self) -> bool:
        """Whether only reading the file would tell how much text there is."""
        return bool(self.compression) or self.format.packed

    def documents(self, start: int = 0, end: int | None = None) -> Iterator[str]:
        """Yield the text in order, never empty: a record each, or pieces of about 1 MB cut after line ends.

        The pieces of a text file joined are the file. `start` and `end` select a span of it (see `Span`).
        What cannot be read is left out or raised, as `faults` says. Raises: CorpusError, also where the file was
        changed since the corpus was opened, or is while it is read.
        """
        before = self.check_unchanged()
        begun = False
        try:
            whole = [decoded(self, b"".join(self.chunks()))] if self.whole else None
            for text in filter(None, whole or self.format.records(self, start, end)):
                yield text
                begun = True
        except CorpusError as error:
            self.check_unchanged(before)  # which then is why it could not be read
            if not isinstance(error, FaultError):
                raise
            self.faults.leave_out(error, "rest" if begun else "file")
        self.check_unchanged(before)

    def check_unchanged(self, since: Stamp | None = None) -> Stamp:
        """Return what the file is now. Raises: CorpusError where that is not what it was at first, or `since`."""
        before = since or self.stamp
        try:
            now = stamp_of(self.path)
        except OSError as error:
            what = f"cannot be read: {error.strerror}"
        else:
            what = before.change(now)
            if not what:
                return now
        raise CorpusError(
            f"{self.label} {what}. The text was there when the corpus was opened, and must stay as it is until the run "
            "has ended: let what writes there finish, or take a copy, and start again",
            path=self.path,
        )

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
        """Return the file if it begins with text. Raises: FaultError if it is empty, unreadable or not text."""
        probe = evolve(self, faults=self.faults.fresh(_PROBED_FAULTS))
        if not self.format.begins_with_text(probe, allow_nul):
            raise probe.faults.first or self.fault(" is empty", NoTextError)
        return self

    @property
    def label(self) -> str:
        """What errors call the file: its path, or the name of a pipe."""
        return self.name if self.kept else shown(self.path)

    def fault(self, detail: str, kind: type[FaultError] = FaultError) -> FaultError:
        """Return an error about this file; `detail` follows its name."""
        return kind(f"{self.label}{detail}", path=self.path, name=self.name, detail=detail)

    def unreadable(self, error: OSError) -> CorpusError:
        """Return the error for one of the system: a fault of this file, or of the machine."""
        detail = f" cannot be read: {error.strerror or error}"
        return (
            self.fault(detail) if error.errno in _UNREADABLE else CorpusError(f"{self.label}{detail}", path=self.path)
        )

    def estimated_bytes(self) -> int:
        """Return the bytes of text, estimated where only reading would tell. Raises: CorpusError."""
        try:
            size = self.path.stat().st_size
        except OSError as error:
            raise self.unreadable(error) from error
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
        except (CorpusError, MemoryError):
            raise
        except Exception as cause:  # gzip, lzma, bz2, zlib and zstandard each have errors of their own
            if isinstance(cause, OSError) and cause.errno is not None:
                raise self.unreadable(cause) from cause
            raise self.fault(f" is truncated or corrupt ({cause}). Copy or download it again") from cause


@frozen(kw_only=True)
class Span:
    """A stretch of one file: bytes of a plain one, row groups of .parquet, all of a compressed one (`end` None)."""

    file: CorpusFile
    start: int = 0
    end: int | None = None
    weight: int = 0  #: bytes of text, estimated where only reading would tell


def decoded(file: CorpusFile, data: bytes, offset: int = 0, final: bool = True) -> str:
    """Return bytes as text; `offset` is where in the file they begin. Raises: FaultError with the place."""
    try:
        return codecs.utf_8_decode(data, "strict", final)[0]
    except UnicodeDecodeError as cause:
        raise file.fault(
            f" is not UTF-8: byte 0x{data[cause.start]:02x} at offset {offset + cause.start}. If it is text in another "
            "encoding, convert it: iconv -f LATIN1 -t UTF-8 FILE > NEW"
        ) from cause


def fields_named(names: Iterable[str]) -> str:
    """Return which fields or columns there are, and how to choose one of them."""
    listed = list(names)
    more = f" and {len(listed) - _MAX_NAMES} more" if len(listed) > _MAX_NAMES else ""
    return (
        f"its fields are {', '.join(map(repr, listed[:_MAX_NAMES]))}{more}. "
        "Name the one that holds the text: --column NAME (column='NAME')"
    )


def other_encoding(head: bytes) -> str:
    """Return which encoding other than UTF-8 the beginning of a file is clearly in, "" for none."""
    marked = next((name for mark, name in _MARKS.items() if head.startswith(mark)), "")
    if marked or len(head) < 4:
        return marked
    zeros = [head[place::2].count(0) / len(head[place::2]) for place in (0, 1)]  # Latin letters have one in two
    if min(zeros) > 0.1 or max(zeros) < 0.9:
        return ""
    return "UTF-16LE" if zeros[1] > zeros[0] else "UTF-16BE"


def after_line(stream: BinaryIO, at: int, limit: int) -> int:
    """Return where the first line after byte `at - 1` begins, 0 if none does before `limit`."""
    stream.seek(at - 1)
    while (left := limit - stream.tell()) > 0 and (line := stream.readline(min(_SEARCH_BYTES, left))):
        if line.endswith(b"\n"):
            return stream.tell()
    return 0
