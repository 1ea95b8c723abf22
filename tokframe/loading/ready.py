"""Ready tokenizers: those installed that ship a trained artifact and work."""

from __future__ import annotations

from collections.abc import Callable

from tokframe.errors import TokframeError, UnknownNameError
from tokframe.loading.loading import load
from tokframe.plugins.containment import contained, reason_of
from tokframe.plugins.discovery import host
from tokframe.plugins.registry import TokenizerSpec

__all__ = ["ready"]


def ready(note: Callable[[str], object], command: str) -> list[str]:
    """Return the names of installed tokenizers that ship a trained artifact and work; `note` is told of the others.

    `command` is what the error for none at all shows. Raises: UnknownNameError.
    """
    registry = host().registry
    found = []
    for spec in registry.specs("tokenizer"):
        if not isinstance(spec, TokenizerSpec) or not spec.artifact:
            continue
        name = registry.reference(spec)
        try:
            contained(lambda name=name: load(name).encode("a"))  # type: ignore[misc]
        except Exception as error:  # a third party's code may raise anything
            note(f"{name} is left out: {error if isinstance(error, TokframeError) else reason_of(error)}")
        else:
            found.append(name)
    if not found:
        raise UnknownNameError(
            "no installed tokenizer is ready to use (see: tokframe plugins). "
            f"Name one you trained: tokframe {command} ./mine",
            kind="tokenizer",
        )
    return found
