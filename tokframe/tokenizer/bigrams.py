"""ImpossiblePairs: ids that never follow one another, because the tokenizer's search segments the text otherwise.

A language model that knows them wastes no probability on sequences that no text has (Vieira et al., 2025, "Language
models over canonical byte-pair encodings"). Which pairs these are is left to `ITokenizer.impossible_pairs`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from attrs import frozen

from tokframe.tokenizer.results import IntArray

__all__ = ["ImpossiblePairs"]

_Places = npt.NDArray[np.int64]


@frozen(kw_only=True, eq=False)
class ImpossiblePairs:
    """Pairs of ids that never stand side by side, in lists that ids share.

    After id `i` comes none of `members[a:b]`, for each `(a, b)` of `slices[c:d]`, for each `(c, d)` of
    `ranges[starts[i]:starts[i + 1]]`. `starts` (ids + 1,), `ranges` (n, 2), `slices` (m, 2), `members` (k,), all int64.
    Ids that end alike rule out the same ids, so a few thousand lists describe millions of pairs.

    A pair may still stand where a tokenizer cuts a text before it searches, such as at the edge of a block of thousands
    of bytes: a model should find these pairs very unlikely, not impossible.
    """

    starts: _Places
    ranges: _Places
    slices: _Places
    members: _Places

    @classmethod
    def of_lists(cls, used: Sequence[Sequence[Any]], lists: Mapping[Any, Sequence[int]]) -> Self:
        """Build from the lists that each id uses, by key: after id `i` come none of `lists[key]` for `used[i]`."""
        numbers = {key: number for number, key in enumerate(lists)}
        ends = np.cumsum([len(members) for members in lists.values()], dtype=np.int64)
        first = np.asarray([numbers[key] for keys in used for key in keys], np.int64)
        return cls(
            starts=np.cumsum([0, *map(len, used)], dtype=np.int64),
            ranges=np.stack([first, first + 1], axis=1),
            slices=np.stack([np.concatenate([[0], ends[:-1]]) if len(ends) else ends, ends], axis=1),
            members=np.asarray([member for members in lists.values() for member in members], np.int64),
        )

    def after(self, token: int) -> IntArray:
        """Return the ids that never follow an id, in order."""
        found = [
            self.members[first:last]
            for low, high in self.ranges[self.starts[token] : self.starts[token + 1]]
            for first, last in self.slices[low:high]
        ]
        return np.unique(np.concatenate(found)).astype(np.int32) if found else np.empty(0, np.int32)
