"""Helpers of imported tokenizers: their tables of bytes, offsets, and the check that one is lossless."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from tokframe.errors import ArtifactCorruptError
from tokframe.storage.state import State
from tokframe.tokenizer.hard_texts import HARD_TEXTS
from tokframe.tokenizer.results import Encoding, IntArray

__all__ = ["content_of", "corrupt", "is_lossless", "spans", "table_of"]

MAX_UNUSED_IDS = 1_000_000


def content_of(state: State, file: str) -> bytes:
    """Return a file of a state. Raises: ArtifactCorruptError."""
    if file not in state.files:
        raise corrupt(file, "is missing")
    return state.files[file]


def corrupt(file: str, what: str) -> ArtifactCorruptError:
    """Return the error for a damaged imported file."""
    return ArtifactCorruptError(f"{file} {what}. Import the original again: tokframe import FILE --out DIR", file=file)


def table_of(known: Mapping[int, bytes], special: dict[str, int], file: str) -> list[bytes]:
    """Return the bytes of every id up to the largest; unused ids become special tokens `<unused N>`.

    Raises: ArtifactCorruptError for more than a million of those.
    """
    size = max(known, default=-1) + 1
    if size - len(known) > MAX_UNUSED_IDS:
        raise corrupt(file, f"has {len(known):,} tokens and ids up to {size - 1:,}: too sparse for a vocabulary")
    for number in range(size):
        if not known.get(number):
            special[f"<unused {number}>"] = number
    return [known.get(number) or f"<unused {number}>".encode() for number in range(size)]


def spans(text: str, ids: Sequence[int], characters: Sequence[tuple[int, int]]) -> Encoding:
    """Return ids with spans, from spans in characters."""
    at = np.zeros(len(text) + 1, np.int32)
    np.cumsum(np.fromiter((len(c.encode()) for c in text), np.int32, len(text)), out=at[1:])
    chars = np.asarray(characters, np.int32).reshape(-1, 2)
    return Encoding(ids=np.asarray(ids, np.int32), byte_spans=at[chars], char_spans=chars)


def is_lossless(encode: Callable[[bytes], IntArray], decode: Callable[[IntArray], bytes]) -> bool:
    """Return whether every hard text is decoded exactly."""
    return all(decode(encode(text.encode())) == text.encode() for text in HARD_TEXTS)
