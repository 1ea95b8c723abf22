"""Segmenter: segments with ids, searched for the cheapest path. Chooses the compiled search or plain Python.

The rules are part of an artifact's meaning. Text is cut into lines (with the newlines that end them), and lines longer
than a block into blocks; each is covered by the segments of the smallest total cost.

The tie rule: of paths of equal cost, the one whose last segment is longest wins, then the one whose last but one is
longest, and so on: the rule of unigram models. It is stated here; these rely on it and refer to it by that name:

- `segmenter/_path.h` and `segmenter/reference.py` implement it;
- `vocabulary/bigrams.py` derives from it which segments never stand side by side;
- `tokenizer.py` describes the search to exporters as a unigram model;
- `docs/concepts.md` and `docs/interop.md` explain it to users.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from tokframe.errors import InvalidTokenError
from tokframe_dictionary.extensions import extension
from tokframe_dictionary.segmenter import reference

__all__ = ["Segmenter"]

IntArray = npt.NDArray[np.int32]


def _packed(segments: Sequence[bytes]) -> tuple[bytes, npt.NDArray[np.int64]]:
    offsets = np.zeros(len(segments) + 1, np.int64)
    np.cumsum(np.fromiter(map(len, segments), np.int64, len(segments)), out=offsets[1:])
    return b"".join(segments), offsets


class Segmenter:
    """Exact segmentation of any bytes; safe to share between threads, which run side by side."""

    def __init__(
        self,
        segments: Sequence[bytes],
        ids: Sequence[int] | IntArray,
        costs: Sequence[int] | IntArray | None = None,
        block: int = 4096,
    ) -> None:
        """Compile `segments`, which include the 256 single bytes; `costs` are 1..65536, all 1 by default.

        Raises: ValueError for a segment that is repeated, longer than 16 bytes or holds a byte after a newline.
        """
        self._open(*_packed(segments), np.asarray(ids, np.int32), costs, block)

    @classmethod
    def from_packed(
        cls,
        blob: npt.NDArray[np.uint8] | bytes,
        offsets: npt.NDArray[np.int64],
        ids: Sequence[int] | IntArray,
        costs: Sequence[int] | IntArray | None = None,
        block: int = 4096,
    ) -> Segmenter:
        """Compile segments laid end to end, `offsets` (segments + 1,): no Python object per segment."""
        made = cls.__new__(cls)
        made._open(bytes(blob), np.ascontiguousarray(offsets, np.int64), np.asarray(ids, np.int32), costs, block)
        return made

    def _open(self, blob: bytes, offsets: npt.NDArray[np.int64], ids: IntArray, costs: Any, block: int) -> None:
        if len(ids) != len(offsets) - 1:
            raise ValueError(f"{len(offsets) - 1} segments but {len(ids)} ids")
        self._costs = None if costs is None else np.ascontiguousarray(costs, np.int32)
        self._block = block
        self._packed = (blob, offsets, np.ascontiguousarray(ids))
        self._use(extension("segmenter._search", reference))

    def _use(self, engine: ModuleType) -> None:
        blob, offsets, ids = self._packed
        self._module = engine
        self._index: reference.Index = engine.Index(blob, offsets, ids, self._costs, self._block)
        self._table = _by_id(blob, offsets, ids)

    def __reduce__(self) -> tuple[Any, ...]:
        blob, offsets, ids = self._packed
        return type(self).from_packed, (blob, offsets, ids, self._costs, self._block)

    @property
    def compiled(self) -> bool:
        """Whether the compiled search is at work."""
        return self._module is not reference

    def encode(self, data: bytes) -> IntArray:
        """Ids of any bytes, `(tokens,)` int32."""
        return np.frombuffer(self._index.encode(data), np.int32)

    def encode_list(self, data: bytes) -> list[int]:
        """Ids of any bytes as a list, without an array between."""
        return self._index.encode_list(data)

    def encode_text(self, text: str) -> list[int]:
        """Ids of a string as a list.

        Raises: UnicodeEncodeError for a lone surrogate; TypeError for what is no string.
        """
        return self._index.encode_text(text)

    def encode_lists(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids of each of many strings, in one go without the interpreter's lock.

        Raises: UnicodeEncodeError for a lone surrogate; TypeError for what is no string.
        """
        return self._index.encode_lists(texts)

    def count(self, data: bytes) -> int:
        """Number of tokens of any bytes, without making them."""
        return self._index.count(data)

    def usage(self, data: bytes | memoryview) -> npt.NDArray[np.int64]:
        """Uses of each segment, in the order the segments were given, `(segments,)`."""
        use = np.zeros(len(self._packed[2]), np.int64)
        self._index.measure(data, use)
        return use

    def savings(self, data: bytes | memoryview) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Uses of each segment, and what the text would cost more if each use by itself were forbidden."""
        use, loss = np.zeros((2, len(self._packed[2])), np.int64)
        self._index.measure(data, use, loss)
        return use, loss

    def stable_prefix(self, data: bytes) -> int:
        """How many leading bytes are whole units, which encode the same whatever follows; the rest is under a block.

        A stream encodes `data[:stable_prefix(data)]` and appends what comes next to the rest; at the end, all.
        """
        return self._index.stable_prefix(data)

    def settled_ids(self, data: bytes) -> tuple[list[int], int]:
        """The ids that stay whatever follows, and how many bytes they are.

        Costs add up and ties are decided from the right, so the best path to a place is the same whatever follows it.
        A longer text's path passes last either the end of `data`, or one of the 15 places before it from which a
        segment goes on past the end. Its beginning is the best path to there; these ids are common to all of them.
        """
        start, end = self._index.stable_prefix(data), self._index.settled_prefix(data)
        # Apart, as the first bytes of a character that a block was cut before would belong to that block.
        return self._index.encode_list(data[:start]) + self._index.encode_list(data[start:end]), end

    def decode_known(self, ids: list[int] | IntArray) -> bytes | None:
        """Bytes of a list of ints or an int32 array of ids; None if one of them is not the id of a segment."""
        found: bytes | None = self._module.decode_known(*self._table, ids, False)
        return found

    def decode_known_text(self, ids: list[int] | IntArray) -> str | None:
        """`decode_known` as text, with U+FFFD for what is not UTF-8."""
        found: str | None = self._module.decode_known(*self._table, ids, True)
        return found

    def decode(self, ids: Sequence[int] | IntArray) -> bytes:
        """Bytes of ids; an id without a segment below the largest is empty. Raises: InvalidTokenError."""
        blob, offsets = self._table
        numbers = np.ascontiguousarray(ids, np.int32)
        try:
            return bytes(self._module.decode(blob, offsets, numbers))
        except IndexError as error:
            position = int(error.args[0])
            token = int(numbers[position])
            raise InvalidTokenError(
                f"id {token} at position {position} is outside 0..{len(offsets) - 2}; "
                "were these ids made by another tokenizer?",
                token=token,
                position=position,
            ) from None


def _by_id(blob: bytes, offsets: npt.NDArray[np.int64], ids: IntArray) -> tuple[bytes, npt.NDArray[np.int64]]:
    """The segments laid end to end in the order of their ids, with nothing at ids that have none."""
    ordered = bool((ids[1:] > ids[:-1]).all())
    if len(ids) and (ids.min() < 0 or (not ordered and len(np.unique(ids)) != len(ids))):
        raise ValueError("ids must be distinct and not negative")
    lengths = np.diff(offsets)
    table = np.zeros(int(ids.max()) + 2 if len(ids) else 1, np.int64)
    table[ids + 1] = lengths
    np.cumsum(table, out=table)
    if len(ids) and ordered:
        return blob, table  # already in order, the usual case
    order = np.argsort(ids)
    return b"".join(blob[offsets[i] : offsets[i + 1]] for i in order), table
