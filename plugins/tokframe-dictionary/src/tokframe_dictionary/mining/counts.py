"""Counts: how often segments occur in a part of a text, exact and mergeable, and as bytes for another machine.

Which segments are worth counting is decided in `mining`; where a text may be cut in `stretches`.
"""

from __future__ import annotations

import io
import warnings
import zipfile
from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
from attrs import field, frozen

from tokframe.errors import TrainingError
from tokframe_dictionary.mining.words import borders, keeps_words
from tokframe_dictionary.segmenter import SlowSearchWarning

__all__ = ["LONGEST", "Counts", "count_part", "recount_part"]

#: Longest segment in bytes.
LONGEST = 16


@frozen(kw_only=True, eq=False)
class Counts:
    """`keys` (segments, 3) uint64: 16 bytes, zero padded, and the length; sorted. `counts` (segments,) int64."""

    keys: npt.NDArray[np.uint64] = field(repr=False)
    counts: npt.NDArray[np.int64] = field(repr=False)

    def __len__(self) -> int:
        return len(self.counts)

    @classmethod
    def merge(cls, parts: Iterable[Counts]) -> Counts:
        """Return the sums over `parts`: the same whatever their order, and however they were merged before."""
        found = list(parts)
        if len(found) > 1 and all(np.array_equal(part.keys, found[0].keys) for part in found[1:]):
            return cls(keys=found[0].keys, counts=np.sum([part.counts for part in found], axis=0, dtype=np.int64))
        keys = np.concatenate([_NO_KEYS, *(part.keys for part in found)])
        counts = np.concatenate([np.zeros(0, np.int64), *(part.counts for part in found)])
        order = np.lexsort(keys.T)
        keys, counts = keys[order], counts[order]
        starts = np.flatnonzero(first_of_each(keys))
        return cls(keys=keys[starts], counts=np.add.reduceat(counts, starts) if len(starts) else counts)

    def at_least(self, least: int) -> Counts:
        """Return only the segments that occur so often."""
        enough = self.counts >= least
        return Counts(keys=self.keys[enough], counts=self.counts[enough])

    def pieces(self) -> list[bytes]:
        """Return the segments as bytes, in the order of `keys`."""
        return unpacked(self.keys)

    def to_bytes(self) -> bytes:
        """Return an .npz of three arrays, to be read by `from_bytes` on any machine."""
        file = io.BytesIO()
        raw = np.frombuffer(np.ascontiguousarray(self.keys[:, :2]).tobytes(), np.uint8).reshape(-1, LONGEST)
        lengths = self.keys[:, 2].astype(np.uint8)
        np.savez_compressed(file, keys=raw, lengths=lengths, counts=self.counts.astype("<i8"))
        return file.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> Counts:
        """Read what `to_bytes` wrote. Raises: TrainingError for anything else."""
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
                raw, lengths, counts = (arrays[name] for name in ("keys", "lengths", "counts"))
        except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile) as error:
            raise TrainingError(
                f"these are not the counts of a part of a text ({error}); count that part again"
            ) from None
        shapes = raw.dtype == np.uint8 and lengths.dtype == np.uint8 and counts.dtype.kind == "i"
        shapes = shapes and raw.shape == (len(lengths), LONGEST) and counts.shape == lengths.shape == (len(raw),)
        if not shapes or ((lengths < 2) | (lengths > LONGEST)).any() or (counts < 0).any():
            raise TrainingError("the counts of a part of a text are damaged; count that part again")
        keys = np.empty((len(lengths), 3), np.uint64)
        keys[:, :2] = np.frombuffer(np.ascontiguousarray(raw).tobytes(), np.uint64).reshape(-1, 2)
        keys[:, 2] = lengths
        return cls.merge([cls(keys=keys, counts=counts.astype(np.int64))])


_NO_KEYS = np.zeros((0, 3), np.uint64)


def count_part(data: bytes | memoryview, *, longest: int = LONGEST, least: int = 1, words: bool = False) -> Counts:
    """Count the substrings of 2 to `longest` bytes that occur at least `least` times in a part of a text.

    Only whole characters, and newlines only at the end; with `words`, only occurrences that are whole words or lie
    within one (see `words`). A part ends as `stretches` cuts it.
    """
    keys, lengths, counts = _engine("count_substrings", count_plainly)(data, longest, least, words)
    return Counts.merge([Counts(keys=_packed(keys, lengths), counts=np.frombuffer(counts, np.uint32).astype(np.int64))])


def recount_part(data: bytes | memoryview, given: Counts, *, words: bool = False) -> Counts:
    """Count the segments of `given` in a part of a text, as `count_part` does; others are kept with 0."""
    raw = np.ascontiguousarray(given.keys[:, :2]).tobytes()
    lengths = given.keys[:, 2].astype(np.uint8).tobytes()
    counts = _engine("count_given", recount_plainly)(data, raw, lengths, words)
    return Counts(keys=given.keys, counts=np.frombuffer(counts, np.uint32).astype(np.int64))


def unpacked(keys: npt.NDArray[np.uint64]) -> list[bytes]:
    """Return keys (segments, 3) as bytes."""
    raw, lengths = np.ascontiguousarray(keys[:, :2]).tobytes(), keys[:, 2].tolist()
    return [raw[LONGEST * i : LONGEST * i + length] for i, length in enumerate(lengths)]


def _packed(raw: bytes, lengths: bytes) -> npt.NDArray[np.uint64]:
    keys = np.empty((len(lengths), 3), np.uint64)
    keys[:, :2] = np.frombuffer(raw, np.uint64).reshape(-1, 2)
    keys[:, 2] = np.frombuffer(lengths, np.uint8)
    return keys


def first_of_each(keys: npt.NDArray[np.uint64]) -> npt.NDArray[np.bool_]:
    """Return which of sorted keys (segments, 3) is the first of its equals."""
    first = np.ones(len(keys), bool)
    first[1:] = (keys[1:] != keys[:-1]).any(axis=1)
    return first


def _engine(name: str, plain: Any) -> Any:
    """The compiled function, or the plain one with a warning."""
    try:
        import tokframe_dictionary.mining._mine as compiled

        return getattr(compiled, name)
    except (ImportError, AttributeError):
        warnings.warn(
            "the compiled miner of tokframe-autoencoder is missing or older than this version, so plain Python counts "
            "segments: fine for 100 kB of text. Install a C compiler, then: "
            "pip install --force-reinstall --no-deps tokframe-autoencoder",
            SlowSearchWarning,
            stacklevel=4,
        )
        return plain


def count_plainly(data: bytes | memoryview, longest: int, least: int, words: bool) -> tuple[bytes, bytes, bytes]:
    """The same as the compiled `count_substrings`, in plain Python; its oracle."""
    found: list[tuple[bytes, int]] = []
    for length in range(2, longest + 1):
        found += [(piece, count) for piece, count in _occurrences(bytes(data), length, words).items() if count >= least]
    return (
        b"".join(piece.ljust(LONGEST, b"\0") for piece, _ in found),
        bytes(len(piece) for piece, _ in found),
        np.array([count for _, count in found], np.uint32).tobytes(),
    )


def recount_plainly(data: bytes | memoryview, keys: bytes, lengths: bytes, words: bool) -> bytes:
    """The same as the compiled `count_given`, in plain Python; its oracle."""
    of_length = {length: _occurrences(bytes(data), length, words) for length in set(lengths)}
    pieces = (bytes(keys[LONGEST * i : LONGEST * i + length]) for i, length in enumerate(lengths))
    return np.array([of_length[len(piece)][piece] for piece in pieces], np.uint32).tobytes()


def _occurrences(data: bytes, length: int, words: bool) -> Counter[bytes]:
    starts = [i for i in range(len(data)) if data[i] & 0xC0 != 0x80] + [len(data)]
    ends, found = set(starts), borders(data) if words else []
    places = (i for i in starts if i + length in ends and (not words or keeps_words(found, i, i + length)))
    pieces = (data[i : i + length] for i in places)
    return Counter(piece for piece in pieces if b"\n" not in piece.rstrip(b"\n"))
