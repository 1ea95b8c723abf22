"""Sources: patterns that name the kinds of text in a corpus, and text that is read more or less often by its kind."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from random import Random
from typing import Any

from tokframe.storage.strictjson import shortened

__all__ = ["Sampler", "pattern_of", "unmatched", "weight_issues"]

#: Names of sources that an error shows.
_SHOWN_NAMES = 5


def pattern_of(name: str, patterns: Iterable[str]) -> str | None:
    """Return the pattern that stands for a source: its name, else the longest whose `*` make it match."""
    fitting = [p for p in patterns if re.fullmatch(".*".join(map(re.escape, p.split("*"))), name, re.DOTALL)]
    return name if name in fitting else max(fitting, key=len, default=None)


def unmatched(patterns: Iterable[str], names: Sequence[str]) -> list[tuple[str, str]]:
    """Return `(pattern, problem)` for each pattern that stands for no source."""
    used = {pattern_of(name, patterns) for name in names}
    return [(pattern, _no_source(pattern, names)) for pattern in patterns if pattern not in used]


def weight_issues(weights: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    """Yield `(pattern, problem)` for what is no weight."""
    for pattern, weight in weights.items():
        if isinstance(weight, bool) or not isinstance(weight, (int, float)) or not 0 < weight < 1e6:
            yield pattern, f"is {shortened(weight)}, must be a number above 0"


class Sampler:
    """Text repeated, or thinned by lines, as its source weighs: 2.5 is twice all lines, and half of them once more.

    The same lines each time. `weights` are by name of a source or pattern, 1 where there is none.
    """

    def __init__(self, weights: Mapping[str, float]) -> None:
        self._weights = weights
        self._randoms: dict[str, Random] = {}

    def sampled(self, document: str, source: str) -> str:
        """Return the next document of a source as often as the source weighs."""
        pattern = pattern_of(source, self._weights)
        if pattern is None:
            return document
        whole, rest = divmod(self._weights[pattern], 1)
        text = document * int(whole)
        if rest:
            random = self._randoms.setdefault(source, Random(source))
            text += "".join(line for line in document.splitlines(keepends=True) if random.random() < rest)
        return text


def _no_source(pattern: str, names: Sequence[str]) -> str:
    near = difflib.get_close_matches(pattern[:99], names, n=_SHOWN_NAMES) or names[:_SHOWN_NAMES]
    others = f" and {len(names) - len(near):,} others" if len(near) < len(names) else ""
    return f"names no source; the sources are {', '.join(near)}{others}"
