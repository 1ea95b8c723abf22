"""A model and its tokenizer's network trained together."""
