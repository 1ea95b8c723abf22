"""Candidates: frequent substrings of the sources, whole characters only, with newlines only at the end.

Counts are raw (occurrences may overlap); what a candidate saves among others is decided in `pruning`.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from attrs import field, frozen

from tokframe.progress import SilentReporter
from tokframe_autoencoder.segmenter import SlowSearchWarning

if TYPE_CHECKING:
    from tokframe.progress import Reporter
    from tokframe_autoencoder.vocabulary.sources import Source

__all__ = ["LONGEST", "Candidates", "mine"]

#: Longest segment in bytes.
LONGEST = 16


@frozen(kw_only=True, eq=False)
class Candidates:
    """`pieces` of 2 to 16 bytes, most promising first; `counts` (pieces,) are weighted occurrences."""

    pieces: tuple[bytes, ...] = field(repr=False)
    counts: npt.NDArray[np.float64] = field(repr=False)

    def __len__(self) -> int:
        return len(self.pieces)


def mine(
    sources: Sequence[Source],
    *,
    longest: int = LONGEST,
    frequency: float = 1.5e-6,
    least: int = 4,
    limit: int = 1_000_000,
    reporter: Reporter | None = None,
) -> Candidates:
    """Find the substrings that occur at least `least` times and `frequency` times per byte in some source.

    The `limit` best by weighted count times bytes saved are kept. Needs about four bytes of memory per byte of the
    largest source and 100 per candidate of any source.
    """
    report = reporter or SilentReporter()
    report.stage("mining segments", sum(len(source.data) for source in sources) / 1e6, "MB")
    keys, weights, done = [np.zeros((0, 3), np.uint64)], [np.zeros(0)], 0
    for source in sources:
        enough = max(least, int(len(source.data) * frequency))
        key, counts = _count(source.data, longest, enough)
        keys.append(key)
        weights.append(counts * source.weight)
        done += len(source.data)
        report.advance(done / 1e6, source=source.name, found=len(key))
    key, count = _merge(np.concatenate(keys), np.concatenate(weights))
    best = np.argsort(-count * (key[:, 2].astype(np.float64) - 1), kind="stable")[:limit]
    raw, lengths = np.ascontiguousarray(key[best, :2]).tobytes(), key[best, 2].tolist()
    pieces = [raw[16 * i : 16 * i + length] for i, length in enumerate(lengths)]
    valid = [i for i, piece in enumerate(pieces) if _whole(piece)]
    report.note(f"{len(valid):,} candidate segments of 2 to {longest} bytes")
    return Candidates(pieces=tuple(pieces[i] for i in valid), counts=count[best][valid])


def _whole(piece: bytes) -> bool:
    try:
        piece.decode()
    except UnicodeDecodeError:
        return False
    return True


def _merge(keys: Any, counts: npt.NDArray[np.float64]) -> tuple[Any, npt.NDArray[np.float64]]:
    """Add up the counts of equal keys; sorted by key, so that the order of sources does not matter."""
    if not len(keys):
        return keys, counts
    order = np.lexsort(keys.T)
    keys, counts = keys[order], counts[order]
    first = np.ones(len(keys), bool)
    first[1:] = (keys[1:] != keys[:-1]).any(axis=1)
    starts = np.flatnonzero(first)
    return keys[starts], np.add.reduceat(counts, starts)


def _count(data: bytes, longest: int, least: int) -> tuple[Any, npt.NDArray[np.float64]]:
    """Frequent substrings as `(found, 3)` uint64: 16 bytes, zero padded, and the length; and their counts."""
    try:
        from tokframe_autoencoder.vocabulary._mine import count_substrings
    except ImportError:
        warnings.warn(
            "the compiled miner of tokframe-autoencoder is missing, so plain Python counts segments: fine for "
            "100 kB of text. Install a C compiler, then: "
            "pip install --force-reinstall --no-deps tokframe-autoencoder",
            SlowSearchWarning,
            stacklevel=3,
        )
        count_substrings = count_plainly
    raw, lengths, counts = count_substrings(data, longest, least)
    keys = np.empty((len(lengths), 3), np.uint64)
    keys[:, :2] = np.frombuffer(raw, np.uint64).reshape(-1, 2)
    keys[:, 2] = np.frombuffer(lengths, np.uint8)
    return keys, np.frombuffer(counts, np.uint32).astype(np.float64)


def count_plainly(data: bytes, longest: int, least: int) -> tuple[bytes, bytes, bytes]:
    """The same as the compiled `count_substrings`, in plain Python; its oracle."""
    found: list[tuple[bytes, int]] = []
    starts = [i for i in range(len(data)) if data[i] & 0xC0 != 0x80] + [len(data)]
    ends = set(starts)
    for length in range(2, longest + 1):
        pieces = (data[i : i + length] for i in starts if i + length in ends)
        counts = Counter(piece for piece in pieces if b"\n" not in piece.rstrip(b"\n"))
        found += [(piece, count) for piece, count in counts.items() if count >= least]
    return (
        b"".join(piece.ljust(16, b"\0") for piece, _ in found),
        bytes(len(piece) for piece, _ in found),
        np.array([count for _, count in found], np.uint32).tobytes(),
    )
