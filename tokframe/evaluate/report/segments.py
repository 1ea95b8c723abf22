"""Segments: a text as a tokenizer segments it, in pieces of whole characters that can be shown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from attrs import frozen

from tokframe.evaluate.analysis import shown
from tokframe.tokenizer.base import utf8

if TYPE_CHECKING:
    from tokframe.tokenizer.base import ITokenizer

__all__ = ["Segment", "segments"]


@frozen(kw_only=True)
class Segment:
    """A piece of text and the ids that spell it: one, or several where they share a character between them.

    `exact` is False where the ids do not spell the text; then `text` is what the one id stands for.
    """

    text: str
    ids: tuple[int, ...]
    exact: bool = True


def segments(tokenizer: ITokenizer, text: str) -> list[Segment]:
    """Return a text in segments, in order. Raises: EncodingError where the tokenizer refuses the text."""
    data = utf8(text)
    ids = tokenizer.encode_raw(data).tolist()
    spelled = [tokenizer.token_bytes(token) for token in ids]
    if b"".join(spelled) != data:
        return [
            Segment(text=shown(piece), ids=(token,), exact=False) for token, piece in zip(ids, spelled, strict=True)
        ]
    return list(_whole_characters(ids, spelled, data))


def _whole_characters(ids: list[int], spelled: list[bytes], data: bytes) -> Iterator[Segment]:
    start = end = first = 0
    for number, piece in enumerate(spelled, 1):
        end += len(piece)
        if end == len(data) or data[end] & 0xC0 != 0x80:  # the next byte begins a character
            yield Segment(text=data[start:end].decode(), ids=tuple(ids[first:number]))
            start, first = end, number
