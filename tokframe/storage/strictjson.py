"""Strict JSON: no duplicate keys, no NaN, bounded depth and numbers; the same data always gives the same bytes."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tokframe.errors import ConfigError
from tokframe.storage.paths import expanded
from tokframe.storage.regular import read_given, read_regular

__all__ = ["MAX_INTEGER_BITS", "MAX_JSON_BYTES", "canonical_json", "json_type", "parse_json", "read_json", "shortened"]

#: A config is about four levels deep. Much deeper data would exhaust the stack of recursive readers.
_MAX_DEPTH = 64
_TOO_DEEP = f"nested more than {_MAX_DEPTH} levels deep"
#: Larger integers overflow in numpy, torch and float arithmetic.
MAX_INTEGER_BITS = 63
#: A config has some hundred keys. Anything near this bound is hostile.
MAX_JSON_BYTES = 1 << 24
_SHOWN_CHARS = 100
_SHOWN_BITS = 300


def read_json(path: str | Path, *, given: bool = False) -> dict[str, Any]:
    """Read a config file; one that a user gave may also be a pipe.

    Raises: ConfigError for an unreadable file or anything `parse_json` refuses.
    """
    try:
        raw = (read_given if given else read_regular)(expanded(path), MAX_JSON_BYTES)
    except OSError as error:
        raise ConfigError(str(path), [("$", f"cannot be read: {error.strerror or error}")]) from error
    return parse_json(raw, str(path))


def parse_json(raw: bytes | str, source: str) -> dict[str, Any]:
    """Parse a JSON object strictly: UTF-8, no duplicate keys, finite numbers, integers of 64 bits, at most 64 levels.

    Raises: ConfigError.
    """
    try:
        text = raw.decode("utf-8-sig") if isinstance(raw, bytes) else raw
        data = json.loads(
            text, object_pairs_hook=_unique, parse_constant=_finite, parse_float=_finite, parse_int=_bounded
        )
        # Every level has an opening bracket, so a quick count is enough for the usual case.
        if text.count("{") + text.count("[") > _MAX_DEPTH:
            _check_depth(data)
    except RecursionError as error:
        raise ConfigError(source, [("$", f"not valid JSON: {_TOO_DEEP}")]) from error
    except ValueError as error:  # JSONDecodeError and UnicodeDecodeError are among them
        raise ConfigError(source, [("$", f"not valid JSON: {error}")]) from error
    if not isinstance(data, dict):
        raise ConfigError(source, [("$", f"expected an object, got {json_type(data)}")])
    return data


def canonical_json(data: Any) -> bytes:
    """Return JSON with sorted keys, two-space indent and a final newline: same data, same bytes."""
    text = json.dumps(data, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False, default=_default)
    return (text + "\n").encode()


def _check_depth(data: Any) -> None:
    """Raises: ValueError where objects and lists are nested too deep; walks level by level, not by recursion."""
    level = [data]
    for _ in range(_MAX_DEPTH):
        inner: list[Any] = []
        for value in level:
            inner.extend(value.values() if isinstance(value, dict) else value)
        level = [value for value in inner if isinstance(value, (dict, list))]
        if not level:
            return
    raise ValueError(_TOO_DEEP)


def _default(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is not JSON data")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"key {shortened(key)} appears twice in one object")
        found[key] = value
    return found


def _bounded(text: str) -> int:
    value = int(text)
    if value.bit_length() > MAX_INTEGER_BITS:
        raise ValueError(f"{text[:20]}... is beyond 64-bit integers")
    return value


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:20]} is not a finite number")
    return value


def shortened(value: Any) -> str:
    """Return a value's `repr` for an error, cut to a line: it may be of any size."""
    if isinstance(value, int) and value.bit_length() > _SHOWN_BITS:
        return f"an integer of {value.bit_length():,} bits"
    try:
        text = repr(value)
    except (RecursionError, ValueError):  # of too deep a value, or one with a huge integer in it
        text = f"a {type(value).__name__}"
    return text if len(text) <= _SHOWN_CHARS else f"{text[: _SHOWN_CHARS - 3]}..."


def json_type(value: Any) -> str:
    """Name a JSON value for an error, e.g. `str '32'`."""
    if value is None:
        return "null"
    for kind, name in ((bool, "bool"), (int, "int"), (float, "float"), (str, "str"), (Mapping, "object")):
        if isinstance(value, kind):
            return f"{name} {shortened(value)}" if kind is not Mapping else name
    return "list" if isinstance(value, (list, tuple)) else type(value).__name__
