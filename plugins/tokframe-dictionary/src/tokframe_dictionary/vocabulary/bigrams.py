"""Bigrams that never occur: pairs of segments that the search would have cut otherwise, by its tie rule.

Of segments `a` and `b` side by side, `a` is `p + s`. Where `s + b` is a segment too, it would stand in place of both
(`p` empty), or after the segment `p` (as few segments, and a longer last one). So what may not follow `a` depends on
its ends alone, and ids share lists.
"""

from __future__ import annotations

from collections import defaultdict

from tokframe.tokenizer.bigrams import ImpossiblePairs
from tokframe_dictionary.vocabulary.table import FIRST_BYTE, Vocabulary

__all__ = ["impossible_pairs"]


def impossible_pairs(vocabulary: Vocabulary) -> ImpossiblePairs:
    """Return the pairs of segments that the search never gives within a unit (a line, or a block of a longer one).

    All pairs that their own bytes rule out; a few more are ruled out by what stands before them.
    """
    texts = [b"" if token < FIRST_BYTE else vocabulary.token_bytes(token) for token in range(vocabulary.vocab_size)]
    ids = {text: token for token, text in enumerate(texts) if text}
    longer: defaultdict[bytes, list[int]] = defaultdict(list)  # by what stands before: ids that it makes a segment with
    for text in ids:
        for cut in range(1, len(text)):
            if text[cut:] in ids:
                longer[text[:cut]].append(ids[text[cut:]])
    used = [
        [text[cut:] for cut in range(len(text)) if (cut == 0 or text[:cut] in ids) and text[cut:] in longer]
        for text in texts
    ]
    return ImpossiblePairs.of_lists(used, longer)
