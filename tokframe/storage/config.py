"""Strict JSON to frozen attrs classes; every problem is reported at once, each with its JSON path.

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
from cattrs.errors import ClassValidationError, ForbiddenExtraKeysError, IterableValidationError

from tokframe.errors import ConfigError
from tokframe.storage.settings import Problem, problems_in
from tokframe.storage.strictjson import canonical_json, json_type

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
    if not isinstance(data, Mapping):
        return None, [(where, f"expected an object, got {json_type(data)}")]
    try:
        value = _CONVERTER.structure(data, cls)
    except (BaseValidationError, ValueError, TypeError) as error:
        return None, list(_flatten(error, where))
    problems = list(problems_in(value, where))
    return (None if problems else value), problems


def unstructure(value: Any) -> dict[str, Any]:
    """Return an attrs object as JSON data."""
    data: dict[str, Any] = json.loads(canonical_json(attrs.asdict(value, value_serializer=_plain)))
    return data


def _plain(_: Any, __: Any, value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else value


def _flatten(error: BaseException, where: str) -> Iterator[Problem]:
    """Turn cattrs' tree of errors into paths and sentences."""
    if isinstance(error, ClassValidationError):
        with_notes, without = error.group_exceptions()
        for inner, note in with_notes:
            yield from _flatten(inner, f"{where}.{note.name}")
        for inner in without:
            yield from _flatten(inner, where)
    elif isinstance(error, IterableValidationError):
        with_index, without = error.group_exceptions()
        for inner, index in with_index:
            yield from _flatten(inner, f"{where}[{index.index}]")
        for inner in without:
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
    elif isinstance(error, _WrongError):
        yield where, error.text
    else:
        yield where, str(error) or type(error).__name__


class _WrongError(ValueError):
    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


def _integer(value: Any, _: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise _WrongError(f"expected int, got {json_type(value)}")
    return value


def _number(value: Any, _: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise _WrongError(f"expected a number, got {json_type(value)}")
    if not math.isfinite(value):
        raise _WrongError(f"expected a finite number, got {value!r}")
    return float(value)


def _text(value: Any, _: Any) -> str:
    if not isinstance(value, str):
        raise _WrongError(f"expected str, got {json_type(value)}")
    return value


def _truth(value: Any, _: Any) -> bool:
    if not isinstance(value, bool):
        raise _WrongError(f"expected true or false, got {json_type(value)}")
    return value


def _make_converter() -> Converter:
    converter = Converter(forbid_extra_keys=True, detailed_validation=True)
    for kind, hook in ((int, _integer), (float, _number), (str, _text), (bool, _truth)):
        converter.register_structure_hook(kind, hook)

    def is_tuple(kind: Any) -> bool:
        return get_origin(kind) is tuple

    def make_tuple_hook(kind: Any) -> Any:
        element = (get_args(kind) or (Any,))[0]
        inner = converter.get_structure_hook(list[element])  # type: ignore[valid-type]

        def hook(value: Any, _: Any) -> tuple[Any, ...]:
            if not isinstance(value, (list, tuple)):
                raise _WrongError(f"expected a list, got {json_type(value)}")
            return tuple(inner(list(value), list[element]))  # type: ignore[valid-type]

        return hook

    def is_mapping(kind: Any) -> bool:
        origin = get_origin(kind)
        return isinstance(origin, type) and issubclass(origin, Mapping)

    def mapping_hook(value: Any, _: Any) -> Mapping[str, Any]:
        if not isinstance(value, Mapping):
            raise _WrongError(f"expected an object, got {json_type(value)}")
        return dict(value)

    def is_optional_plain(kind: Any) -> bool:
        args = get_args(kind)
        return type(None) in args and len(args) == 2

    def make_optional_hook(kind: Any) -> Any:
        element = next(a for a in get_args(kind) if a is not type(None))
        inner = converter.get_structure_hook(element)
        return lambda value, _: None if value is None else inner(value, element)

    def attrs_hook_factory(kind: Any) -> Any:
        from cattrs.gen import make_dict_structure_fn

        inner = make_dict_structure_fn(kind, converter, _cattrs_forbid_extra_keys=True)

        def hook(value: Any, target: Any) -> Any:
            if not isinstance(value, Mapping):
                raise _WrongError(f"expected an object, got {json_type(value)}")
            return inner(value, target)

        return hook

    converter.register_structure_hook_factory(attrs.has, attrs_hook_factory)
    converter.register_structure_hook_factory(is_tuple, make_tuple_hook)
    converter.register_structure_hook_func(is_mapping, mapping_hook)
    converter.register_structure_hook_factory(is_optional_plain, make_optional_hook)
    return converter


_CONVERTER = _make_converter()
