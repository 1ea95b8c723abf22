"""Ids: check what users pass as ids. What ids stand for is left to tokenizers."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from tokframe.errors import InvalidTokenError
from tokframe.storage.strictjson import shortened
from tokframe.tokenizer.inputs import in_order
from tokframe.tokenizer.results import IntArray

__all__ = ["id_array", "one_id"]


def id_array(tokens: Sequence[int] | IntArray, size: int) -> IntArray:
    """Return ids of a vocabulary of `size` as an int32 array.

    Raises: InvalidTokenError naming the first that is not an id; EncodingError where `tokens` is not a sequence.
    """
    if isinstance(tokens, np.ndarray) and hasattr(tokens, "mask"):  # a masked array: what is masked becomes None
        tokens = tokens.tolist()
    if isinstance(tokens, np.ndarray) and tokens.dtype == np.int32 and tokens.ndim == 1:
        wide: Any = tokens
    else:
        wide = _integers(tokens, size)
    if len(wide) and (int(wide.min()) < 0 or int(wide.max()) >= size):
        position = int(np.flatnonzero((wide < 0) | (wide >= size))[0])
        raise _invalid(int(wide[position]), position, size)
    ids: IntArray = wide.astype(np.int32, copy=False)
    return ids


def one_id(token: int, size: int) -> int:
    """Return an id of a vocabulary of `size` as an int. Raises: InvalidTokenError."""
    value = _index(token, 0)
    if not 0 <= value < size:
        raise _invalid(value, 0, size)
    return value


def _integers(tokens: Any, size: int) -> Any:
    """Return ids as an integer array. Raises: InvalidTokenError naming the first that is not an id; EncodingError."""
    known = isinstance(tokens, (list, tuple)) or (isinstance(tokens, np.ndarray) and tokens.ndim)
    values = tokens if known else in_order(tokens, "ids", "; the bytes of a text become ids by encode_bytes")
    try:
        wide = np.asarray(values)
    except (TypeError, ValueError, OverflowError, RuntimeError):  # the last of tensors that require a gradient
        wide = None
    if wide is not None and wide.ndim == 1 and (wide.size == 0 or wide.dtype.kind in "iu"):
        if not wide.size:
            return wide.astype(np.int32)
        if wide is not values:  # numpy takes True and False among ints for 1 and 0, so check those positions
            for position in np.flatnonzero((wide == 0) | (wide == 1)).tolist():
                _index(values[position], position)
        return wide
    # Something in it is not an id, or too large for a numpy array: find it, so that it can be named.
    found = [_index(token, position) for position, token in enumerate(values)]
    for position, token in enumerate(found):
        if not 0 <= token < size:
            raise _invalid(token, position, size)
    return np.asarray(found, np.int64)


def _index(token: Any, position: int) -> int:
    """Return one id as an int; a bool or a float is not an id, whatever its value."""
    if not isinstance(token, (bool, np.bool_)):
        try:
            return operator.index(token)
        except TypeError:
            pass
    hint = "; for several sequences there is decode_batch" if isinstance(token, (list, tuple, np.ndarray)) else ""
    raise InvalidTokenError(
        f"{shortened(token)} at position {position} is not an id; ids are integers{hint}", position=position
    )


def _invalid(token: int, position: int, size: int) -> InvalidTokenError:
    return InvalidTokenError(
        f"id {shortened(token)} at position {position} is outside the vocabulary; ids are 0 to {size - 1}",
        token=token,
        position=position,
    )
