"""Comparison: language models over several tokenizers under the same training."""
