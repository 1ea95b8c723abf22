"""Aim: what each source is to matter, from which the weights of its bytes follow; and the patterns that name sources.

Minimized is the sum over groups of `share * (tokens per character) ** equality / equality`, or of `share * log(tokens)`
where equality is 0 (alpha-fairness: Mo and Walrand, "Fair end-to-end window-based congestion control", 2000). A token
saved in a group is then worth `share * (tokens per character) ** equality / tokens`, which changes with the segments:
`pruning` asks again after each round.
"""

from __future__ import annotations

import difflib
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Self

from attrs import frozen

from tokframe.errors import ConfigError

if TYPE_CHECKING:
    from tokframe_dictionary.mining.config import MiningConfig

__all__ = ["Aim", "pattern_of"]

#: Names of sources that an error shows.
_SHOWN_NAMES = 5


def pattern_of(name: str, patterns: Iterable[str]) -> str | None:
    """Return the pattern that stands for a source: its name, else the longest whose `*` make it match."""
    fitting = [p for p in patterns if re.fullmatch(".*".join(map(re.escape, p.split("*"))), name, re.DOTALL)]
    return name if name in fitting else max(fitting, key=len, default=None)


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
        unused = [pattern for pattern in config.aim if pattern not in group.values()]
        if unused:
            raise ConfigError("config", [(f"$.mining.aim.{pattern}", _no_source(pattern, names)) for pattern in unused])
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


def _no_source(pattern: str, names: Sequence[str]) -> str:
    near = difflib.get_close_matches(pattern[:99], names, n=_SHOWN_NAMES) or names[:_SHOWN_NAMES]
    others = f" and {len(names) - len(near):,} others" if len(near) < len(names) else ""
    return f"names no source; the sources are {', '.join(near)}{others}"
