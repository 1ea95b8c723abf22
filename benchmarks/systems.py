"""A tokenizer under measurement, ours or a peer's, behind one small interface; and what could not be built, and why."""

from __future__ import annotations

import contextlib
import importlib.metadata
import io
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from attrs import field, frozen

__all__ = ["Absent", "Builder", "Fidelity", "System", "build", "fidelity", "version_of"]


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


@frozen(kw_only=True)
class Absent:
    """A system that is not measured, with the reason: not installed, or refused."""

    name: str
    reason: str


@frozen(kw_only=True)
class Fidelity:
    """What came back: texts, of which exact; tokens; of those with an oracle, texts with the oracle's ids."""

    texts: int
    exact: int
    tokens: int
    same_ids: int | None


Builder = Callable[[], System]


def version_of(distribution: str) -> str:
    """Return the installed version. Raises: ImportError with the command that installs it."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        raise ImportError(f"not installed: pip install {distribution}") from None


def build(builders: Mapping[str, Builder]) -> tuple[dict[str, System], list[Absent]]:
    """Build what can be built; whatever a peer says on the way is kept off the terminal."""
    systems: dict[str, System] = {}
    absent: list[Absent] = []
    for name, make in builders.items():
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                systems[name] = make()
        except ImportError as error:
            absent.append(Absent(name=name, reason=str(error)))
        except Exception as error:  # a peer may refuse a vocabulary with whatever it likes
            first = str(error).strip().split("\n")[0]
            absent.append(Absent(name=name, reason=f"refused: {type(error).__name__}: {first[:200]}"))
    return systems, absent


def fidelity(systems: Mapping[str, System], texts: Iterable[str]) -> dict[str, Fidelity]:
    """Encode and decode every text with every system and compare with the text and the oracle's ids."""
    texts = list(texts)
    found: dict[str, Fidelity] = {}
    for name, system in systems.items():
        oracle = systems.get(system.oracle)
        exact = tokens = same = 0
        for text in texts:
            ids = system.encode(text)
            tokens += len(ids)
            exact += system.decode(ids) == text
            same += oracle is not None and ids == oracle.encode(text)
        found[name] = Fidelity(texts=len(texts), exact=exact, tokens=tokens, same_ids=same if oracle else None)
    return found
