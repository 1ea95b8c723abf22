"""Settings: fields of config classes with bounds declared beside their defaults, and the check of an object's values.

Building such an object from JSON is `config`'s; this module is imported with every config class, so it stays light.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

import attrs
from attrs import field, frozen

from tokframe.errors import ConfigError
from tokframe.storage.strictjson import MAX_INTEGER_BITS, shortened

__all__ = ["Bounds", "Problem", "bounds_of", "check", "problems_in", "setting"]

T = TypeVar("T")
#: A JSON path and what is wrong there.
Problem = tuple[str, str]
_KEY = "tokframe"


_COMPARISONS = {"above": operator.gt, "at least": operator.ge, "below": operator.lt, "at most": operator.le}


@frozen(kw_only=True)
class Bounds:
    """What a value may be: one of `one_of`, or a finite number within `limits`, from the words of a comparison."""

    limits: Mapping[str, float]
    one_of: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.one_of:
            return f"one of {', '.join(map(repr, self.one_of))}"
        return " and ".join(f"{words} {limit}" for words, limit in self.limits.items())

    def allow(self, value: Any) -> bool:
        """Return whether one value is within the bounds."""
        if self.one_of:
            return value in self.one_of
        finite = math.isfinite(value) if isinstance(value, float) else value.bit_length() <= MAX_INTEGER_BITS
        return finite and all(_COMPARISONS[words](value, x) for words, x in self.limits.items())


def setting(
    default: T,
    *,
    above: float | None = None,
    at_least: float | None = None,
    below: float | None = None,
    at_most: float | None = None,
    one_of: Sequence[str] = (),
) -> T:
    """Declare a field of a config class with its default and bounds.

    In an attrs class: `batch: int = setting(16, above=0)`.
    The bounds of a tuple hold for every entry, and it needs one. None is allowed where it is the default. Bounds are
    checked when a config is read, all at once, and by `check`; what must hold between fields is left to `issues()`.
    """
    limits = dict(zip(_COMPARISONS, (above, at_least, below, at_most), strict=True))
    bounds = Bounds(limits={words: x for words, x in limits.items() if x is not None}, one_of=tuple(one_of))
    made: T = field(default=default, metadata={_KEY: bounds})
    return made


def bounds_of(attribute: Any) -> Bounds | None:
    """Return what a field of a config class may be, where `setting` says so."""
    bounds: Bounds | None = attribute.metadata.get(_KEY)
    return bounds


def problems_in(value: Any, where: str = "$") -> Iterator[Problem]:
    """Yield what is wrong in an attrs object and those inside it: values out of bounds, then what `issues()` yields."""
    found = set()
    for attribute in attrs.fields(type(value)):
        inner, path = getattr(value, attribute.name), f"{where}.{attribute.name}"
        bounds = bounds_of(attribute)
        if bounds and (text := _problem(bounds, inner, optional=attribute.default is None)):
            found.add(path)
            yield path, text
        elif attrs.has(type(inner)):
            yield from problems_in(inner, path)
        elif isinstance(inner, (list, tuple)):
            for index, element in enumerate(inner):
                if attrs.has(type(element)):
                    yield from problems_in(element, f"{path}[{index}]")
    for name, text in value.issues() if hasattr(value, "issues") else ():
        if (path := f"{where}.{name}" if name else where) not in found:  # out of bounds explains it already
            yield path, text


def check(value: Any, source: str = "settings") -> None:
    """Check an attrs object that was built directly. Raises: ConfigError with all problems."""
    problems = list(problems_in(value))
    if problems:
        raise ConfigError(source, problems)


def _problem(bounds: Bounds, value: Any, optional: bool) -> str:
    if optional and value is None:
        return ""
    if isinstance(value, int) and value.bit_length() > MAX_INTEGER_BITS:
        return f"is {shortened(value)}, and integers have at most 64 bits"
    if isinstance(value, tuple):
        if not value:
            return "is empty; give at least one entry"
        return "" if all(map(bounds.allow, value)) else f"is {shortened(list(value))}; every entry must be {bounds}"
    return "" if bounds.allow(value) else f"is {shortened(value)}, must be {bounds}{' (or null)' if optional else ''}"
