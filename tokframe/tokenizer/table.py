"""TableTokenizer: the bytes of every id in a table. How bytes become ids it leaves to subclasses."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tokframe.tokenizer.base import ITokenizer
from tokframe.tokenizer.results import IntArray

__all__ = ["TableTokenizer"]


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
