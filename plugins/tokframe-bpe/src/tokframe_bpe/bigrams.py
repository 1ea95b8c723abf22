"""Impossible bigrams: tokens that never follow each other, as merges would have joined their ends first.

A token is built up by merges, so its right end was, one after the other, the tokens along one side of that tree, each
until the merge that took it in; the left end of the token behind likewise. Where a merge of two such ends comes before
the merges that took them in, the two tokens cannot stand side by side (Vieira et al., 2025, "Language models over
canonical byte-pair encodings"). Merges across places where the split of GPT-2 may fall are left out.
"""

from __future__ import annotations

import unicodedata
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from tokframe.tokenizer.bigrams import ImpossiblePairs

__all__ = ["impossible_pairs"]

Pair = tuple[int, int]
#: An end of a token: who stands there, and the rank of the merge that takes it in; the token itself is never taken in.
_End = tuple[int, int]


def impossible_pairs(merges: Mapping[Pair, tuple[int, int]], table: Sequence[bytes], special: int) -> ImpossiblePairs:
    """Return the pairs that never stand side by side in UTF-8 text.

    `merges` gives the rank of a pair of ids and the id made of it, `table` the bytes of each id; ids below `special`
    are no text.
    """
    lefts, rights = _ends(merges, range(special, len(table)))
    after: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)  # token: ranks, and what it is joined with
    born = {made: rank for rank, made in sorted(merges.values(), reverse=True)}
    for (left, right), (rank, _) in merges.items():
        # a merge ahead of those that make its parts, as an edited file could have it, rules nothing out
        if rank > max(born.get(left, -1), born.get(right, -1)) and not _may_be_split(table[left], table[right]):
            after[left].append((rank, right))
    begun: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)  # token: who begins with it, and until when
    for token, ends in enumerate(lefts):
        for end, taken in ends:
            begun[end].append((taken, token))
    members: list[int] = []
    place: dict[int, int] = {}
    until: dict[int, list[int]] = {}  # negative, so that they rise
    for end, found in begun.items():
        found.sort(reverse=True)
        place[end] = len(members)
        members += [token for _, token in found]
        until[end] = [-taken for taken, _ in found]
    slices: list[tuple[int, int]] = []
    joined: dict[int, tuple[int, list[int]]] = {}
    for left, joins in after.items():
        joins.sort()
        joined[left] = len(slices), [rank for rank, _ in joins]
        for rank, right in joins:
            first = place.get(right, 0)
            count = bisect_left(until.get(right, []), -rank)
            slices.append((first, first + count))
    used = [
        [
            (first, first + bisect_left(ranks, taken))
            for end, taken in ends
            for first, ranks in [joined.get(end, (0, []))]
            if ranks and b"'" not in table[token]  # after a contraction, a new run of letters begins
        ]
        for token, ends in enumerate(rights)
    ]
    return ImpossiblePairs(
        starts=np.cumsum([0, *map(len, used)], dtype=np.int64),
        ranges=np.asarray([pair for found in used for pair in found], np.int64).reshape(-1, 2),
        slices=np.asarray(slices, np.int64).reshape(-1, 2),
        members=np.asarray(members, np.int64),
    )


def _ends(merges: Mapping[Pair, tuple[int, int]], ids: range) -> tuple[list[list[_End]], list[list[_End]]]:
    """Return the left and the right ends of every id, the smallest first; ids outside `ids` have none.

    Of a token that two merges make, it is not known how it came about: it has itself alone.
    """
    never = len(merges)
    makers = Counter(made for _, made in merges.values())
    lefts, rights = ([[(token, never)] if token in ids else [] for token in range(ids.stop)] for _ in range(2))
    for (left, right), (rank, made) in sorted(merges.items(), key=lambda item: item[1]):
        if makers[made] == 1:
            lefts[made] = [*lefts[left][:-1], (left, rank), (made, never)]
            rights[made] = [*rights[right][:-1], (right, rank), (made, never)]
    return lefts, rights


def _may_be_split(left: bytes, right: bytes) -> bool:
    """Whether the split of GPT-2 may fall between what ends as `left` does and what begins as `right` does."""
    try:
        right.decode()
        whole = True
    except UnicodeDecodeError as error:
        if error.start == 0 and right[0] & 0xC0 == 0x80:
            return False  # within a character
        whole = error.start > 0
    try:
        before = left.decode()[-1]
    except UnicodeDecodeError:
        return True
    if not whole:
        return True
    following = right.decode("utf-8", "ignore")[0]
    if before.isspace():
        return following.isspace() or before != " "
    return before == "'" or _kind(before) != _kind(following)


def _kind(character: str) -> str:
    category = unicodedata.category(character)[0]
    return category if category in "LN" else "space" if character.isspace() else "other"
