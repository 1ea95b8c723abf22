"""TableTokenizer: the bytes of every id in a table, with the byte-level alphabet. Search is left to subclasses."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from tokframe.tokenizer.base import ITokenizer
from tokframe.tokenizer.results import IntArray

__all__ = [
    "ALPHABET",
    "GPT2_PATTERN",
    "SPECIAL_TOKENS",
    "TableTokenizer",
    "encode_mixed",
    "from_alphabet",
    "to_alphabet",
]

#: With their ids, the same in every first-party tokenizer, so that models can move between them.
SPECIAL_TOKENS: Mapping[str, int] = {"<pad>": 0, "<unk>": 1, "<s>": 2, "</s>": 3}

#: How GPT-2 splits text: contractions, letters, digits, others (with a space before), white space.
GPT2_PATTERN = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_PRINTABLE = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
_OTHERS = iter(range(0x100, 0x200))
#: The character of each byte in byte-level vocabularies since GPT-2: printable Latin-1 stands for itself.
ALPHABET = "".join(chr(byte if byte in _PRINTABLE else next(_OTHERS)) for byte in range(256))
_BYTE = {character: byte for byte, character in enumerate(ALPHABET)}
_INVALID = re.compile("([\udc80-\udcff]+)")  # what "surrogateescape" makes of bytes that are not UTF-8


class TableTokenizer(ITokenizer):
    """A vocabulary held as a table: the bytes of every id, in order of ids.

    A subclass calls `super().__init__(table, special)` and implements `encode_raw`, `state` and `from_state`; it finds
    the table as `self._table`. Where ids decode to something other than their bytes joined, it overrides `decode_raw`.
    """

    def __init__(self, table: Iterable[bytes], special: Mapping[str, int]) -> None:
        """Take the bytes of every id and the ids of special tokens, whose bytes are their text."""
        self._table = tuple(table)
        self._special = dict(special)

    @property
    def vocab_size(self) -> int:
        """Number of ids; valid ids are 0 to `vocab_size - 1`."""
        return len(self._table)

    @property
    def special_tokens(self) -> Mapping[str, int]:
        """Special token text to id, as a mapping of the caller's own."""
        return dict(self._special)

    def token_bytes(self, token: int) -> bytes:
        """Return the bytes an id stands for (a special token: its text). Raises: InvalidTokenError."""
        return self._table[self.check_token(token)]

    def decode_raw(self, ids: IntArray) -> bytes:
        """Return the bytes of ids, special tokens included as their text. Raises: InvalidTokenError."""
        return b"".join(map(self._table.__getitem__, self.as_ids(ids).tolist()))


def to_alphabet(data: bytes) -> str:
    """Return bytes as characters of `ALPHABET`."""
    return "".join(map(ALPHABET.__getitem__, data))


def from_alphabet(text: str) -> bytes:
    """Return the bytes of characters of `ALPHABET`. Raises: KeyError for any other character."""
    return bytes(map(_BYTE.__getitem__, text))


def encode_mixed(
    data: bytes, encode: Callable[[Sequence[str]], Iterable[Sequence[int] | IntArray]], byte_ids: IntArray
) -> IntArray:
    """Return the ids of any bytes: of text by `encode`, which is given several; of other bytes one id each.

    `byte_ids` (256,) int32 are the ids of single bytes.
    """
    pieces = _INVALID.split(data.decode("utf-8", "surrogateescape"))  # text, invalid, text, ..., text
    texts = iter(encode(pieces[::2]))
    return np.concatenate(
        [
            byte_ids[np.frombuffer(piece.encode("utf-8", "surrogateescape"), np.uint8)]
            if number % 2
            else np.asarray(next(texts), np.int32)
            for number, piece in enumerate(pieces)
        ]
    )
