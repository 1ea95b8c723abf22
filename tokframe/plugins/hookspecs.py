"""Hooks: the functions a plugin may implement. See docs/plugins.md."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from collections.abc import Iterable

    import click

    from tokframe.plugins.migrations import Migration
    from tokframe.plugins.registry import ComponentSpec, TokenizerSpec

__all__ = ["PROJECT", "hookimpl", "hookspec"]

PROJECT = "tokframe"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def tokframe_components() -> Iterable[ComponentSpec]:
    """Return the encoders, quantizers, decoders, embeddings, exporters and engines this plugin adds."""
    raise NotImplementedError


@hookspec
def tokframe_tokenizers() -> Iterable[TokenizerSpec]:
    """Return the whole tokenizers this plugin adds."""
    raise NotImplementedError


@hookspec
def tokframe_commands() -> Iterable[click.Command]:
    """Return commands or command groups for `tokframe`; called only when the command line runs."""
    raise NotImplementedError


@hookspec
def tokframe_migrations() -> Iterable[Migration]:
    """Return the steps that bring this plugin's old artifacts to its present format."""
    raise NotImplementedError
