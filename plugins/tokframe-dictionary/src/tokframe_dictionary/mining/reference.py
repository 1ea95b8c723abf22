"""Counting of substrings in plain Python: the oracle of the compiled `_mine`, and what runs where it was not built."""

from __future__ import annotations

from collections import Counter

import numpy as np

from tokframe_dictionary.mining.words import Words, borders, keeps_words
from tokframe_dictionary.segmenter.reference import MAX_SEGMENT_BYTES

__all__ = ["count_given", "count_substrings"]


def count_substrings(data: bytes | memoryview, longest: int, least: int, words: int) -> tuple[bytes, bytes, bytes]:
    """Return zero-padded keys, lengths (uint8) and counts (uint32) of all substrings that occur `least` times."""
    found: list[tuple[bytes, int]] = []
    for length in range(2, longest + 1):
        found += [(key, count) for key, count in _occurrences(bytes(data), length, words).items() if count >= least]
    return (
        b"".join(key.ljust(MAX_SEGMENT_BYTES, b"\0") for key, _ in found),
        bytes(len(key) for key, _ in found),
        np.array([count for _, count in found], np.uint32).tobytes(),
    )


def count_given(data: bytes | memoryview, keys: bytes, lengths: bytes, words: int) -> bytes:
    """Return the counts (uint32) of given keys."""
    of_length = {length: _occurrences(bytes(data), length, words) for length in set(lengths)}
    starts = range(0, len(keys), MAX_SEGMENT_BYTES)
    segments = (bytes(keys[start : start + length]) for start, length in zip(starts, lengths, strict=True))
    return np.array([of_length[len(segment)][segment] for segment in segments], np.uint32).tobytes()


def _occurrences(data: bytes, length: int, words: int) -> Counter[bytes]:
    starts = [i for i in range(len(data)) if data[i] & 0xC0 != 0x80] + [len(data)]
    ends, found = set(starts), borders(data, Words(words)) if words else []
    places = (
        i for i in starts if i + length in ends and (not words or keeps_words(found, i, i + length, Words(words)))
    )
    segments = (data[i : i + length] for i in places)
    return Counter(segment for segment in segments if b"\n" not in segment.rstrip(b"\n"))
