"""The config sections `mining` and `selection`: which text counts how much, and which segments are kept."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping

from attrs import field, frozen

from tokframe import setting
from tokframe.corpus.sources import weight_issues
from tokframe.storage.strictjson import shortened
from tokframe_dictionary.mining.blocks import BLOCKS
from tokframe_dictionary.mining.words import Words

__all__ = ["MiningConfig", "SelectionConfig"]

_RULES = {"phrases": Words.PHRASES, True: Words.PHRASES, "within": Words.WITHIN, False: Words.ANY}


@frozen(kw_only=True)
class MiningConfig:
    """Section `mining`: how sources are weighed, and which of their substrings are candidates."""

    #: occurrences per byte of a source that make a substring a candidate
    frequency: float = setting(1.5e-6, above=0)
    least: int = setting(4, above=0)  #: and the fewest occurrences
    #: candidates kept; more of them favor the rare segments of small sources
    limit: int = setting(500_000, above=0)
    #: "phrases": segments lie within a word or are whole words (true means that too); "within": none has parts of two
    #: words; false: any frequent substring may be one
    words: str | bool = "phrases"
    #: share of each source's characters that get an id; null: 0.9999, as far as a quarter of the ids holds; 0: no rule
    character_coverage: float | None = setting(None, at_least=0, at_most=1)
    blocks: tuple[str, ...] = ()  #: Unicode blocks by name, every character of which gets an id
    prefixes: bool = True  #: the beginnings of characters of several bytes get ids, so that each costs two at most
    weights: Mapping[str, float] = field(factory=dict)  #: factor per source name, or per pattern such as "name*"
    #: in place of weights: what sources matter together, by name or pattern; the weights that follow are found
    aim: Mapping[str, float] = field(factory=dict)
    #: with an aim: how much more a source matters that costs more tokens per character; 0: as much as any
    equality: float = setting(0.0, at_least=0, at_most=8)
    flatness: float = setting(0.1, at_least=0, at_most=4)  #: 0 weighs all bytes alike, 1 all sources alike
    #: how much sources with characters of several bytes are favored
    script: float = setting(0.5, at_least=0, at_most=4)
    #: bytes of one source that are read; a larger one is thinned evenly
    budget: int = setting(100_000_000, above=0)
    #: threads that mine and prune; None is one for each processor; never changes the result
    workers: int | None = setting(None, at_least=1, at_most=4096)

    @property
    def rule(self) -> Words:
        """What `words` says."""
        return _RULES[self.words]

    def issues(self) -> Iterator[tuple[str, str]]:
        """Yield `(field, text)` for weights out of bounds, and for words and blocks that there are not."""
        if self.words not in _RULES:
            yield "words", f"is {shortened(self.words)}, must be 'phrases', 'within' or false"
        for block in self.blocks:
            if block not in BLOCKS:
                near = difflib.get_close_matches(block[:99], BLOCKS, n=1) or ["Greek and Coptic"]
                yield "blocks", f"{shortened(block)} is no Unicode block; did you mean {near[0]!r}?"
        if self.aim and self.weights:
            yield "weights", "are found where there is an aim; leave out one of the two"
        for key, given in (("weights", self.weights), ("aim", self.aim)):
            yield from ((f"{key}.{source}", problem) for source, problem in weight_issues(given))


@frozen(kw_only=True)
class SelectionConfig:
    """Section `selection`: how the vocabulary is pruned and searched."""

    #: share of segments that survives a round of pruning near its end
    keep: float = setting(0.9, above=0, below=1)
    breadth: float = setting(0.6, above=0, at_most=1)  #: below 1 favors segments that several sources use
    #: stretches that a source is cut into; what a segment saves in one counts only as far as the others use it; 1: all
    folds: int = setting(4, at_least=1, at_most=64)
    support: float = setting(8.0, above=0)  #: uses in the other folds from which on all of it counts
    block: int = setting(4096, at_least=64, at_most=1 << 20)  #: bytes after which a line without end is cut
