"""Streams and spans: incremental encoding and decoding, spans of ids, the split at special tokens."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from tokframe.errors import EncodingError
from tokframe.tokenizer.inputs import bytes_of
from tokframe.tokenizer.results import Encoding, IntArray

__all__ = ["StreamDecoder", "StreamEncoder", "adjacent", "spans", "split_special"]

#: An unstable stretch is looked at again once it has grown by one part in this many.
RETRY_GROWTH = 64


class PrefixEncoder(Protocol):
    """What a stream needs of a tokenizer: see `ITokenizer`."""

    def stable_prefix(self, data: bytes) -> int:
        """Return how many leading bytes encode the same whatever follows."""

    def encode_raw_list(self, data: bytes) -> list[int]:
        """Return the ids of bytes, without special tokens."""


class Decoder(Protocol):
    """What a stream of ids needs of a tokenizer: see `ITokenizer`."""

    def as_ids(self, tokens: Sequence[int] | IntArray) -> IntArray:
        """Return ids as an int32 array. Raises: InvalidTokenError."""

    def decode_bytes(self, tokens: Sequence[int] | IntArray, skip_special: bool = True) -> bytes:
        """Return the exact bytes of ids. Raises: InvalidTokenError."""


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
    """Decodes ids fed in parts: the text of all parts is that of the whole, and never half a character.

    By default each id has its own bytes. A tokenizer whose ids read differently beside others gives `settled`: of the
    ids just fed, how many leading ones make all the text up to there final, whatever follows. What is final is decoded
    behind the last ids that gave text before it, so it may depend on those, but on nothing earlier. A `settled` that is
    always 0 decodes everything at the end, which is right for any tokenizer.
    """

    def __init__(
        self, tokenizer: Decoder, skip_special: bool = True, settled: Callable[[Sequence[int]], int] | None = None
    ) -> None:
        self._tokenizer = tokenizer
        self._skip_special = skip_special
        self._settled = settled
        self._context: list[int] = []  # decoded ids that the next ones are read behind
        self._pending: list[int] = []
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def feed(self, tokens: Sequence[int] | IntArray | int) -> str:
        """Add the next id or ids and return the text that is complete by now. Raises: InvalidTokenError."""
        single = isinstance(tokens, (int, np.integer)) and not isinstance(tokens, bool)
        return self._decoder.decode(self.feed_bytes([int(tokens)] if single else tokens))  # type: ignore[arg-type]

    def finish(self) -> str:
        """Return what is left (an incomplete character as U+FFFD); the decoder can be used again."""
        return self._decoder.decode(self.finish_bytes(), final=True)

    def feed_bytes(self, tokens: Sequence[int] | IntArray) -> bytes:
        """Add the next ids and return the bytes that no later id can change. Raises: InvalidTokenError."""
        if self._settled is None:
            return self._decode(tokens)
        fed = self._tokenizer.as_ids(tokens).tolist()
        ready = self._settled(fed)
        if not ready:
            self._pending += fed
            return b""
        self._pending += fed[:ready]
        found = self._behind_context()
        ids, size = self._context + self._pending, 1
        while size < len(ids) and not self._decode(ids[-size:]):
            size *= 2
        self._context, self._pending = ids[-size:], fed[ready:]
        return found

    def finish_bytes(self) -> bytes:
        """Return the bytes of ids still pending; the decoder can be used again."""
        rest = self._behind_context() if self._pending else b""
        self._context, self._pending = [], []
        return rest

    def _behind_context(self) -> bytes:
        seen = len(self._decode(self._context)) if self._context else 0
        return self._decode(self._context + self._pending)[seen:]

    def _decode(self, ids: Sequence[int] | IntArray) -> bytes:
        return self._tokenizer.decode_bytes(ids, self._skip_special)


def spans(data: bytes, ids: IntArray, lengths: npt.ArrayLike) -> Encoding:
    """Return ids with byte and character spans, given the number of bytes each id stands for.

    `data` must be UTF-8. A token that begins inside a character begins at that character's index; one that ends
    inside a character ends after it.
    """
    sizes = np.asarray(lengths, np.int32)
    ends = np.cumsum(sizes, dtype=np.int32)
    begins = np.ones(len(data) + 1, np.int8)  # 1 if a character begins with this byte
    np.greater_equal(np.frombuffer(data, np.int8), -64, out=begins[:-1].view(bool))
    before = np.zeros(len(data) + 1, np.int32)  # characters that begin before this byte
    np.cumsum(begins[:-1], dtype=np.int32, out=before[1:])
    starts = ends - sizes
    return adjacent(ids, sizes, before.take(ends) - before.take(starts), 1 - begins.take(starts).astype(np.int32))


def adjacent(ids: IntArray, sizes: IntArray, characters: IntArray, inside: IntArray) -> Encoding:
    """Return ids with their spans, given of each: its bytes, the characters that begin in it, whether it begins in one.

    The last is 1 for a token that begins inside a character, else 0.
    """
    found = []
    for counts, early in ((sizes, 0), (characters, inside)):
        spans = np.empty((len(ids), 2), np.int32)
        np.cumsum(counts, dtype=np.int32, out=spans[:, 1])
        np.subtract(spans[:, 1], counts, out=spans[:, 0])
        spans[:, 0] -= early
        found.append(spans)
    return Encoding(ids=ids, byte_spans=found[0], char_spans=found[1])


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
