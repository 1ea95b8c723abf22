"""Plugin tokframe-dictionary: the tokenizer "dictionary", mined segments searched for the fewest tokens."""

from __future__ import annotations

from tokframe import TokenizerSpec, hookimpl

__all__ = ["tokframe_tokenizers"]

__version__ = "0.1.0"


@hookimpl
def tokframe_tokenizers() -> list[TokenizerSpec]:
    """Add `dictionary`, with the vocabulary that is shipped."""
    return [
        TokenizerSpec(
            name="dictionary",
            target="tokframe_dictionary.tokenizer:DictionaryTokenizer",
            artifact="tokframe_dictionary:artifact",
            config="tokframe_dictionary.config:DictionaryConfig",
            summary="mined byte segments, searched for the fewest tokens: lossless, trained in a minute, no torch",
        )
    ]
