"""Configs: strict JSON to frozen attrs classes; every problem is reported at once, each with its JSON path.

Checks types, then what `settings` and each class's own `issues()` find; relations between sections are the tokenizer's.
"""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar, get_args, get_origin

import attrs
from cattrs import BaseValidationError, Converter
from cattrs.errors import (
    ClassValidationError,
    ForbiddenExtraKeysError,
    IterableValidationError,
    IterableValidationNote,
)

from tokframe.errors import ConfigError
from tokframe.storage.settings import Problem, problems_in
from tokframe.storage.strictjson import MAX_INTEGER_BITS, canonical_json, json_type, shortened

__all__ = ["problems_of", "structure", "unstructure"]

T = TypeVar("T")


def structure(cls: type[T], data: Mapping[str, Any], where: str = "$", source: str = "config") -> T:
    """Build `cls` from JSON data, nothing converted silently.

    Raises: ConfigError with all problems: unknown keys (and the nearest known one), missing keys, wrong types,
    non-finite numbers, and all that `problems_in` finds in the object.
    """
    value, problems = problems_of(cls, data, where)
    if problems or value is None:
        raise ConfigError(source, problems)
    return value


def problems_of(cls: type[T], data: Mapping[str, Any], where: str = "$") -> tuple[T | None, list[Problem]]:
    """Return the built object, or None, and every problem; for callers that join several sections."""
    try:
        value = _CONVERTER.structure(data, cls)
    except (BaseValidationError, ValueError, TypeError) as error:
        return None, list(_flatten(error, where))
    problems = list(problems_in(value, where))
    return (None if problems else value), problems


def unstructure(value: Any) -> dict[str, Any]:
    """Return an attrs object as JSON data."""
    data: dict[str, Any] = json.loads(canonical_json(attrs.asdict(value)))
    return data


def _flatten(error: BaseException, where: str) -> Iterator[Problem]:
    """Turn cattrs' tree of errors into paths and sentences."""
    if isinstance(error, (ClassValidationError, IterableValidationError)):
        placed, other = error.group_exceptions()
        for inner, note in placed:
            yield from _flatten(
                inner, f"{where}[{note.index}]" if isinstance(note, IterableValidationNote) else f"{where}.{note.name}"
            )
        for inner in other:
            yield from _flatten(inner, where)
    elif isinstance(error, ForbiddenExtraKeysError):
        known = [a.name for a in attrs.fields(error.cl)] if error.cl and attrs.has(error.cl) else []
        for key in sorted(map(str, error.extra_fields)):
            near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
            hint = f"; did you mean {near[0]!r}?" if near else f"; known keys: {', '.join(known)}"
            yield f"{where}.{key}", f"unknown key{hint}"
    elif isinstance(error, KeyError):
        key = f".{error.args[0]}"  # cattrs has put the missing key on the path already in some versions
        yield where if where.endswith(key) else where + key, "required key missing"
    else:
        yield where, str(error) or type(error).__name__


def _expect(value: Any, kind: type | tuple[type, ...], expected: str) -> Any:
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise ValueError(f"expected {expected}, got {json_type(value)}")
    return value


def _word_or_bool(value: Any) -> str | bool:
    found: str | bool = value if isinstance(value, bool) else _expect(value, str, "str, true or false")
    return found


def _integer(value: Any, _: Any) -> int:
    if _expect(value, int, "int").bit_length() > MAX_INTEGER_BITS:
        raise ValueError(f"expected an int of 64 bits, got {shortened(value)}")
    return value  # type: ignore[no-any-return]


def _number(value: Any, _: Any) -> float:
    found = _expect(value, (int, float), "a number")
    if not (math.isfinite(found) if isinstance(found, float) else found.bit_length() <= MAX_INTEGER_BITS):
        raise ValueError(f"expected a finite number, got {shortened(value)}")
    return float(found)


def _make_converter() -> Converter:
    converter = Converter(forbid_extra_keys=True, detailed_validation=True)
    converter.register_structure_hook(int, _integer)
    converter.register_structure_hook(float, _number)
    converter.register_structure_hook(str, lambda value, _: _expect(value, str, "str"))
    converter.register_structure_hook(bool, lambda value, _: _expect(value, bool, "true or false"))
    converter.register_structure_hook(str | bool, lambda value, _: _word_or_bool(value))

    def is_tuple(kind: Any) -> bool:
        return get_origin(kind) is tuple

    def make_tuple_hook(kind: Any) -> Any:
        element = (get_args(kind) or (Any,))[0]
        inner = converter.get_structure_hook(list[element])  # type: ignore[valid-type]
        return lambda value, _: tuple(inner(list(_expect(value, (list, tuple), "a list")), list[element]))  # type: ignore[valid-type]

    def is_mapping(kind: Any) -> bool:
        origin = get_origin(kind)
        return isinstance(origin, type) and issubclass(origin, Mapping)

    def make_class_hook(kind: Any) -> Any:
        inner = converter.gen_structure_attrs_fromdict(kind)
        return lambda value, target: inner(_expect(value, Mapping, "an object"), target)

    converter.register_structure_hook_factory(attrs.has, make_class_hook)
    converter.register_structure_hook_factory(is_tuple, make_tuple_hook)
    converter.register_structure_hook_func(is_mapping, lambda value, _: dict(_expect(value, Mapping, "an object")))
    return converter


_CONVERTER = _make_converter()
