"""CodeCache: the codes of segments used most recently, up to a limit; safe to use from several threads."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence

from attrs import frozen

__all__ = ["CacheInfo", "CodeCache"]


@frozen(kw_only=True)
class CacheInfo:
    """Statistics of a cache: lookups found and not found, entries held now and at most."""

    hits: int
    misses: int
    size: int
    capacity: int

    @property
    def hit_rate(self) -> float:
        """Share of lookups that were found; 0 before the first."""
        return self.hits / (self.hits + self.misses) if self.hits + self.misses else 0.0


class CodeCache:
    """Segment to code, at most `capacity` of them; a capacity of 0 keeps none and counts every lookup as a miss."""

    def __init__(self, capacity: int) -> None:
        if isinstance(capacity, bool) or not isinstance(capacity, int) or capacity < 0:
            raise ValueError(f"a cache of {capacity!r} segments is not possible; give 0 (off) or more")
        self.capacity = capacity
        self._entries: OrderedDict[bytes, int] = OrderedDict()
        self._lock = threading.Lock()
        self._hits = self._misses = 0

    def find(self, segments: Sequence[bytes]) -> dict[bytes, int]:
        """Return the codes known of these segments; every segment of the list counts as one lookup."""
        found: dict[bytes, int] = {}
        with self._lock:
            entries = self._entries
            known = [segment for segment in segments if segment in entries]
            for segment in known:
                entries.move_to_end(segment)
                found[segment] = entries[segment]
            self._hits += len(known)
            self._misses += len(segments) - len(known)
        return found

    def add(self, codes: Mapping[bytes, int]) -> None:
        """Add codes, dropping those used longest ago where there is no room."""
        if not self.capacity:
            return
        with self._lock:
            self._entries.update(codes)
            while len(self._entries) > self.capacity:
                self._entries.popitem(last=False)

    def clear(self) -> None:
        """Remove all codes and reset the counts."""
        with self._lock:
            self._entries.clear()
            self._hits = self._misses = 0

    def info(self) -> CacheInfo:
        """Return the statistics."""
        with self._lock:
            return CacheInfo(hits=self._hits, misses=self._misses, size=len(self._entries), capacity=self.capacity)
