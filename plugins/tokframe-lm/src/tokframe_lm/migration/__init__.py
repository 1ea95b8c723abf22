"""A model moved to another tokenizer."""
