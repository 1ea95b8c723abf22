"""Corpus: the text files to train and measure on, found by path, folder, glob, stdin or "stdlib", in a fixed order.

Reading one file is left to `file` and its formats.
"""

from __future__ import annotations

import errno
import glob
import hashlib
import os
import stat
import sysconfig
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from attrs import evolve, field, frozen

from tokframe.corpus.compression import SUFFIXES
from tokframe.corpus.faults import FaultError, Faults, NoTextError
from tokframe.corpus.file import CorpusFile
from tokframe.corpus.formats import TEXT, format_of
from tokframe.corpus.pipes import kept_pipe, kept_stdin
from tokframe.errors import CorpusError
from tokframe.storage.paths import expanded, is_address, shown

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
    #: What could not be read as text, at the start and so far; whether that is left out or ends the run.
    faults: Faults = field(factory=Faults, kw_only=True, eq=False)

    @classmethod
    def open(cls, paths: str | Path | Sequence[str | Path], *, column: str = "text", on_error: str = "skip") -> Corpus:
        """Return the corpus of files, folders (recursive), globs, pipes, `-` (stdin) and names in `STDLIB_NAMES`.

        Any format of `formats` is read, compressed files are unpacked. Folders leave out hidden, empty and binary
        files, and links to folders. `column` is the field of .jsonl (`meta.text` lies in `meta`) and the column of
        .parquet that holds the text. With `on_error` "skip", files, lines and records that cannot be read are left
        out and counted in `faults`; with "stop", the first of them is raised.
        Raises: CorpusError where a path holds no readable text, or there is no path.
        """
        if isinstance(paths, (str, Path)):
            paths = [paths]
        opening = _Opening(column, Faults(on_error))
        found: dict[Path, CorpusFile] = {}
        for path in dict.fromkeys(map(str, paths)):  # a pipe is read once
            for file in opening.files(path):
                found.setdefault(file.path, file)
        if not found:
            raise CorpusError("no corpus given. Name text files, folders or 'stdlib', e.g. --corpus notes/ stdlib")
        return cls(_named(found.values()), faults=opening.faults)

    @property
    def skipped(self) -> tuple[str, ...]:
        """Why files, lines and records were left out so far, a reason for each file."""
        return tuple(self.faults.reasons())

    def summary(self) -> dict[str, Any]:
        """Return JSON data: how many files there are, and what was left out so far."""
        return {"files": len(self.files), **self.faults.summary()}

    @property
    def megabytes(self) -> float | None:
        """Size of the text in MB (10^6 bytes); None where only reading would tell."""
        sizes = [file.size for file in self.files]
        return None if None in sizes else sum(filter(None, sizes)) / 1e6

    def documents(self) -> Iterator[str]:
        """Yield the documents of all files in order (see `CorpusFile.documents`). Raises: CorpusError."""
        for file in self.files:
            yield from file.documents()

    def without(self, *places: str | Path) -> Corpus:
        """Return the corpus without what is at or below `places`, where a run writes its results.

        Raises: CorpusError if nothing is left.
        """
        own = [Path(place).resolve() for place in places]
        self.faults.forget(own)
        files = tuple(file for file in self.files if not any(file.path.is_relative_to(place) for place in own))
        if not files:
            raise CorpusError(
                f"all of the corpus is where the results go: {', '.join(map(str, own))}. Choose another place for them",
                path=own[0],
            )
        return evolve(self, files=files)

    def check_unchanged(self) -> None:
        """Raises: CorpusError where a file is not what it was when the corpus was opened."""
        for file in self.files:
            file.check_unchanged()

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


@frozen
class _Opening:
    """How the paths of one corpus become files."""

    column: str
    faults: Faults

    def files(self, given: str) -> Iterator[CorpusFile]:
        """Yield the files of one path as it was given. Raises: CorpusError where there is no text."""
        if given in STDLIB_NAMES:
            yield from _stdlib(given.partition(":")[2], self.faults)
            return
        if not given:
            raise CorpusError("a path of the corpus is empty. For the folder you are in, give '.'")
        if given == "-":
            yield self._described(Path("stdin"), kept_stdin(), kept="stdin").checked()
            return
        if is_address(given):
            raise CorpusError(f"{given!r} is an address, not a path. Download it first, and give the file", path=given)
        path = expanded(given)
        status = _status(path)
        if status is None and glob.has_magic(given):
            yield from self._matching(given, path)
        elif status is None and os.path.islink(path):
            raise CorpusError(f"{given!r} is a link to nothing: {os.readlink(path)!r} is not there", path=given)
        elif status is None:
            raise CorpusError(f"no file or folder {given!r} in {Path.cwd()}{_nearest(path)}", path=given)
        elif stat.S_ISDIR(status.st_mode):
            yield from self._folder(path)
        else:
            yield self._file(path, status).checked()

    def _matching(self, given: str, path: Path) -> Iterator[CorpusFile]:
        matches = sorted(map(Path, glob.glob(str(path), recursive=True)))
        files = [match for match in matches if match.is_file()]
        if not matches:
            raise CorpusError(f"no file matches {given!r} in {Path.cwd()}", path=given)
        if files:
            yield from self._readable(f"the files that match {given!r}", ((file, "", "") for file in files))
            return
        for match in matches:  # `docs/*` of folders only means the folders
            yield from self._folder(match)

    def _folder(self, folder: Path) -> Iterator[CorpusFile]:
        """Yield the text files under a folder, ordered by path. Raises: CorpusError if there are none."""
        label = folder.resolve().name
        found = ((path, label, f"{label}/{path.relative_to(folder).as_posix()}") for path in _walk(folder, self.faults))
        yield from self._readable(f"folder {shown(folder)}", found, allow_nul=False)

    def _readable(
        self, what: str, found: Iterable[tuple[Path, str, str]], allow_nul: bool = True
    ) -> Iterator[CorpusFile]:
        """Yield those of many files, as (path, source, name), that begin with text, and leave out the others."""
        count, last = 0, ""
        for path, source, name in found:
            try:
                yield self._file(path, _status(path), source, name).checked(allow_nul)
                count += 1
            except FaultError as error:
                last = f"; left out, for example: {error}"
                self.faults.leave_out(error)
        if not count:
            last = last or "".join(f"; left out: {reason}" for reason in self.faults.reasons()[-1:])
            raise CorpusError(f"no text in {what}{last}", path=what)

    def _file(self, path: Path, status: os.stat_result | None, source: str = "", name: str = "") -> CorpusFile:
        """Return the description of a file; a pipe is read first. Raises: FaultError; CorpusError."""
        real = path.resolve()
        mode = status.st_mode if status else stat.S_IFREG
        if stat.S_ISFIFO(mode) or (stat.S_ISREG(mode) and not real.exists()):  # or a removed file, as /dev/stdin may be
            return self._described(path, kept_pipe(path), kept=str(path))
        file = self._described(path, real, source, name)
        if not stat.S_ISREG(mode):
            raise file.fault(" is a device or socket, not a file. To read stdin, give -", NoTextError)
        return file

    def _described(self, path: Path, real: Path, source: str = "", name: str = "", kept: str = "") -> CorpusFile:
        """Return a file's description from its name; `real` is where it is read."""
        suffixes = [suffix.lower() for suffix in path.suffixes]
        compression = suffixes.pop() if suffixes and suffixes[-1] in SUFFIXES else ""
        suffix = suffixes[-1] if suffixes else ""
        if not source and kept and path.name.isdecimal():
            source = kept  # a descriptor, as /dev/fd/63
        elif not source:
            source = Path(path.stem if compression else path.name).stem
            while Path(source).suffix.lower() in _SPLITS:
                source = Path(source).stem
        form = format_of(suffix)
        file = CorpusFile(
            name=shown(kept or name or path.name),
            path=real,
            source=shown(source),
            format=form,
            compression=compression,
            column=self.column,
            kept=bool(kept),
            faults=self.faults,
        )
        if suffix in _ARCHIVES:
            raise file.fault(" is an archive. Unpack it and give the folder", NoTextError)
        return file if form.has_records or compression else evolve(file, size=file.estimated_bytes())


def _status(path: Path) -> os.stat_result | None:
    """Return what is at a path, behind links; None for nothing. Raises: FaultError where the system does not say."""
    try:
        return path.stat()
    except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: a NUL in the name
        return None
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            return None
        detail = f" cannot be read: {error.strerror}"
        raise FaultError(f"{shown(path)}{detail}", path=path, name=shown(path), detail=detail) from error


def _nearest(path: Path) -> str:
    import difflib

    siblings: list[str] = []
    with suppress(OSError):
        siblings = os.listdir(path.parent)
    near = difflib.get_close_matches(path.name, [*siblings, *STDLIB_NAMES], n=1)
    return f". Did you mean {(near[0] if near[0] in STDLIB_NAMES else str(path.parent / near[0]))!r}?" if near else ""


def _walk(folder: Path, faults: Faults) -> list[Path]:
    """Return the files under a folder, ordered by path; hidden ones are left out, and what is told to `faults`."""

    def leave_out(path: Path, detail: str, kind: type[FaultError] = NoTextError) -> None:
        name = shown(folder.resolve().name / path.relative_to(folder))
        faults.leave_out(kind(f"{shown(path)}{detail}", path=path, name=name, detail=detail))

    found: list[Path] = []
    waiting = [folder]
    while waiting:
        parent = waiting.pop()
        try:
            with os.scandir(parent) as entries:
                inside = [entry for entry in entries if not entry.name.startswith(".")]
        except OSError as error:
            leave_out(parent, f" cannot be read: {error.strerror}", FaultError)
            continue
        for entry in inside:
            path = Path(entry.path)
            try:
                if entry.is_dir(follow_symlinks=False):
                    waiting += [path] * (entry.name != "__pycache__")
                elif entry.is_dir():
                    leave_out(path, " is a link to a folder, and such links are not followed. Give the folder itself")
                elif entry.is_file():
                    found.append(path)
                elif entry.is_symlink() and not path.exists():
                    leave_out(path, " is a link to nothing")
                else:
                    leave_out(path, " is a pipe, device or socket. Give it by its own name")
            except OSError as error:
                kind = NoTextError if error.errno == errno.ELOOP else FaultError
                leave_out(path, f" cannot be read: {error.strerror}", kind)
    return sorted(found, key=lambda path: path.as_posix())


def _stdlib(part: str, faults: Faults) -> list[CorpusFile]:
    """Return the standard library's UTF-8 source files, or the part held out by file name, or the rest."""
    root = Path(sysconfig.get_path("stdlib"))
    files = []
    seen: set[Path] = set()
    for path in _walk(root, Faults()):
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
            files.append(
                CorpusFile(
                    name=name, path=real, source="stdlib", format=TEXT, size=len(data), whole=True, faults=faults
                )
            )
    if not files:
        raise CorpusError(f"this Python has no standard-library source in {root}", path=root)
    return files


def _named(files: Iterable[CorpusFile]) -> tuple[CorpusFile, ...]:
    """Give files of one name as much of their folders as it takes to tell them apart."""
    result = list(files)
    for depth in range(2, 64):
        count = Counter(file.name for file in result)
        if len(count) == len(result):
            break
        result = [
            evolve(file, name=shown("/".join(file.path.parts[-depth:]))) if count[file.name] > 1 else file
            for file in result
        ]
    count = Counter()  # what only differs in bytes that are escaped is numbered
    for place, file in enumerate(result):
        count[file.name] += 1
        if count[file.name] > 1:
            result[place] = evolve(file, name=f"{file.name} ({count[file.name]})")
    return tuple(result)
