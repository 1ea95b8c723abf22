"""Text to train and measure on: files, folders, globs, stdin, the standard library; a stream of documents.

Decides what is read and in which order; what a tokenizer makes of the text is its own business.
"""

from __future__ import annotations

import atexit
import codecs
import glob
import hashlib
import importlib
import json
import os
import shutil
import sys
import sysconfig
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from attrs import evolve, field, frozen

from tokframe.errors import CorpusError

__all__ = ["STDLIB_NAMES", "Corpus", "CorpusFile"]

#: Names of the running Python's own source: all of it, nine tenths to train on, one tenth held out.
STDLIB_NAMES = ("stdlib", "stdlib:train", "stdlib:heldout")

_PIECE = 1_000_000  # bytes of text in one document of a long file
_LONGEST_LINE = 16 * _PIECE  # a line longer than this is cut at a whole character: memory stays bounded
_PROBE = 4096  # bytes looked at when a corpus is opened
_COMPRESSIONS = {".gz": "gzip", ".xz": "lzma", ".bz2": "bz2", ".zst": "zstandard"}
_ARCHIVES = frozenset({".tar", ".tgz", ".zip", ".7z"})
_SPLITS = frozenset({".train", ".dev", ".test", ".valid", ".validation", ".val", ".eval", ".heldout"})
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class _NoTextError(CorpusError):
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
    format: str = "text"  #: "text", "jsonl" (a field "text" per line) or "parquet" (a column "text")
    compression: str = ""  #: the module that unpacks it
    whole: bool = False

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

    def documents(self) -> Iterator[str]:
        """Yield the text in order, never empty: a record each, or pieces of about 1 MB cut after line ends.

        The pieces of a text file joined are the file. Raises: CorpusError.
        """
        if self.whole:
            yield from filter(None, [self.text()])
        elif self.format == "text":
            offset = 0
            for piece in _pieces(self._chunks(_PIECE)):
                yield _decoded(self, piece, offset)
                offset += len(piece)
        else:
            yield from filter(None, self._records())

    def _content(self) -> Iterator[bytes]:
        if self.format == "text":
            yield from self._chunks(_PIECE)
            return
        for number, record in enumerate(self._records()):
            yield (b"\n" if number else b"") + record.encode()

    def _records(self) -> Iterator[str]:
        return _parquet_records(self) if self.format == "parquet" else _json_records(self, self._chunks(_PIECE))

    def _chunks(self, size: int) -> Iterator[bytes]:
        """Yield the unpacked bytes. Raises: CorpusError if the file cannot be read or unpacked."""
        if self.compression == "zstandard":
            _optional("zstandard", self, "pip install 'tokframe[zstd]'")
        try:
            if self.compression == "zstandard":
                yield from _zstd_chunks(self.path, size)
                return
            module: Any = importlib.import_module(self.compression) if self.compression else None
            with module.open(self.path, "rb") if module else self.path.open("rb") as stream:
                while chunk := stream.read(size):
                    yield chunk
        except CorpusError:
            raise
        except Exception as cause:  # gzip, lzma, bz2, zlib and zstandard each have errors of their own
            if isinstance(cause, OSError) and cause.errno is not None:
                raise CorpusError(f"cannot read {self.path}: {cause.strerror}", path=self.path) from cause
            raise CorpusError(
                f"{self.path} is truncated or corrupt ({cause}). Copy or download it again", path=self.path
            ) from cause


@frozen
class Corpus:
    """An ordered set of text files; the same paths give the same files in the same order."""

    files: tuple[CorpusFile, ...]
    #: Files of folders that were left out, with the reason.
    skipped: tuple[str, ...] = field(default=(), kw_only=True)

    @classmethod
    def open(cls, paths: Sequence[str | Path]) -> Corpus:
        """Return the corpus of files, folders (recursive), globs, `-` (stdin) and names in `STDLIB_NAMES`.

        Plain text, .jsonl and .parquet; .gz, .xz, .bz2 and .zst are unpacked. Folders leave out hidden, empty
        and binary files. Raises: CorpusError where a path holds no readable text, or there is no path.
        """
        if isinstance(paths, (str, Path)):
            paths = [paths]
        skipped: list[str] = []
        found: dict[Path, CorpusFile] = {}
        for path in paths:
            for file in _expand(str(path), skipped):
                found.setdefault(file.path, file)
        if not found:
            raise CorpusError("no corpus given. Name text files, folders or 'stdlib', e.g. --corpus notes/ stdlib")
        return cls(_named(found.values()), skipped=tuple(skipped))

    def documents(self) -> Iterator[str]:
        """Yield the documents of all files in order (see `CorpusFile.documents`). Raises: CorpusError."""
        for file in self.files:
            yield from file.documents()

    def sources(self) -> dict[str, list[CorpusFile]]:
        """Return the files of each source, both in order of first appearance."""
        groups: dict[str, list[CorpusFile]] = {}
        for file in self.files:
            groups.setdefault(file.source, []).append(file)
        return groups


# -- finding files ------------------------------------------------------------------------------------------


def _expand(given: str, skipped: list[str]) -> Iterator[CorpusFile]:
    if given in STDLIB_NAMES:
        yield from _stdlib(given.partition(":")[2])
        return
    if given == "-":
        yield _checked(_from_stdin())
        return
    path = Path(given).expanduser()
    if path.is_dir():
        yield from _folder(path, skipped)
    elif path.exists():
        yield _checked(_plain(path))
    elif glob.has_magic(given):
        matches = sorted(Path(match) for match in glob.glob(str(path), recursive=True))
        if not matches:
            raise CorpusError(f"no file matches {given!r} in {Path.cwd()}", path=given)
        files = [match for match in matches if match.is_file()]
        for match in files:
            yield _checked(_plain(match))
        if not files:  # `docs/*` of folders only: then the folders are meant
            for match in matches:
                yield from _folder(match, skipped)
    else:
        raise CorpusError(f"no file or folder {given!r} in {Path.cwd()}{_nearest(path)}", path=given)


def _nearest(path: Path) -> str:
    import difflib

    siblings = os.listdir(path.parent) if path.parent.is_dir() else []
    near = difflib.get_close_matches(path.name, [*siblings, *STDLIB_NAMES], n=1)
    return f". Did you mean {(near[0] if near[0] in STDLIB_NAMES else str(path.parent / near[0]))!r}?" if near else ""


def _plain(path: Path, source: str | None = None, name: str = "") -> CorpusFile:
    """Return a file's description from its name alone."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    compression = _COMPRESSIONS.get(suffixes[-1], "") if suffixes else ""
    inner = suffixes[:-1] if compression else suffixes
    if inner and inner[-1] in _ARCHIVES:
        raise _NoTextError(f"{path} is an archive. Unpack it and give the folder", path=path)
    form = {".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}.get(inner[-1] if inner else "", "text")
    if source is None:
        stem = path.name.removesuffix(path.suffix) if compression else path.name
        source = Path(stem).stem
        while Path(source).suffix.lower() in _SPLITS:
            source = Path(source).stem
    size = path.stat().st_size if form == "text" and not compression else None
    return CorpusFile(
        name=name or path.name,
        path=path.resolve(),
        source=source,
        size=size,
        format=form,
        compression=compression,
    )


def _folder(folder: Path, skipped: list[str]) -> Iterator[CorpusFile]:
    """Yield the text files under a folder, ordered by path. Raises: CorpusError if there are none."""
    label = folder.resolve().name
    before, count = len(skipped), 0
    for path in _walk(folder):
        relative = path.relative_to(folder).as_posix()
        try:
            file = _plain(path, source=label, name=f"{label}/{relative}")
            if file.format == "text":
                head = _head(file)
                if b"\0" in head:
                    raise _NoTextError(f"{path} is binary", path=path)
                _decoded(file, head, 0, final=len(head) < _PROBE)
            yield _checked(file)
            count += 1
        except _NoTextError as reason:
            skipped.append(str(reason))
    if not count:
        left_out = len(skipped) - before
        detail = f"; {left_out} files were left out, e.g. {skipped[-1]}" if left_out else ""
        raise CorpusError(f"no text in folder {folder}{detail}", path=folder)


def _walk(folder: Path) -> Iterator[Path]:
    def fail(error: OSError) -> None:
        raise CorpusError(f"cannot read folder {error.filename}: {error.strerror}", path=folder) from error

    found = []
    for parent, folders, names in os.walk(folder, onerror=fail):
        folders[:] = [name for name in folders if not name.startswith(".") and name != "__pycache__"]
        found += [Path(parent, name) for name in names if not name.startswith(".")]
    yield from sorted((path for path in found if path.is_file()), key=lambda path: path.as_posix())


def _stdlib(part: str) -> list[CorpusFile]:
    """Return the standard library's UTF-8 source files, or the part held out by file name, or the rest."""
    root = Path(sysconfig.get_path("stdlib"))
    files = []
    for path in _walk(root):
        relative = path.relative_to(root)
        if path.suffix != ".py" or {"site-packages", "dist-packages"} & set(relative.parts):
            continue
        held_out = int(hashlib.sha256(relative.as_posix().encode()).hexdigest(), 16) % 10 == 0
        if part and held_out != (part == "heldout"):
            continue
        try:  # the library's own tests hold files in other encodings, on purpose
            data = path.read_bytes()
            data.decode()
        except (OSError, UnicodeDecodeError):
            continue
        if data:
            name = f"stdlib/{relative.as_posix()}"
            files.append(CorpusFile(name=name, path=path.resolve(), source="stdlib", size=len(data), whole=True))
    if not files:
        raise CorpusError(f"this Python has no standard-library source in {root}", path=root)
    return files


def _from_stdin() -> CorpusFile:
    """Keep stdin in a temporary file, as a corpus is read more than once."""
    with tempfile.NamedTemporaryFile(prefix="tokframe-stdin-", suffix=".txt", delete=False) as kept:
        shutil.copyfileobj(sys.stdin.buffer, kept)
    path = Path(kept.name)
    atexit.register(path.unlink, missing_ok=True)
    return CorpusFile(name="stdin", path=path, source="stdin", size=path.stat().st_size)


def _named(files: Iterable[CorpusFile]) -> tuple[CorpusFile, ...]:
    """Give files of one name as much of their folders as it takes to tell them apart."""
    result = list(files)
    for depth in range(2, 64):
        names = [file.name for file in result]
        if len(set(names)) == len(names):
            break
        result = [
            evolve(file, name="/".join(file.path.parts[-depth:])) if names.count(file.name) > 1 else file
            for file in result
        ]
    return tuple(result)


# -- reading ------------------------------------------------------------------------------------------------


def _checked(file: CorpusFile) -> CorpusFile:
    """Return the file if it begins with text. Raises: CorpusError if it is empty, unreadable or no text."""
    if file.format == "text":
        head = _head(file)
        _decoded(file, head, 0, final=len(head) < _PROBE)
        empty = not head
    else:
        empty = next(file.documents(), None) is None
    if empty:
        raise _NoTextError(f"{file.path} is empty", path=file.path)
    return file


def _head(file: CorpusFile) -> bytes:
    return next(file._chunks(_PROBE), b"")


def _decoded(file: CorpusFile, data: bytes, offset: int, final: bool = True) -> str:
    """Return bytes as text; `offset` is where in the file they begin. Raises: CorpusError."""
    try:
        return codecs.utf_8_decode(data, "strict", final)[0]
    except UnicodeDecodeError as cause:
        at = offset + cause.start
        origin = "UTF-16" if offset == 0 and data.startswith(_UTF16) else "LATIN1"
        raise _NoTextError(
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


def _json_records(file: CorpusFile, chunks: Iterable[bytes]) -> Iterator[str]:
    """Yield the field "text" of each line. Raises: CorpusError naming the line."""
    for number, line in enumerate(_lines(chunks), 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except ValueError as cause:  # not JSON, or not UTF-8
            raise CorpusError(f"{file.path}, line {number}: not JSON ({cause})", path=file.path) from cause
        text = record.get("text") if isinstance(record, dict) else None
        if not isinstance(text, str):
            kind = f"it is a {type(text).__name__}" if text is not None else "there is none"
            keys = f"; its fields are {', '.join(map(repr, record))}" if isinstance(record, dict) else ""
            raise CorpusError(f'{file.path}, line {number}: expected a string "text", {kind}{keys}', path=file.path)
        yield _without_surrogates(file, text, f"line {number}")


def _lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        yield from lines
    yield rest


def _parquet_records(file: CorpusFile) -> Iterator[str]:
    """Yield the column "text", nulls left out. Raises: CorpusError without pyarrow or the column."""
    parquet = _optional("pyarrow.parquet", file, "pip install 'tokframe[parquet]'")
    if file.compression:
        raise CorpusError(f"{file.path}: parquet compresses by itself; unpack the file first", path=file.path)
    try:
        with parquet.ParquetFile(file.path) as table:
            columns = table.schema_arrow.names
            if "text" not in columns:
                raise CorpusError(f'{file.path} has no column "text"; it has {", ".join(columns)}', path=file.path)
            for batch in table.iter_batches(batch_size=256, columns=["text"]):
                for text in batch.column(0).to_pylist():
                    if isinstance(text, str):
                        yield text
                    elif text is not None:
                        raise CorpusError(
                            f'{file.path}: column "text" holds {type(text).__name__}, not strings',
                            path=file.path,
                        )
    except CorpusError:
        raise
    except Exception as cause:  # pyarrow's errors are not importable where it is not installed
        raise CorpusError(f"{file.path} is no readable parquet file ({cause})", path=file.path) from cause


def _without_surrogates(file: CorpusFile, text: str, where: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as cause:
        raise CorpusError(
            f"{file.path}, {where}: character {cause.start} of the text is a lone surrogate", path=file.path
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
