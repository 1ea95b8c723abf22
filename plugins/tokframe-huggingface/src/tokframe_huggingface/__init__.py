"""The plugin tokframe-huggingface: export to Hugging Face, import from it, tiktoken and sentencepiece.

For models of transformers: exact prompts, scores and masks of completions, imported when they are used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from tokframe import ComponentSpec, TokenizerSpec, hookimpl

if TYPE_CHECKING:
    import click

    from tokframe_huggingface.masking import mask_completion
    from tokframe_huggingface.pretrained import TokframeTokenizer
    from tokframe_huggingface.prompting import prepare
    from tokframe_huggingface.reading import import_
    from tokframe_huggingface.scoring import loglikelihood, score_pairs

__all__ = [
    "TokframeTokenizer",
    "import_",
    "loglikelihood",
    "mask_completion",
    "prepare",
    "score_pairs",
    "tokframe_commands",
    "tokframe_components",
    "tokframe_tokenizers",
]

_MODULES = {
    "TokframeTokenizer": "pretrained",
    "import_": "reading",
    "loglikelihood": "scoring",
    "mask_completion": "masking",
    "prepare": "prompting",
    "score_pairs": "scoring",
}

_IMPORTED = (
    ("huggingface", "imported.huggingface:HuggingFaceTokenizer", "any tokenizer.json of Hugging Face", ""),
    ("tiktoken", "imported.tiktoken:TiktokenTokenizer", "byte-level BPE from a tiktoken file", "tiktoken"),
    ("sentencepiece", "imported.sentencepiece:SentencePieceTokenizer", "a sentencepiece model", "sentencepiece"),
)


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


@hookimpl
def tokframe_components() -> list[ComponentSpec]:
    """Return the exporters."""
    return [
        ComponentSpec(
            kind="exporter",
            name="huggingface",
            target="tokframe_huggingface.export:export",
            summary="tokenizer.json and its config, as transformers.AutoTokenizer reads them",
        ),
        ComponentSpec(
            kind="exporter",
            name="tiktoken",
            target="tokframe_huggingface.tiktoken_export:export",
            extra="tiktoken",
            summary="ranks, pattern and special tokens of a byte-level BPE, for tiktoken",
        ),
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
