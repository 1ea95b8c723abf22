"""Migration: a model converted to another tokenizer."""
