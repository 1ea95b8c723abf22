"""The plugin tokframe-word: declares the tokenizer "word". Its code is imported when it is used."""

from __future__ import annotations

from tokframe import TokenizerSpec, hookimpl


@hookimpl
def tokframe_tokenizers() -> list[TokenizerSpec]:
    """Return the word-level tokenizer."""
    return [
        TokenizerSpec(
            name="word",
            target="tokframe_word.tokenizer:WordTokenizer",
            artifact="tokframe_word:artifact",
            config="tokframe_word.config:WordConfig",
            summary="the most frequent words, all others <unk>: lossy, for migrating from",
        )
    ]
