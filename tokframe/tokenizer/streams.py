"""Incremental encoding and decoding, spans, and the split at special tokens: what works on parts of a text."""

from __future__ import annotations

import codecs
import re
from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from tokframe.errors import EncodingError, UnsupportedError
from tokframe.tokenizer.results import Encoding, IntArray

if TYPE_CHECKING:
    from tokframe.tokenizer.base import ITokenizer

__all__ = ["StreamDecoder", "StreamEncoder", "spans", "split_special"]


#: A stretch that was not settled is looked at again once it has grown by one part in this many.
_PATIENCE = 64


class StreamEncoder:
    """Encodes a text fed in parts; the ids of all parts are those of the whole, special tokens not added.

    Memory is bounded by the longest stretch in which the tokenizer cannot yet tell its ids (`settled`).
    """

    def __init__(self, tokenizer: ITokenizer) -> None:
        if not tokenizer.capabilities.streaming:
            raise UnsupportedError(f"{tokenizer.name} cannot encode a stream", capability="streaming")
        self._tokenizer = tokenizer
        self._pending = bytearray()
        self._next_look = 0

    def feed(self, data: str | bytes) -> list[int]:
        """Take the next part and return the ids that are settled by now.

        Raises: EncodingError for a lone surrogate.
        """
        if isinstance(data, str):
            try:
                data = data.encode("utf-8")
            except UnicodeEncodeError as error:
                raise EncodingError(
                    f"character {error.start} of this part is a lone surrogate, which no UTF-8 text can hold",
                    position=error.start,
                ) from None
        self._pending += data
        if len(self._pending) < self._next_look:
            return []
        settled = self._tokenizer.settled(bytes(self._pending))
        ready = bytes(self._pending[:settled])
        del self._pending[:settled]
        # Looking costs time in what is pending: waiting for a share of it keeps many small parts linear in sum.
        self._next_look = len(self._pending) + len(self._pending) // _PATIENCE
        if not ready:
            return []
        ids: list[int] = self._tokenizer.encode_raw(ready).tolist()
        return ids

    def finish(self) -> list[int]:
        """Return the ids of what is still pending; the encoder is then empty and can be used again."""
        rest = bytes(self._pending)
        self._pending.clear()
        self._next_look = 0
        ids: list[int] = self._tokenizer.encode_raw(rest).tolist() if rest else []
        return ids


class StreamDecoder:
    """Decodes ids fed in parts; never gives half a character."""

    def __init__(self, tokenizer: ITokenizer, skip_special: bool = True) -> None:
        self._tokenizer = tokenizer
        self._skip_special = skip_special
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def feed(self, tokens: Sequence[int] | IntArray | int) -> str:
        """Take the next id or ids and return the text that is complete by now. Raises: InvalidTokenError."""
        single = isinstance(tokens, (int, np.integer)) and not isinstance(tokens, bool)
        ids: Sequence[int] | IntArray = [int(tokens)] if single else tokens  # type: ignore[assignment, arg-type]
        return self._decoder.decode(self._tokenizer.decode_bytes(ids, self._skip_special))

    def finish(self) -> str:
        """Return what is left (an incomplete character as U+FFFD); the decoder can be used again."""
        rest = self._decoder.decode(b"", final=True)
        self._decoder.reset()
        return rest


def spans(data: bytes, ids: IntArray, lengths: Sequence[int]) -> Encoding:
    """Return ids with byte and character spans, given the number of bytes each id stands for.

    `data` must be UTF-8. A token that begins inside a character begins at that character's index; one that ends
    inside a character ends after it.
    """
    ends = np.cumsum(np.asarray(lengths, np.int64))
    starts = ends - np.asarray(lengths, np.int64)
    raw = np.frombuffer(data, np.uint8)
    begins = np.zeros(len(raw) + 1, np.int64)
    np.cumsum((raw & 0xC0) != 0x80, out=begins[1:])  # begins[i]: characters that start before byte i
    inside = np.zeros(len(raw) + 1, bool)
    inside[:-1] = (raw & 0xC0) == 0x80
    first = begins[starts] - inside[starts]
    byte_spans = np.stack([starts, ends], axis=1).astype(np.int32)
    char_spans = np.stack([first, begins[ends]], axis=1).astype(np.int32)
    return Encoding(ids=ids, byte_spans=byte_spans.reshape(-1, 2), char_spans=char_spans.reshape(-1, 2))


def split_special(text: str, allowed: Collection[str]) -> Iterator[tuple[str, bool]]:
    """Yield `(piece, is_special)` in order; of two special tokens at one place the longer is taken."""
    pattern = re.compile("|".join(re.escape(s) for s in sorted(allowed, key=len, reverse=True)))
    position = 0
    for match in pattern.finditer(text):
        if match.start() > position:
            yield text[position : match.start()], False
        yield match.group(), True
        position = match.end()
    if position < len(text):
        yield text[position:], False
