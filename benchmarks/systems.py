"""A tokenizer under measurement, ours or a peer's, behind one small interface; and what could not be built, and why."""

from __future__ import annotations

import contextlib
import importlib.metadata
import io
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import field, frozen

__all__ = ["Builder", "System", "build", "fidelity", "version_of"]


@frozen(kw_only=True)
class System:
    """One tokenizer as its users call it.

    `encode` text to a list of ids, `array` text to a numpy array (None where there is none), `decode` a list of ids
    to text, `fresh` builds the same system anew where it keeps a cache that a first pass must not have.
    `oracle` names the system whose ids it must give; "" for a vocabulary of its own.
    """

    name: str
    version: str
    encode: Callable[[str], list[int]] = field(repr=False)
    decode: Callable[[list[int]], str] = field(repr=False)
    array: Callable[[str], Any] | None = field(default=None, repr=False)
    fresh: Callable[[], System] | None = field(default=None, repr=False)
    oracle: str = ""
    note: str = ""


Builder = Callable[[], System]


def version_of(distribution: str) -> str:
    """Return the installed version. Raises: ImportError with the command that installs it."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        raise ImportError(f"not installed: pip install {distribution}") from None


def build(builders: Mapping[str, Builder]) -> tuple[dict[str, System], dict[str, str]]:
    """Return the systems that can be built, and of the others the reason; what a peer prints is not shown."""
    systems: dict[str, System] = {}
    absent: dict[str, str] = {}
    for name, make in builders.items():
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                systems[name] = make()
        except ImportError as error:
            absent[name] = str(error)
        except Exception as error:  # of any kind: a peer that refuses the vocabulary
            first = str(error).strip().split("\n")[0]
            absent[name] = f"refused: {type(error).__name__}: {first[:200]}"
    return systems, absent


def fidelity(systems: Mapping[str, System], texts: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Encode and decode every text with every system and compare with the text and the oracle's ids."""
    size = sum(len(text.encode()) for text in texts)
    found: dict[str, dict[str, Any]] = {}
    for name, system in systems.items():
        ids = [system.encode(text) for text in texts]
        oracle = systems.get(system.oracle)
        found[name] = {
            "exact": sum(system.decode(row) == text for row, text in zip(ids, texts, strict=True)),
            "texts": len(texts),
            "same_ids": sum(map(operator.eq, ids, map(oracle.encode, texts))) if oracle else None,
            "bytes_per_token": round(size / sum(map(len, ids)), 4),
        }
    return found
