"""Faults: what of a corpus cannot be read as text. It is left out and counted, or ends the run, as `on_error` says."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from attrs import define, field

from tokframe.errors import CorpusError

__all__ = ["ON_ERROR", "FaultError", "Faults", "NoTextError"]

#: What may be done about a fault: leave the file, line or record out, or end the run.
ON_ERROR = ("skip", "stop")
_OF_FILES = ("file", "rest")  # what is not a number of lines or records
_MAX_REASONS = 100  # listed in JSON and in an index


class FaultError(CorpusError):
    """A file, line or record that cannot be read as text; `name` and `detail` together say the same of a corpus."""

    def __init__(self, text: str, *, path: Any = "", name: str = "", detail: str = "") -> None:
        super().__init__(text, path=path)
        self.name, self.detail = name, detail


Fault = FaultError | Callable[[], FaultError]


class NoTextError(FaultError):
    """The file is of a kind that holds no text: an error where it was named, always left out where a folder was."""


@define
class _LeftOut:
    """What was left out of one file: a number of lines or records, the rest of it, or the file."""

    file: str
    kind: str
    reason: str
    count: int = 0
    path: Path = field(factory=Path)  #: as it was given; of this process's own reading
    reached: dict[int, int] = field(factory=dict)  #: the furthest fault of each pass, by where the pass starts


class Faults:
    """What was left out of a corpus so far. Reading a file again counts nothing twice.

    `limit` is how many lines or records may be left out before the first of them is raised.
    """

    def __init__(self, on_error: str = ON_ERROR[0], limit: int | None = None) -> None:
        if on_error not in ON_ERROR:
            raise CorpusError(f"on_error is {on_error!r}; expected {' or '.join(map(repr, ON_ERROR))}")
        self.on_error, self.limit = on_error, limit
        self.first: FaultError | None = None
        self._found: dict[tuple[str, str], _LeftOut] = {}

    def __reduce__(self) -> tuple[type[Faults], tuple[str, int | None]]:
        return type(self), (self.on_error, self.limit)  # another process counts its own

    def fresh(self, limit: int | None = None) -> Faults:
        """Return an empty count under the same rule."""
        return Faults(self.on_error, limit)

    def leave_out(self, error: FaultError, kind: str = "file") -> None:
        """Leave out a file, or the "rest" of one. Raises: the error where the run is to stop at faults."""
        self._check(error)
        self._add(error, kind)

    def leave_out_part(self, name: str, kind: str, start: int, place: int, error: Fault) -> None:
        """Leave out a line or record at `place` of a pass from `start` on. Raises: the error, as `leave_out`.

        An `error` that takes time to find out may be a function, which is called for the first of a file only.
        """
        found = self._found.get((name, kind))
        if found is not None and place <= found.reached.get(start, -1):
            return
        if found is None or self.on_error == "stop":
            fault = error if isinstance(error, FaultError) else error()
            self._check(fault)
            found = self._add(fault, kind)
        else:
            found.count += 1
        found.reached[start] = place
        if self.limit is not None and self.first is not None and found.count >= self.limit:
            raise self.first

    def forget(self, places: Iterable[Path]) -> None:
        """Do not count what was left out at or below places, whole paths that are not of the corpus after all."""
        for key, found in [*self._found.items()]:
            if any(found.path.resolve().is_relative_to(place) for place in places):
                del self._found[key]

    def _check(self, error: FaultError) -> None:
        self.first = self.first or error
        if self.on_error == "stop" and not isinstance(error, NoTextError):
            if not hasattr(error, "__notes__"):  # a bad line's error passes here as that of its file
                error.add_note("To leave out what cannot be read, and go on: --on-error skip (on_error='skip')")
            raise error

    def _add(self, error: FaultError, kind: str) -> _LeftOut:
        new = _LeftOut(error.name, kind, f"{error.name}{error.detail}", 1, error.path)
        return self._found.setdefault((error.name, kind), new)

    # -- what was left out --------------------------------------------------------------------------------------

    @property
    def files(self) -> int:
        """Number of files left out, in whole or from some place on."""
        return len({each.file for each in self._found.values() if each.kind in _OF_FILES})

    @property
    def records(self) -> int:
        """Number of lines and records left out."""
        return sum(each.count for each in self._found.values() if each.kind not in _OF_FILES)

    def figures(self) -> dict[str, int]:
        """Return the figure of a progress report, none where nothing was left out."""
        count = self.files + self.records
        return {"left_out": count} if count else {}

    def reasons(self) -> list[str]:
        """Return a reason for each file that something was left out of, in the order of reading."""
        return [_reason(each) for each in self._found.values()]

    def summary(self) -> dict[str, Any]:
        """Return JSON data: how much was left out, and the first hundred reasons."""
        return {
            "skipped": self.reasons()[:_MAX_REASONS],
            "skipped_files": self.files,
            "skipped_records": self.records,
        }

    def to_json(self) -> list[list[Any]]:
        """Return what `merge` takes, JSON data."""
        return [[each.file, each.kind, each.reason, each.count] for each in self._found.values()]

    def merge(self, entries: Iterable[Any]) -> None:
        """Add what was left out of other parts of the same corpus. Raises: TypeError or ValueError for other data."""
        for file, kind, reason, count in entries:
            found = self._found.setdefault((str(file), str(kind)), _LeftOut(str(file), str(kind), str(reason)))
            found.count = 1 if kind in _OF_FILES else found.count + int(count)


def _reason(left: _LeftOut) -> str:
    if left.kind in _OF_FILES:
        return left.reason if left.kind == "file" else f"the rest of a file: {left.reason}"
    return f"1 {left.kind}: {left.reason}" if left.count == 1 else f"{left.count:,} {left.kind}s, first: {left.reason}"
