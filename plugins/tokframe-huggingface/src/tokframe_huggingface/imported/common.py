"""What imported tokenizers share: text or an error, spans from characters, bytes that are not UTF-8, promises kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from tokframe.errors import ArtifactCorruptError
from tokframe.storage.state import State
from tokframe.tokenizer.hard_texts import HARD_TEXTS
from tokframe.tokenizer.results import Encoding, IntArray

__all__ = ["content_of", "corrupt", "is_lossless", "spans", "table_of"]

_MOST_UNUSED = 1_000_000


def content_of(state: State, file: str) -> bytes:
    """Return a file of a state. Raises: ArtifactCorruptError."""
    if file not in state.files:
        raise corrupt(file, "is missing")
    return state.files[file]


def corrupt(file: str, what: str) -> ArtifactCorruptError:
    """Return the error that says what is wrong with an imported file."""
    return ArtifactCorruptError(f"{file} {what}. Import the original anew: tokframe import FILE --out DIR", file=file)


def table_of(known: Mapping[int, bytes], special: dict[str, int], file: str) -> list[bytes]:
    """Return the bytes of every id up to the largest; an id that stands for nothing becomes a special token of its own.

    Raises: ArtifactCorruptError where there would be a million of those.
    """
    size = max(known, default=-1) + 1
    if size - len(known) > _MOST_UNUSED:
        raise corrupt(file, f"has {len(known):,} tokens and ids up to {size - 1:,}: that is no vocabulary")
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
