"""Installed tokenizers: their names for shell completion."""

from __future__ import annotations

import click
from click.shell_completion import CompletionItem

__all__ = ["complete_names"]


def complete_names(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete a NAME for the shell: registered names, or folders where none matches."""
    from tokframe.plugins.discovery import host

    names = sorted({spec.name for spec in host().registry.specs("tokenizer")})
    found = [CompletionItem(name) for name in names if name.startswith(incomplete)]
    return found or [CompletionItem(incomplete, type="dir")]
