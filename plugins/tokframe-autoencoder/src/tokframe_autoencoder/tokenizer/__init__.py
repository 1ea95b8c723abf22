"""Tokenizers whose ids have codes in a network."""

from __future__ import annotations

from tokframe_autoencoder.tokenizer.autoencoder import AutoencoderTokenizer

__all__ = ["AutoencoderTokenizer"]
