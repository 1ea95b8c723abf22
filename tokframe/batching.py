"""Many texts at once: worker threads, truncation and padding. Ids never depend on any of it."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence, Sized
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from tokframe.errors import EncodingError, UnsupportedError
from tokframe.results import IntArray, PaddedBatch

if TYPE_CHECKING:
    from tokframe.interfaces import ITokenizer

__all__ = ["decode_many", "encode_lists", "encode_many", "pad"]

T = TypeVar("T")

#: Characters or ids below which starting a thread takes longer than the work.
_LEAST = 1 << 16


def encode_many(
    tokenizer: ITokenizer, texts: Sequence[str], add_special: bool, max_length: int | None, threads: int | None
) -> list[IntArray]:
    """Return the ids of each text in order. Raises: EncodingError naming the text that cannot be encoded."""
    before, after, room = _frame(tokenizer, texts, add_special, max_length)
    first, last = np.asarray(before, np.int32), np.asarray(after, np.int32)

    def encode(position: int) -> IntArray:
        ids = tokenizer.encode_array(texts[position], False)[:room]
        return np.concatenate([first, ids, last]) if before or after else ids

    return _map(_naming(encode), texts, threads)


def encode_lists(
    tokenizer: ITokenizer, texts: Sequence[str], add_special: bool, max_length: int | None, threads: int | None
) -> list[list[int]]:
    """Return what `encode_many` does, as lists, which the worker threads make too. Raises: as `encode_many`."""
    before, after, room = _frame(tokenizer, texts, add_special, max_length)

    def encode(position: int) -> list[int]:
        ids = tokenizer.encode(texts[position], False)
        if room is not None and len(ids) > room:
            del ids[room:]
        return [*before, *ids, *after] if before or after else ids

    return _map(_naming(encode), texts, threads)


def decode_many(
    tokenizer: ITokenizer, batch: Iterable[Sequence[int] | IntArray], skip_special: bool, threads: int | None
) -> list[str]:
    """Return the text of each sequence in order. Raises: InvalidTokenError."""
    rows = list(batch)
    return _map(lambda position: tokenizer.decode(rows[position], skip_special), rows, threads)


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


def _frame(
    tokenizer: ITokenizer, texts: Sequence[str], add_special: bool, max_length: int | None
) -> tuple[tuple[int, ...], tuple[int, ...], int | None]:
    """Return the ids before and after each text, and how many of its own there is room for. Raises: EncodingError."""
    if isinstance(texts, (str, bytes)):
        raise EncodingError("expected a sequence of texts, got one; for one text there is encode")
    before, after = tokenizer.template() if add_special else ((), ())
    room = None if max_length is None else max_length - len(before) - len(after)
    if room is not None and room < 0:
        raise EncodingError(f"max_length {max_length} leaves no room for {len(before) + len(after)} special tokens")
    return before, after, room


def _naming(encode: Callable[[int], T]) -> Callable[[int], T]:
    def call(position: int) -> T:
        try:
            return encode(position)
        except EncodingError as error:
            raise EncodingError(f"text {position} of the batch: {error}", position=error.position) from error

    return call


def _map(call: Callable[[int], T], items: Sequence[object], threads: int | None) -> list[T]:
    """Return the result for each position, in order; of several errors, raise that of the first position."""
    count = len(items)
    workers = min(threads or os.cpu_count() or 1, count)
    if workers <= 1 or sum(len(item) for item in items if isinstance(item, Sized)) < _LEAST:
        return [call(i) for i in range(count)]
    # Workers take the next position when they are free: no share is fixed, so none ends long before the others.
    pending = deque(range(count))
    rows: list[T | None] = [None] * count
    errors: dict[int, BaseException] = {}

    def work() -> None:
        while True:
            try:
                position = pending.popleft()
            except IndexError:
                return
            try:
                rows[position] = call(position)
            except BaseException as error:  # raised below, in the calling thread
                errors[position] = error
                pending.clear()

    others = [threading.Thread(target=work, name="tokframe-batch", daemon=True) for _ in range(workers - 1)]
    for thread in others:
        thread.start()
    try:
        work()
    finally:
        pending.clear()
        for thread in others:
            thread.join()
    if errors:
        raise errors[min(errors)]
    return rows  # type: ignore[return-value]  # every position was filled or an error raised
