"""Corpus: the text files to train and measure on, found by path, folder, glob, stdin or "stdlib", in a fixed order.

Reading one file is left to `file` and its formats.
"""

from __future__ import annotations

import atexit
import glob
import hashlib
import os
import shutil
import sys
import sysconfig
import tempfile
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from attrs import evolve, field, frozen

from tokframe.corpus.compression import SUFFIXES
from tokframe.corpus.file import CorpusFile, NoTextError
from tokframe.corpus.formats import TEXT, format_of
from tokframe.errors import CorpusError

__all__ = ["STDLIB_NAMES", "Corpus", "CorpusFile"]

#: Names of the running Python's own source: all of it, nine tenths to train on, one tenth held out.
STDLIB_NAMES = ("stdlib", "stdlib:train", "stdlib:heldout")

_MAX_SLICED_FILES = 64  # each stays open meanwhile
_ARCHIVES = frozenset({".tar", ".tgz", ".zip", ".7z"})
_SPLITS = frozenset({".train", ".dev", ".test", ".valid", ".validation", ".val", ".eval", ".heldout"})


@frozen
class Corpus:
    """An ordered set of text files; the same paths give the same files in the same order."""

    files: tuple[CorpusFile, ...]
    #: Files of folders that were left out, with the reason.
    skipped: tuple[str, ...] = field(default=(), kw_only=True)

    @classmethod
    def open(cls, paths: Sequence[str | Path], *, column: str = "text") -> Corpus:
        """Return the corpus of files, folders (recursive), globs, `-` (stdin) and names in `STDLIB_NAMES`.

        Any format of `formats` is read, compressed files are unpacked. Folders leave out hidden, empty and binary
        files. `column` is the field of .jsonl and the column of .parquet that holds the text.
        Raises: CorpusError where a path holds no readable text, or there is no path.
        """
        if isinstance(paths, (str, Path)):
            paths = [paths]
        skipped: list[str] = []
        found: dict[Path, CorpusFile] = {}
        for path in paths:
            for file in _expand(str(path), column, skipped):
                found.setdefault(file.path, file)
        if not found:
            raise CorpusError("no corpus given. Name text files, folders or 'stdlib', e.g. --corpus notes/ stdlib")
        return cls(_named(found.values()), skipped=tuple(skipped))

    @property
    def megabytes(self) -> float | None:
        """Size of the text in MB (10^6 bytes); None where only reading would tell."""
        sizes = [file.size for file in self.files]
        return None if None in sizes else sum(filter(None, sizes)) / 1e6

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

    def slices(self, size: int, slice_chars: int) -> Iterator[tuple[CorpusFile, str]]:
        """Yield about `size` bytes of text, in turn a slice of each of up to 64 files from all over; always the same.

        Raises: CorpusError.
        """
        files = self.files[:: -(-len(self.files) // _MAX_SLICED_FILES)]
        queue = deque((file, file.slices(slice_chars)) for file in files)
        while queue and size > 0:
            file, slices = queue.popleft()
            if text := next(slices, None):
                yield file, text
                size -= len(text.encode())
                queue.append((file, slices))


# -- finding files ------------------------------------------------------------------------------------------


def _expand(given: str, column: str, skipped: list[str]) -> Iterator[CorpusFile]:
    if given in STDLIB_NAMES:
        yield from _stdlib(given.partition(":")[2])
        return
    if given == "-":
        yield _from_stdin().checked()
        return
    path = Path(given).expanduser()
    found = [path]
    if glob.has_magic(given) and not path.exists():
        matches = sorted(map(Path, glob.glob(str(path), recursive=True)))
        found = [match for match in matches if match.is_file()] or matches  # `docs/*` of folders only means the folders
        if not found:
            raise CorpusError(f"no file matches {given!r} in {Path.cwd()}", path=given)
    for path in found:
        if path.is_dir():
            yield from _folder(path, column, skipped)
        elif path.exists():
            yield _plain(path, column).checked()
        else:
            raise CorpusError(f"no file or folder {given!r} in {Path.cwd()}{_nearest(path)}", path=given)


def _nearest(path: Path) -> str:
    import difflib

    siblings = os.listdir(path.parent) if path.parent.is_dir() else []
    near = difflib.get_close_matches(path.name, [*siblings, *STDLIB_NAMES], n=1)
    return f". Did you mean {(near[0] if near[0] in STDLIB_NAMES else str(path.parent / near[0]))!r}?" if near else ""


def _plain(path: Path, column: str, source: str | None = None, name: str = "") -> CorpusFile:
    """Return a file's description from its name alone."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    compression = suffixes.pop() if suffixes and suffixes[-1] in SUFFIXES else ""
    suffix = suffixes[-1] if suffixes else ""
    if suffix in _ARCHIVES:
        raise NoTextError(f"{path} is an archive. Unpack it and give the folder", path=path)
    form = format_of(suffix)
    if source is None:
        source = Path(path.stem if compression else path.name).stem
        while Path(source).suffix.lower() in _SPLITS:
            source = Path(source).stem
    return CorpusFile(
        name=name or path.name,
        path=path.resolve(),
        source=source,
        size=None if form.has_records or compression else path.stat().st_size,
        format=form,
        compression=compression,
        column=column,
    )


def _folder(folder: Path, column: str, skipped: list[str]) -> Iterator[CorpusFile]:
    """Yield the text files under a folder, ordered by path. Raises: CorpusError if there are none."""
    label = folder.resolve().name
    before, count = len(skipped), 0
    for path in _walk(folder):
        relative = path.relative_to(folder).as_posix()
        try:
            yield _plain(path, column, source=label, name=f"{label}/{relative}").checked(allow_nul=False)
            count += 1
        except NoTextError as reason:
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
    seen: set[Path] = set()
    for path in _walk(root):
        relative, real = path.relative_to(root), path.resolve()
        if path.suffix != ".py" or {"site-packages", "dist-packages"} & set(relative.parts) or real in seen:
            continue
        seen.add(real)  # a file of two names must not be in both parts
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
            files.append(CorpusFile(name=name, path=real, source="stdlib", format=TEXT, size=len(data), whole=True))
    if not files:
        raise CorpusError(f"this Python has no standard-library source in {root}", path=root)
    return files


def _from_stdin() -> CorpusFile:
    """Keep stdin in a temporary file, as a corpus is read more than once."""
    with tempfile.NamedTemporaryFile(prefix="tokframe-stdin-", suffix=".txt", delete=False) as kept:
        shutil.copyfileobj(sys.stdin.buffer, kept)
    path = Path(kept.name)
    atexit.register(path.unlink, missing_ok=True)
    return CorpusFile(name="stdin", path=path, source="stdin", format=TEXT, size=path.stat().st_size)


def _named(files: Iterable[CorpusFile]) -> tuple[CorpusFile, ...]:
    """Give files of one name as much of their folders as it takes to tell them apart."""
    result = list(files)
    for depth in range(2, 64):
        count = Counter(file.name for file in result)
        if len(count) == len(result):
            break
        result = [
            evolve(file, name="/".join(file.path.parts[-depth:])) if count[file.name] > 1 else file for file in result
        ]
    return tuple(result)
