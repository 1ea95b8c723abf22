"""The plugin tokframe-word: says that there is a tokenizer "word"; its code is imported when it is used."""

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
            summary="the most frequent words, all others <unk>: lossy, the legacy to migrate from",
        )
    ]
