"""Many texts at once: worker threads, truncation and padding. Ids never depend on any of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from tokframe.errors import EncodingError, UnsupportedError
from tokframe.results import IntArray, PaddedBatch

if TYPE_CHECKING:
    from tokframe.interfaces import ITokenizer

__all__ = ["decode_many", "encode_many", "pad"]

T = TypeVar("T")

#: Texts handed to a worker at a time: enough that handing over costs nothing beside the work.
_GROUP = 64


def encode_many(
    tokenizer: ITokenizer, texts: Sequence[str], add_special: bool, max_length: int | None, threads: int | None
) -> list[IntArray]:
    """Return the ids of each text in order. Raises: EncodingError naming the text that cannot be encoded."""
    if isinstance(texts, (str, bytes)):
        raise EncodingError("expected a sequence of texts, got one; for one text there is encode")
    before, after = tokenizer.template() if add_special else ((), ())
    room = None if max_length is None else max_length - len(before) - len(after)
    if room is not None and room < 0:
        raise EncodingError(f"max_length {max_length} leaves no room for {len(before) + len(after)} special tokens")

    def encode(position: int) -> IntArray:
        try:
            ids = tokenizer.encode_array(texts[position], False)
        except EncodingError as error:
            raise EncodingError(f"text {position} of the batch: {error}", position=error.position) from error
        if room is not None and len(ids) > room:
            ids = ids[:room]
        if before or after:
            ids = np.concatenate([np.asarray(before, np.int32), ids, np.asarray(after, np.int32)])
        return ids

    return _map(encode, len(texts), threads)


def decode_many(
    tokenizer: ITokenizer, batch: Iterable[Sequence[int] | IntArray], skip_special: bool, threads: int | None
) -> list[str]:
    """Return the text of each sequence in order. Raises: InvalidTokenError."""
    rows = list(batch)
    return _map(lambda position: tokenizer.decode(rows[position], skip_special), len(rows), threads)


def pad(tokenizer: ITokenizer, arrays: Sequence[IntArray], pad_to: int | None) -> PaddedBatch:
    """Return the rows as one rectangle. Raises: UnsupportedError without `<pad>`; EncodingError past `pad_to`."""
    token = tokenizer.special_tokens.get("<pad>")
    if token is None:
        raise UnsupportedError(f"{tokenizer.name} has no '<pad>' token to pad with", capability="padding")
    longest = max((len(row) for row in arrays), default=0)
    width = longest if pad_to is None else pad_to
    if longest > width:
        where = next(i for i, row in enumerate(arrays) if len(row) > width)
        raise EncodingError(f"text {where} has {len(arrays[where])} ids, more than pad_to={width}; set max_length")
    ids = np.full((len(arrays), width), token, np.int32)
    mask = np.zeros((len(arrays), width), np.int32)
    for row, values in enumerate(arrays):
        ids[row, : len(values)] = values
        mask[row, : len(values)] = 1
    return PaddedBatch(ids=ids, mask=mask)


def _map(call: Callable[[int], T], count: int, threads: int | None) -> list[T]:
    workers = min(threads or os.cpu_count() or 1, -(-count // _GROUP) or 1)
    if workers <= 1:
        return [call(i) for i in range(count)]

    def group(start: int) -> list[T]:
        return [call(i) for i in range(start, min(start + _GROUP, count))]

    with ThreadPoolExecutor(workers) as pool:
        return [row for rows in pool.map(group, range(0, count, _GROUP)) for row in rows]
