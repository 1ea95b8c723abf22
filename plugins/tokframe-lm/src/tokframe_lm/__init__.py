"""The plugin tokframe-lm: a transformer language model over any tokenizer. Imports nothing heavy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokframe import ComponentSpec, hookimpl

if TYPE_CHECKING:
    import click

__all__ = ["tokframe_commands", "tokframe_components"]

__version__ = "0.1.0"


@hookimpl
def tokframe_components() -> list[ComponentSpec]:
    """Add the embeddings `lookup`, `factored`, `factored-lookup`, `spelled` and `factored-spelled`."""
    module = "tokframe_lm.model.embeddings"
    return [
        ComponentSpec(
            kind="embedding",
            name="lookup",
            target=f"{module}:LookupEmbedding",
            summary="one row per id, tied to the output scores",
        ),
        ComponentSpec(
            kind="embedding",
            name="factored",
            target=f"{module}:FactoredEmbedding",
            summary="the sum of one small table per digit of an id's code, tied to the output scores",
        ),
        ComponentSpec(
            kind="embedding",
            name="factored-lookup",
            target=f"{module}:FactoredLookupEmbedding",
            summary="factored and lookup added up: digits to begin with, a row of its own to go on",
        ),
        ComponentSpec(
            kind="embedding",
            name="spelled",
            target="tokframe_lm.model.spelled:SpelledEmbedding",
            summary="a row per id and rows shared by ids that begin or end alike; for any tokenizer",
        ),
        ComponentSpec(
            kind="embedding",
            name="factored-spelled",
            target="tokframe_lm.model.spelled:FactoredSpelledEmbedding",
            summary="digits, what spelled shares and a row per id added up",
        ),
    ]


@hookimpl
def tokframe_commands() -> list[click.Command]:
    """Add the group `lm`."""
    from tokframe_lm.cli.main import group

    return [group]
