"""Streams and spans: incremental encoding and decoding, spans of ids, the split at special tokens."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Protocol

import numpy as np

from tokframe.errors import EncodingError
from tokframe.tokenizer.inputs import bytes_of
from tokframe.tokenizer.results import Encoding, IntArray

__all__ = ["StreamDecoder", "StreamEncoder", "spans", "split_special"]

#: An unstable stretch is looked at again once it has grown by one part in this many.
RETRY_GROWTH = 64


class PrefixEncoder(Protocol):
    """What a stream needs of a tokenizer: see `ITokenizer`."""

    def stable_prefix(self, data: bytes) -> int:
        """Return how many leading bytes encode the same whatever follows."""

    def encode_raw_list(self, data: bytes) -> list[int]:
        """Return the ids of bytes, without special tokens."""


class StreamEncoder:
    """Encodes a text fed in parts; the ids of all parts are those of the whole, special tokens not added.

    Memory is bounded by the longest stretch whose ids depend on what follows (`stable_prefix`).
    """

    def __init__(self, tokenizer: PrefixEncoder) -> None:
        self._tokenizer = tokenizer
        self._pending = bytearray()
        self._next_look = 0

    def feed(self, data: str | bytes) -> list[int]:
        """Add the next part and return the ids that no later part can change.

        Raises: EncodingError for a lone surrogate, or for what is neither text nor bytes.
        """
        if isinstance(data, str):
            try:
                data = data.encode("utf-8")
            except UnicodeEncodeError as error:
                raise EncodingError(
                    f"character {error.start} of this part is a lone surrogate, which no UTF-8 text can hold",
                    position=error.start,
                ) from None
        self._pending += bytes_of(data)
        if len(self._pending) < self._next_look:
            return []
        stable = self._tokenizer.stable_prefix(bytes(self._pending))
        ready = bytes(self._pending[:stable])
        del self._pending[:stable]
        # Each look costs time in what is pending: waiting until it has grown by a share keeps the sum of looks linear.
        self._next_look = len(self._pending) + len(self._pending) // RETRY_GROWTH
        return self._tokenizer.encode_raw_list(ready) if ready else []

    def finish(self) -> list[int]:
        """Return the ids of what is still pending; the encoder is then empty and can be used again."""
        rest = bytes(self._pending)
        self._pending.clear()
        self._next_look = 0
        return self._tokenizer.encode_raw_list(rest) if rest else []


class StreamDecoder:
    """Decodes ids fed in parts; never returns half a character."""

    def __init__(self, decode_bytes: Callable[[Sequence[int] | IntArray], bytes]) -> None:
        self._decode_bytes = decode_bytes
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def feed(self, tokens: Sequence[int] | IntArray | int) -> str:
        """Add the next id or ids and return the text that is complete by now. Raises: InvalidTokenError."""
        single = isinstance(tokens, (int, np.integer)) and not isinstance(tokens, bool)
        ids: Sequence[int] | IntArray = [int(tokens)] if single else tokens  # type: ignore[assignment, arg-type]
        return self._decoder.decode(self._decode_bytes(ids))

    def finish(self) -> str:
        """Return what is left (an incomplete character as U+FFFD); the decoder can be used again."""
        return self._decoder.decode(b"", final=True)


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
    """Yield `(piece, is_special)` in order; of two special tokens at one position the longer wins."""
    pattern = re.compile("|".join(re.escape(s) for s in sorted(allowed, key=len, reverse=True)))
    position = 0
    for match in pattern.finditer(text):
        if match.start() > position:
            yield text[position : match.start()], False
        yield match.group(), True
        position = match.end()
    if position < len(text):
        yield text[position:], False
