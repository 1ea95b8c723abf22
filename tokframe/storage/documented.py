"""Documented settings: every key of a config class with its default, bounds and meaning, read from its source.

The meaning is the comment `#:` above a field or behind it: help texts, `tokframe config` and the reference share it.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from typing import Any

import attrs
from attrs import frozen

from tokframe.storage.settings import bounds_of

__all__ = ["Key", "keys_of"]

_FIELD = re.compile(r"    (\w+): ")
_MODULE = re.compile(r"\b(?:\w+\.)+(?=\w)")


@frozen(kw_only=True)
class Key:
    """One key of a config: its path, e.g. "training.max_minutes", JSON default, type, bounds and meaning."""

    key: str
    default: Any
    type: str
    allowed: str
    meaning: str


def keys_of(cls: type[Any], prefix: str = "") -> Iterator[Key]:
    """Yield the keys of an attrs class and of those inside it, in order; `prefix` is put before each path."""
    meanings = _meanings(cls)
    for attribute in attrs.fields(cls):
        default: Any = attribute.default
        factory = getattr(default, "factory", None)
        if isinstance(factory, type) and attrs.has(factory):
            yield from keys_of(factory, f"{prefix}{attribute.name}.")
            continue
        made = factory() if factory else default
        bounds = bounds_of(attribute)
        yield Key(
            key=f"{prefix}{attribute.name}",
            default=list(made) if isinstance(made, tuple) else dict(made) if isinstance(made, Mapping) else made,
            type=_named(attribute.type),
            allowed=str(bounds) if bounds else "",
            meaning=meanings.get(attribute.name, ""),
        )


def _meanings(cls: type[Any]) -> dict[str, str]:
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        if not attrs.has(base):
            continue
        above: list[str] = []
        name = ""
        for line in inspect.getsource(base).splitlines():
            if line.strip().startswith("#: "):
                above.append(line.strip()[3:])
                continue
            if field := _FIELD.match(line):
                name = field[1]
                found[name], above = " ".join(above), []
            if name and (text := line.partition("#: ")[2]):
                found[name] = f"{found[name]} {text}".strip()
            if line.startswith("    def "):
                break
    return found


def _named(annotation: Any) -> str:
    """Return a type as a reader of JSON knows it, alike before and after its name was resolved to the type."""
    written = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    name = _MODULE.sub("", written)
    words = {"tuple[int, ...]": "list of int", "tuple[str, ...]": "list of str", "None": "null", "float": "number"}
    words |= {"Mapping[str, float]": "object of numbers", "dict[str, Any]": "object", "bool": "true or false"}
    return " or ".join(words.get(part.strip(), part.strip()) for part in name.split("|"))
