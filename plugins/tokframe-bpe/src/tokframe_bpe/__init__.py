"""The plugin tokframe-bpe: declares the tokenizer "bpe". Its code is imported when it is used."""

from __future__ import annotations

from tokframe import TokenizerSpec, hookimpl


@hookimpl
def tokframe_tokenizers() -> list[TokenizerSpec]:
    """Return the byte-level BPE tokenizer."""
    return [
        TokenizerSpec(
            name="bpe",
            target="tokframe_bpe.tokenizer:BPETokenizer",
            artifact="tokframe_bpe:artifact",
            config="tokframe_bpe.config:BPEConfig",
            summary="byte-level BPE on Hugging Face tokenizers: lossless for any bytes, the baseline",
        )
    ]
