"""The plugin tokframe-dictionary: byte segments mined from text, searched for the fewest tokens; no network."""

from __future__ import annotations

from tokframe import TokenizerSpec, hookimpl

__all__ = ["tokframe_tokenizers"]

__version__ = "0.1.0"


@hookimpl
def tokframe_tokenizers() -> list[TokenizerSpec]:
    """Add nothing yet."""
    return []
