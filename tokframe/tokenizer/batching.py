"""Batches: run a function over shares of a list on worker threads. What is done to a share is the caller's."""

from __future__ import annotations

import operator
import os
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from tokframe.errors import EncodingError
from tokframe.tokenizer.inputs import whole_number

__all__ = ["map_shares", "map_texts"]

T = TypeVar("T")

#: Characters or ids in a share: worth starting a thread for, and few enough to divide the work evenly.
SHARE_LENGTH = 1 << 16
#: Items in a share, however short they are.
MAX_SHARE_ITEMS = 4096


def map_shares(call: Callable[[range], list[T]], items: Sequence[object], threads: int | None) -> list[T]:
    """Return the result for each position of `items`, in order, given the function from a run of positions to results.

    `threads` is the number of worker threads, by default one per core; of several errors the first is raised.
    Raises: EncodingError where `threads` is not a number of threads.
    """
    if threads is not None:
        threads = whole_number(threads, "threads", at_least=1)
    shares = list(_shares(items))
    workers = min(threads or os.cpu_count() or 1, len(shares))
    if workers <= 1:
        return [result for share in shares for result in call(share)]
    from concurrent.futures import ThreadPoolExecutor  # short texts do without

    with ThreadPoolExecutor(workers, "tokframe-batch") as pool:
        return [result for results in pool.map(call, shares) for result in results]


def map_texts(encode: Callable[[list[str]], list[T]], texts: Sequence[str], threads: int | None) -> list[T]:
    """Return what `encode` makes of each text, in order. Raises: EncodingError naming the text that failed."""

    def call(share: range) -> list[T]:
        try:
            return encode([texts[position] for position in share])
        except EncodingError:  # which of them it was
            return [one(position) for position in share]

    def one(position: int) -> T:
        try:
            return encode([texts[position]])[0]
        except EncodingError as error:
            raise EncodingError(f"text {position} of the batch: {error}", position=error.position) from error

    return map_shares(call, texts, threads)


def _shares(items: Sequence[object]) -> Iterator[range]:
    """Cut positions into runs of about `SHARE_LENGTH` characters or ids, the unit of work of a thread."""
    start = size = 0
    for position, item in enumerate(items):
        size += operator.length_hint(item, 1)
        if size >= SHARE_LENGTH or position + 1 - start >= MAX_SHARE_ITEMS:
            yield range(start, position + 1)
            start, size = position + 1, 0
    if start < len(items):
        yield range(start, len(items))
