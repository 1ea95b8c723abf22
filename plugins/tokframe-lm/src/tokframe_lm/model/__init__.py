"""Model: the transformer, its embeddings and its loss."""
