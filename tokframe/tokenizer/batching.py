"""Many texts at once: worker threads, truncation and padding. Ids never depend on any of it."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from tokframe.errors import EncodingError, UnsupportedError
from tokframe.tokenizer.results import IntArray, PaddedBatch

if TYPE_CHECKING:
    from tokframe.tokenizer.base import ITokenizer

__all__ = ["decode_many", "encode_lists", "encode_many", "pad"]

T = TypeVar("T")

#: Characters or ids that a thread takes at a time: worth starting one for, and little enough to share out evenly.
_SHARE = 1 << 16
#: Texts that a thread takes at a time, however short they are.
_MOST = 4096


def encode_many(
    tokenizer: ITokenizer, texts: Sequence[str], add_special: bool, max_length: int | None, threads: int | None
) -> list[IntArray]:
    """Return the ids of each text in order. Raises: EncodingError naming the text that cannot be encoded."""
    before, after, room = _frame(tokenizer, texts, add_special, max_length)
    first, last = np.asarray(before, np.int32), np.asarray(after, np.int32)

    def encode(position: int) -> IntArray:
        ids = tokenizer.encode_array(texts[position], False)[:room]
        return np.concatenate([first, ids, last]) if before or after else ids

    return _map(_each(_naming(encode)), texts, threads)


def encode_lists(
    tokenizer: ITokenizer, texts: Sequence[str], add_special: bool, max_length: int | None, threads: int | None
) -> list[list[int]]:
    """Return what `encode_many` does, as lists, which the worker threads make too. Raises: as `encode_many`."""
    before, after, room = _frame(tokenizer, texts, add_special, max_length)
    one_by_one = _each(_naming(lambda position: tokenizer.encode(texts[position], False)))

    def encode(share: range) -> list[list[int]]:
        try:
            rows = tokenizer.encode_lists([texts[position] for position in share])
        except EncodingError:  # which of them it was
            rows = one_by_one(share)
        if room is not None:
            for ids in rows:
                del ids[room:]
        return [[*before, *ids, *after] for ids in rows] if before or after else rows

    return _map(encode, texts, threads)


def decode_many(
    tokenizer: ITokenizer, batch: Iterable[Sequence[int] | IntArray], skip_special: bool, threads: int | None
) -> list[str]:
    """Return the text of each sequence in order. Raises: InvalidTokenError."""
    rows = list(batch)
    # Reading lists and making strings needs the interpreter's lock: threads that take turns at it are slower than one.
    return _map(_each(lambda position: tokenizer.decode(rows[position], skip_special)), rows, threads or 1)


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


def _each(call: Callable[[int], T]) -> Callable[[range], list[T]]:
    return lambda share: [call(position) for position in share]


def _shares(items: Sequence[object]) -> Iterator[range]:
    """Cut positions into runs of about `_SHARE` characters or ids, so that threads seldom wait for each other."""
    start = size = 0
    for position, item in enumerate(items):
        size += len(item) if isinstance(item, Sized) else 1
        if size >= _SHARE or position + 1 - start >= _MOST:
            yield range(start, position + 1)
            start, size = position + 1, 0
    if start < len(items):
        yield range(start, len(items))


def _map(call: Callable[[range], list[T]], items: Sequence[object], threads: int | None) -> list[T]:
    """Return the result for each position, in order; of several errors, raise that of the first position."""
    shares = deque(_shares(items))
    workers = min(threads or os.cpu_count() or 1, len(shares))
    if workers <= 1:
        return [result for share in shares for result in call(share)]
    # Workers take the next share when they are free: no half is fixed, so none ends long before the others.
    rows: list[T | None] = [None] * len(items)
    errors: dict[int, BaseException] = {}

    def work() -> None:
        while True:
            try:
                share = shares.popleft()
            except IndexError:
                return
            try:
                rows[share.start : share.stop] = call(share)
            except BaseException as error:  # raised below, in the calling thread
                errors[share.start] = error
                shares.clear()

    others = [threading.Thread(target=work, name="tokframe-batch", daemon=True) for _ in range(workers - 1)]
    for thread in others:
        thread.start()
    try:
        work()
    finally:
        shares.clear()
        for thread in others:
            thread.join()
    if errors:
        raise errors[min(errors)]
    return rows  # type: ignore[return-value]  # every position was filled or an error raised
