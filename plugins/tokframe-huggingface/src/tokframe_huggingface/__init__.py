"""The plugin tokframe-huggingface: export to Hugging Face; tokenizers imported from it, tiktoken and sentencepiece."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokframe import ComponentSpec, TokenizerSpec, hookimpl

if TYPE_CHECKING:
    import click

_IMPORTED = (
    ("huggingface", "imported.huggingface:HuggingFaceTokenizer", "any tokenizer.json of Hugging Face", ""),
    ("tiktoken", "imported.tiktoken:TiktokenTokenizer", "byte-level BPE from a tiktoken file", "tiktoken"),
    ("sentencepiece", "imported.sentencepiece:SentencePieceTokenizer", "a sentencepiece model", "sentencepiece"),
)


@hookimpl
def tokframe_components() -> list[ComponentSpec]:
    """Return the exporter."""
    return [
        ComponentSpec(
            kind="exporter",
            name="huggingface",
            target="tokframe_huggingface.export:export",
            summary="tokenizer.json and its config, as transformers.AutoTokenizer reads them",
        )
    ]


@hookimpl
def tokframe_tokenizers() -> list[TokenizerSpec]:
    """Return the tokenizers that `tokframe import` makes."""
    return [
        TokenizerSpec(
            name=f"imported-{name}",
            target=f"tokframe_huggingface.{target}",
            trainable=False,
            summary=f"{summary}: made by tokframe import",
            extra=extra,
        )
        for name, target, summary, extra in _IMPORTED
    ]


@hookimpl
def tokframe_commands() -> list[click.Command]:
    """Return `tokframe import`."""
    from tokframe_huggingface.command import command

    return [command]
