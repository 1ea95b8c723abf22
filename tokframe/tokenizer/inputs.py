"""Inputs: what users pass as texts, bytes and counts, checked once. Ids are left to `ids`."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping, Set
from typing import Any, TypeVar

from tokframe.errors import EncodingError

__all__ = ["bytes_of", "in_order", "whole_number"]

T = TypeVar("T")

_MOST = 2**31 - 1  # ids are int32, and so are their counts


def in_order(values: Iterable[T], what: str, instead: str) -> list[T]:
    """Return the values of a sequence or an iterator by position, whatever its labels: a Series, a generator, an array.

    `what` names the values and `instead` what to use for a single one. Raises: EncodingError for what has no order, or
    what Python iterates over otherwise: a string, bytes, a set, a mapping, a data frame.
    """
    odd = isinstance(values, (str, bytes, bytearray, Mapping, Set)) or hasattr(values, "columns")
    # Views of raw memory hold ids or text as their type says, except for single bytes: these are bytes.
    odd = odd or (isinstance(values, memoryview) and values.format in ("B", "b", "c"))
    try:
        iterator = None if odd else iter(values)
    except TypeError:
        iterator = None
    if iterator is None:
        raise EncodingError(
            f"expected a sequence of {what}, got {type(values).__name__}; pass a list, a tuple, an array, a Series or "
            f"an iterator{instead}"
        )
    if hasattr(values, "to_pylist"):  # Arrow: its own scalars are neither str nor int
        return list(values.to_pylist())
    return list(iterator)


def bytes_of(data: Any) -> bytes:
    """Return what a bytes-like object holds. Raises: EncodingError for anything else, text and numbers included."""
    if type(data) is bytes:
        return data
    try:
        view = memoryview(data)
    except TypeError:
        hint = "; for text there is encode" if isinstance(data, str) else "; pass bytes, a bytearray or a memoryview"
        raise EncodingError(f"expected bytes, got {type(data).__name__}{hint}") from None
    if view.format not in ("B", "b", "c") or view.ndim != 1:
        kind = getattr(data, "dtype", view.format)
        raise EncodingError(
            f"expected bytes, got {type(data).__name__} of {kind} in {view.ndim} dimensions; ids become text by "
            "decode, and an array of bytes has the type uint8 and one dimension"
        )
    return view.tobytes()


def whole_number(value: Any, name: str, *, at_least: int) -> int:
    """Return an argument as an int. Raises: EncodingError where it is not a whole number from `at_least` up."""
    try:
        number = None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = None
    if number is None or not at_least <= number <= _MOST:
        raise EncodingError(f"expected a whole number from {at_least} to {_MOST:,} for {name}, got {value!r:.60}")
    return number
