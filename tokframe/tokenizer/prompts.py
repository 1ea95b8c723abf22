"""Prompts: the ids of a text that goes on, and which agree with the bytes still open. Which stay, tokenizers say.

Probabilities of texts that go on are in `likelihood`.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
from attrs import field, frozen

from tokframe.errors import InvalidTokenError
from tokframe.tokenizer.ids import id_array
from tokframe.tokenizer.results import IntArray

__all__ = ["Cover", "Growth", "Prompt", "SortedTokens"]

BoolArray = npt.NDArray[np.bool_]
#: Ids that a text's may go on with after those that stay, and the bytes that the id after them begins with and goes
#: beyond; no bytes where these ids spell all of the text.
Cover = tuple[list[int], bytes]


class SortedTokens:
    """The tokens of a vocabulary in the order of their bytes, so that those that begin alike stand side by side."""

    def __init__(self, table: Sequence[bytes], textless: frozenset[int]) -> None:
        """Take the bytes of every id, and the ids that stand for no text of their own."""
        order = sorted((n for n, piece in enumerate(table) if piece and n not in textless), key=table.__getitem__)
        self._table = table
        self._textless = textless
        self._ids = np.asarray(order, np.int64)
        self._pieces = [table[n] for n in order]
        self.longest = max(map(len, self._pieces), default=0)  #: bytes of the longest token

    def agreeing(self, data: bytes) -> BoolArray:
        """Return a mask (ids,): whose bytes begin `data` or begin with it; all ids where there is no `data`."""
        if not data:
            return np.ones(len(self._table), np.bool_)
        mask = np.zeros(len(self._table), np.bool_)
        mask[self._ids[self._start(data) : self._start(_successor(data))]] = True
        for end in range(1, min(len(data), self.longest + 1)):
            first = self._start(data[:end])
            while first < len(self._pieces) and self._pieces[first] == data[:end]:  # several ids may read the same
                mask[self._ids[first]] = True
                first += 1
        return mask

    def beyond(self, data: bytes) -> npt.NDArray[np.int64]:
        """Return the ids whose bytes begin with `data` and go on, in the order of their bytes."""
        return self._ids[bisect_right(self._pieces, data) : self._start(_successor(data))]

    def spelled(self, tokens: Sequence[int] | IntArray, data: bytes) -> int:
        """Return how many bytes of `data` the ids spell, all of them where they go on. Raises: InvalidTokenError."""
        at = 0
        for position, token in enumerate(id_array(tokens, len(self._table)).tolist()):
            if at >= len(data):
                break
            piece = self._table[token]
            size = min(len(piece), len(data) - at)
            if token in self._textless or data[at : at + size] != piece[:size]:
                raise InvalidTokenError(
                    f"id {token} at position {position} stands for {piece!r:.60}, but the open bytes go on with "
                    f"{data[at:]!r:.60}; choose each id among those that allowed() gives",
                    token=token,
                    position=position,
                )
            at += size
        return at

    def _start(self, data: bytes | None) -> int:
        return len(self._pieces) if data is None else bisect_left(self._pieces, data)


def _successor(data: bytes) -> bytes | None:
    """Return the least bytes above all that begin with `data`; None where there are none."""
    body = data.rstrip(b"\xff")
    return body[:-1] + bytes([body[-1] + 1]) if body else None


@frozen(kw_only=True)
class Prompt:
    """A text that something follows: `ids` are those that stay whatever it is, `open` the bytes after them.

    Whatever is appended to the text, the ids of the whole begin with `ids`. Which ids the open bytes get is decided by
    what follows: whoever writes on chooses ids that spell them first, among those that `allowed` gives.
    """

    ids: list[int]
    open: bytes
    _tokens: Callable[[], SortedTokens] = field(eq=False, repr=False)
    _covers: Callable[[], list[Cover]] = field(eq=False, repr=False)

    def covers(self) -> list[Cover]:
        """Return the ways in which the ids of a longer text may go on after `ids`, as pairs (ids, rest).

        Whatever is appended, the ids of the whole are `ids`, then those of exactly one pair, then an id whose bytes
        begin with its `rest` and go beyond; or any id, or none, where the rest is empty, as the ids spell all that is
        open. So the probability that a text begins so is a sum over these few pairs. The text's own ids come last.
        """
        return self._covers()

    def beyond(self, rest: bytes) -> npt.NDArray[np.int64]:
        """Return the ids whose bytes begin with `rest` and go beyond it. Raises: UnsupportedError as `allowed`."""
        return self._tokens().beyond(rest)

    def allowed(self, ids_so_far: Sequence[int] | IntArray = ()) -> BoolArray:
        """Return a mask (ids of the vocabulary,): which ids may come after `ids` and `ids_so_far`.

        An id may come whose bytes agree with those still open: it spells some of them, or all and more. Once all are
        spelled, every id may. There is always one where each byte has an id of its own, as in a tokenizer of any bytes.
        Raises: InvalidTokenError where `ids_so_far` do not agree; UnsupportedError where ids do not spell the text.
        """
        tokens = self._tokens()
        return tokens.agreeing(self.open[tokens.spelled(ids_so_far, self.open) :])


@frozen(kw_only=True)
class Growth:
    """What became of a text's ids when it grew: of those before, the first `kept` stay, and `added` come after them.

    So the ids of all the text are `ids[:growth.kept] + growth.added`, and a cache of the first `kept` remains valid.
    """

    kept: int
    added: list[int]
    #: For `encode_more`: how many ids no later text changes, the bytes after them, and the ids of these.
    state: tuple[int, bytes, list[int]] = field(repr=False)

    def __len__(self) -> int:
        """Return how many ids all the text has."""
        return self.kept + len(self.added)
