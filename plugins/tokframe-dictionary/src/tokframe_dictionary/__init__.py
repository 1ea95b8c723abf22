"""Plugin tokframe-dictionary: the tokenizer "dictionary", mined segments searched for the fewest tokens."""

from __future__ import annotations

from tokframe import TokenizerSpec, hookimpl

__all__ = ["tokframe_tokenizers"]

__version__ = "0.1.0"


@hookimpl
def tokframe_tokenizers() -> list[TokenizerSpec]:
    """Add `dictionary`, which ships no trained artifact."""
    return [
        TokenizerSpec(
            name="dictionary",
            target="tokframe_dictionary.tokenizer:DictionaryTokenizer",
            config="tokframe_dictionary.config:DictionaryConfig",
            summary="mined byte segments, searched for the fewest tokens: lossless, trained in a minute, no torch",
        )
    ]
