"""The search in plain Python: the oracle of the tests, and what runs where the extension was not compiled.

It has the interface of `_search.Index` and `_search.decode`, about a hundredth of the speed, and the same ids.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

__all__ = ["MAX_SEGMENT_BYTES", "Index", "decode", "units"]

#: Longest segment in bytes.
MAX_SEGMENT_BYTES = 16
_NEWLINE = 10
_BYTES = [bytes([value]) for value in range(256)]
#: Steps of the automaton that are kept, of some hundred bytes each.
_MOST_STEPS = 1 << 18

Place = dict[int, Any]


def _unit_end(data: bytes, start: int, block: int) -> int:
    """End of the unit that starts at `start`: a line with all newlines after it, or a block of an overlong one."""
    limit = min(len(data), start + block)
    newline = data.find(b"\n", start, limit)
    end = newline if newline >= 0 else limit
    while end < limit and data[end] == _NEWLINE:
        end += 1
    if end < limit or end == len(data) or (newline >= 0 and data[end] != _NEWLINE):
        return end
    for back in range(4):  # a character has at most four bytes
        if data[end - back] & 0xC0 != 0x80:
            return end - back
    return end


def units(data: bytes, block: int) -> list[bytes]:
    """Cut bytes into the stretches that are searched on their own."""
    parts = []
    start = 0
    while start < len(data):
        end = _unit_end(data, start, block)
        parts.append(data[start:end])
        start = end
    return parts


class Index:
    """Segments with ids and costs, ready to be searched for."""

    def __init__(self, blob: Any, offsets: Any, ids: Any, costs: Any = None, block: int = 4096) -> None:
        if block < MAX_SEGMENT_BYTES:
            raise ValueError(f"block must be at least {MAX_SEGMENT_BYTES} bytes, got {block}")
        text, at = bytes(blob), [int(offset) for offset in offsets]
        self._segments = [text[a:b] for a, b in itertools.pairwise(at)]
        self._ids = [int(number) for number in ids]
        self._costs = [1] * len(self._segments) if costs is None else [int(cost) for cost in costs]
        self._block = block
        self._root_place: Place = {-1: b"", -2: None}
        self._step_count = 0
        self._numbers: dict[bytes, int] = {}
        for number, segment in enumerate(self._segments):
            if not 1 <= len(segment) <= MAX_SEGMENT_BYTES:
                raise ValueError(f"segment {number} is not 1 to {MAX_SEGMENT_BYTES} bytes long")
            if b"\n" in segment.rstrip(b"\n"):
                raise ValueError(f"segment {number} has a byte after a newline")
            if segment in self._numbers:
                raise ValueError(f"segment {number} occurs twice")
            if not 1 <= self._costs[number] <= 1 << 16:
                raise ValueError(f"cost {self._costs[number]} of segment {number} is not within 1..65536")
            self._numbers[segment] = number
        if any(bytes([value]) not in self._numbers for value in range(256)):
            raise ValueError("the 256 single bytes must all be among the segments")

    def _edges(self, unit: bytes, start: int) -> list[tuple[int, int]]:
        """Segments that start at a byte, as (end, number), shortest first."""
        found = []
        for end in range(start + 1, min(len(unit), start + MAX_SEGMENT_BYTES) + 1):
            number = self._numbers.get(unit[start:end])
            if number is not None:
                found.append((end, number))
        return found

    def _root(self) -> Place:
        """The place before a text: the automaton that is compiled in `_automaton.h`, made as far as texts need it.

        A place is the longest of the text so far with which a segment begins and goes on. It holds, for each byte that
        ever came next, the place behind it and the segments that end there, shortest first; -1 is what it stands for,
        -2 the place of the longest shorter end of that.
        """
        if self._step_count > _MOST_STEPS:
            self._root_place, self._step_count = {-1: b"", -2: None}, 0
        return self._root_place

    def _step(self, place: Place, byte: int) -> tuple[Place, list[tuple[int, int, int]]]:
        """What a byte behind a place leads to, looked up and kept. A segment is length below 0, cost and number."""
        text, shorter = place[-1] + _BYTES[byte], place[-2]
        behind, found = (place, []) if shorter is None else shorter.get(byte) or self._step(shorter, byte)
        number = self._numbers.get(text)
        if number is not None:
            found = [*found, (-len(text), self._costs[number], number)]
        if text in self._beginnings:
            behind = {-1: text, -2: behind}
        step = place[byte] = behind, found
        self._step_count += 1
        return step

    def _choices(self, unit: bytes) -> tuple[list[tuple[int, int, int]], list[int]]:
        """Length (below 0), cost and number of the best segment that ends at each byte, and the cost to each place."""
        place, ahead, choice = self._root(), [0], [(0, 0, 0)]
        for byte in unit:
            place, found = place.get(byte) or self._step(place, byte)
            least = 1 << 30
            for segment in found:
                cost = ahead[segment[0]] + segment[1]
                if cost <= least:  # the tie rule: the last of equals is the longest
                    least, best = cost, segment
            ahead.append(least)
            choice.append(best)
        return choice, ahead

    def _path(self, unit: bytes) -> tuple[list[int], list[int]]:
        """Best path of a unit as segment numbers, and the cost from the start to each place."""
        choice, ahead = self._choices(unit)
        path, at = [], len(unit)
        while at:
            back, _, number = choice[at]
            at += back
            path.append(number)
        path.reverse()
        return path, ahead

    def _numbers_of(self, data: Any) -> list[int]:
        return [number for unit in units(bytes(data), self._block) for number in self._path(unit)[0]]

    def encode(self, data: Any) -> bytearray:
        """Ids of the bytes, as the memory of an int32 array."""
        return bytearray(np.array(self.encode_list(data), np.int32).tobytes())

    def encode_list(self, data: Any) -> list[int]:
        """Ids of the bytes."""
        return [self._ids[number] for number in self._numbers_of(data)]

    def encode_text(self, text: str) -> list[int]:
        """Ids of a string."""
        return self.encode_list(text.encode())

    def encode_lists(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids of each of many strings."""
        return [self.encode_text(text) for text in texts]

    def count(self, data: Any) -> int:
        """Number of tokens of the bytes."""
        return len(self._numbers_of(data))

    def measure(self, data: Any, use: Any, loss: Any = None) -> int:
        """Add uses of each segment, and what the text would cost more without each use; return the tokens."""
        total = 0
        for unit in units(bytes(data), self._block):
            path, ahead = self._path(unit)
            edges = [self._edges(unit, start) for start in range(len(unit))]
            total += len(path)
            back = [1 << 30] * len(unit) + [0]
            for start in range(len(unit) - 1, -1, -1):
                back[start] = min(self._costs[number] + back[end] for end, number in edges[start])
            at = 0
            for number in path:
                use[number] += 1
                if loss is not None and len(self._segments[number]) > 1:
                    others = (
                        ahead[start] + self._costs[other] + back[end]
                        for start in range(max(0, at - MAX_SEGMENT_BYTES + 1), at + 1)
                        for end, other in edges[start]
                        if end > at and (start, other) != (at, number)
                    )
                    loss[number] += min(others) - ahead[-1]
                at += len(self._segments[number])
        return total

    def stable_prefix(self, data: Any) -> int:
        """How many leading bytes are cut the same whatever follows."""
        text, at = bytes(data), 0
        while at < len(text):
            end = _unit_end(text, at, self._block)
            if end == len(text):
                break
            at = end
        return at

    @cached_property
    def _beginnings(self) -> set[bytes]:
        return {segment[:end] for segment in self._segments for end in range(1, len(segment))}

    def settled_prefix(self, data: Any) -> int:
        """How many leading bytes keep their ids whatever follows."""
        start = self.stable_prefix(data)
        unit = bytes(data)[start:]
        size = len(unit)
        # The path of a longer text passes one of these last, and up to there it is the best path to that place.
        places = {size} | {at for at in range(max(0, size - MAX_SEGMENT_BYTES), size) if unit[at:] in self._beginnings}
        for at in range(size - 1, self._block - 4, -1):
            if unit[at] & 0xC0 != 0x80:  # the cut falls before bytes that what follows turns out to go on
                places.add(at)
                break
        choice = self._choices(unit)[0]
        while len(places) > 1:
            last = max(places)
            places = places - {last} | {last + choice[last][0]}
        return start + places.pop()


def decode(blob: Any, offsets: Any, ids: Sequence[int]) -> bytes:
    """Bytes of the ids. Raises: IndexError with the position of the first id out of range."""
    text, known = memoryview(blob), len(offsets) - 1
    parts = []
    for position, number in enumerate(ids):
        if not 0 <= number < known:
            raise IndexError(position)
        parts.append(bytes(text[offsets[number] : offsets[number + 1]]))
    return b"".join(parts)


def decode_known(blob: Any, offsets: Any, ids: Any, text: bool) -> bytes | str | None:
    """Bytes, or text, of a list of ints or an int32 array of ids; None if one of them is not the id of a segment."""
    if not isinstance(ids, list):
        ids = ids.tolist()
    known = len(offsets) - 1
    if not all(type(number) is int and 0 <= number < known and offsets[number] < offsets[number + 1] for number in ids):
        return None
    found = decode(blob, offsets, ids)
    return found.decode(errors="replace") if text else found
