"""Aim: what each source is to matter, from which the weights of its bytes follow.

Minimized is the sum over groups of `share * (tokens per character) ** equality / equality`, or of `share * log(tokens)`
where equality is 0 (alpha-fairness: Mo and Walrand, "Fair end-to-end window-based congestion control", 2000). A token
saved in a group is then worth `share * (tokens per character) ** equality / tokens`, which changes with the segments:
`pruning` asks again after each round.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Self

from attrs import frozen

from tokframe.corpus.sources import pattern_of, unmatched
from tokframe.errors import ConfigError

if TYPE_CHECKING:
    from tokframe_dictionary.mining.config import MiningConfig

__all__ = ["Aim"]


@frozen(kw_only=True)
class Aim:
    """`shares` by group of sources; `group` is that of each source by name."""

    shares: Mapping[str, float]
    equality: float
    group: Mapping[str, str]

    @classmethod
    def of(cls, config: MiningConfig, names: Sequence[str]) -> Self:
        """Group sources by the patterns of `config.aim`; one that no pattern names is a group of its own, share 1.

        Raises: ConfigError for patterns that name no source.
        """
        group = {name: pattern_of(name, config.aim) or name for name in names}
        if unused := unmatched(config.aim, names):
            raise ConfigError("config", [(f"$.mining.aim.{pattern}", problem) for pattern, problem in unused])
        return cls(shares=config.aim, equality=config.equality, group=group)

    def weights(self, tokens: Mapping[str, float], characters: Mapping[str, int]) -> dict[str, float]:
        """Return the weight of each source, 1 on average over tokens, from how many tokens and characters it has."""
        spent, written = defaultdict[str, float](float), defaultdict[str, int](int)
        for name, group in self.group.items():
            spent[group] += tokens[name]
            written[group] += characters[name]
        worth = {
            group: self.shares.get(group, 1.0) * (spent[group] / written[group]) ** self.equality / spent[group]
            for group in spent
        }
        mean = sum(worth[group] * spent[group] for group in spent) / sum(spent.values())
        return {name: worth[group] / mean for name, group in self.group.items()}
