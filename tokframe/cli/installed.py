"""Installed tokenizers: those that are ready to use, and their names for shell completion."""

from __future__ import annotations

import click
from click.shell_completion import CompletionItem

__all__ = ["complete_names", "ready"]


def complete_names(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete a NAME for the shell: registered names, or folders where none matches."""
    from tokframe.plugins.discovery import host

    names = sorted({spec.name for spec in host().registry.specs("tokenizer")})
    found = [CompletionItem(name) for name in names if name.startswith(incomplete)]
    return found or [CompletionItem(incomplete, type="dir")]


def ready(command: str) -> list[str]:
    """Return the names of installed tokenizers that ship a trained artifact and work; others are noted on stderr.

    `command` is what the error for none at all shows. Raises: UnknownNameError.
    """
    from tokframe.cli.console import note
    from tokframe.errors import TokframeError, UnknownNameError
    from tokframe.loading.loading import load
    from tokframe.plugins.containment import contained, reason_of
    from tokframe.plugins.discovery import host
    from tokframe.plugins.registry import TokenizerSpec

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
