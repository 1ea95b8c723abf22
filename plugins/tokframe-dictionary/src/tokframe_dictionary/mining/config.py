"""The config sections `mining` and `selection`: which text counts how much, and which segments are kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from attrs import field, frozen

__all__ = ["MiningConfig", "SelectionConfig"]


@frozen(kw_only=True)
class MiningConfig:
    """Section `mining`: where candidates come from; the arguments of `balance` and `mine`."""

    frequency: float = 1.5e-6  #: occurrences per byte of a source that make a substring a candidate
    least: int = 4  #: and the fewest occurrences
    limit: int = 500_000  #: candidates kept; more of them favour the rare segments of small sources
    words: bool = True  #: segments lie within a word or are whole words; false: any frequent substring may be one
    weights: Mapping[str, float] = field(factory=dict)  #: factor per source name; "name*" for all that begin so
    flatness: float = 0.1  #: 0 weighs all bytes alike, 1 all sources alike
    script: float = 0.5  #: how much sources with characters of several bytes are favoured
    budget: int = 100_000_000  #: bytes of one source that are read; a larger one is thinned evenly
    workers: int | None = None  #: threads that mine and prune; None is one for each processor; never changes the result

    def issues(self) -> Iterator[tuple[str, str]]:
        """Yield `(field, text)` for everything wrong."""
        for name in ("frequency", "least", "limit", "budget"):
            if not getattr(self, name) > 0:
                yield name, f"is {getattr(self, name)}, must be above 0"
        if self.workers is not None and self.workers < 1:
            yield "workers", f"is {self.workers}, must be 1 or more (or null)"
        for name in ("flatness", "script"):
            if not 0 <= getattr(self, name) <= 4:
                yield name, f"is {getattr(self, name)}, must lie between 0 and 4"
        for source, weight in self.weights.items():
            if isinstance(weight, bool) or not isinstance(weight, (int, float)) or not 0 < weight < 1e6:
                yield f"weights.{source}", f"is {weight!r}, must be a number above 0"


@frozen(kw_only=True)
class SelectionConfig:
    """Section `selection`: how the vocabulary is pruned and searched."""

    vocab_size: int = 32768  #: ids to compile, where the quantizer's section does not say
    spare: float = 0.06  #: segments trained beyond those needed, in case the network does not learn them all
    keep: float = 0.8  #: share of segments that survives a round of pruning
    breadth: float = 0.8  #: below 1 favours segments that several sources use
    block: int = 4096  #: bytes after which a line without end is cut

    def issues(self) -> Iterator[tuple[str, str]]:
        """Yield `(field, text)` for everything wrong."""
        for name in ("keep", "breadth"):
            if not 0 < getattr(self, name) <= 1 or (name == "keep" and self.keep == 1):
                yield name, f"is {getattr(self, name)}, must lie between 0 and 1"
        if not 0 <= self.spare <= 4:
            yield "spare", f"is {self.spare}, must lie between 0 and 4"
        if not 64 <= self.block <= 1 << 20:
            yield "block", f"is {self.block}, must lie between 64 and 1048576"
