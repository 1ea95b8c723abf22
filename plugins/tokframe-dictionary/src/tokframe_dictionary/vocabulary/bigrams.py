"""Bigrams that never occur: pairs of segments that the search would have cut otherwise, by its tie rule.

Of segments `a` and `b` side by side, `a` is `p + s`. Where `s + b` is a segment too, it would stand in place of both
(`p` empty), or after the segment `p` (as few segments, and a longer last one). So what may not follow `a` depends on
its ends alone, and ids share lists. What a whole line rules out, `NeverNext` knows exactly.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from functools import cache

import numpy as np

from tokframe.tokenizer.bigrams import ImpossiblePairs
from tokframe.tokenizer.prompts import SortedTokens
from tokframe.tokenizer.results import IntArray
from tokframe_dictionary.vocabulary.table import FIRST_BYTE, Vocabulary

__all__ = ["NeverNext", "impossible_pairs"]


def impossible_pairs(vocabulary: Vocabulary) -> ImpossiblePairs:
    """Return the pairs of segments that the search never gives within a unit (a line, or a block of a longer one).

    All pairs that their own bytes rule out; a few more are ruled out by what stands before them.
    """
    texts, ids, longer = _longer(vocabulary)
    used = [
        [text[cut:] for cut in range(len(text)) if (cut == 0 or text[:cut] in ids) and text[cut:] in longer]
        for text in texts
    ]
    return ImpossiblePairs.of_lists(used, longer)


class NeverNext:
    """Which segments the search never puts behind a best path, exactly.

    A path that avoids the border to a next segment `b` has a segment `p + s` over it, where `p` ends the text before
    and `s` begins `b`, or is it. It is taken instead where it is as short and `s` is `b`, as its last segment is
    longer, and where it is shorter.
    """

    def __init__(self, vocabulary: Vocabulary, tokens: SortedTokens, count: Callable[[bytes], int]) -> None:
        """Take the vocabulary, its tokens in order, and how many segments the search gives a text."""
        self._texts, _, self._longer = _longer(vocabulary)
        self._tokens, self._count = tokens, count
        self._split = cache(self._split_after)

    def after(self, unit: bytes) -> IntArray:
        """Return the ids that never follow the best path of a unit, which is a line or a part of one."""
        found: list[int] = []
        for size in range(1, min(len(unit) + 1, self._tokens.longest)):
            before = unit[-size:]
            over = self._tokens.beyond(before)
            if not len(over):
                continue
            gained = self._count(unit) - self._count(unit[:-size])
            if gained >= 0:
                found += self._longer.get(before, ())
            if gained > 1:  # then the rest of `b` may take several segments more
                for token in over.tolist():
                    ids, counts = self._split(self._texts[token][size:])
                    found += ids[counts < gained].tolist()
        return np.unique(np.asarray(found, np.int32))

    def _split_after(self, begun: bytes) -> tuple[IntArray, IntArray]:
        """Return the segments that go on after `begun`, and how many segments their rests are."""
        ids = self._tokens.beyond(begun)
        counts = [self._count(self._texts[token][len(begun) :]) for token in ids.tolist()]
        return ids.astype(np.int32), np.asarray(counts, np.int32)


def _longer(vocabulary: Vocabulary) -> tuple[list[bytes], dict[bytes, int], dict[bytes, list[int]]]:
    """Return the bytes of each id, their ids, and by what stands before: the ids that it makes a segment with."""
    texts = [b"" if token < FIRST_BYTE else vocabulary.token_bytes(token) for token in range(vocabulary.vocab_size)]
    ids = {text: token for token, text in enumerate(texts) if text}
    longer: defaultdict[bytes, list[int]] = defaultdict(list)
    for text in ids:
        for cut in range(1, len(text)):
            if text[cut:] in ids:
                longer[text[:cut]].append(ids[text[cut:]])
    return texts, ids, longer
