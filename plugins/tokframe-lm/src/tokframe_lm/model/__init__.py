"""The transformer, its embeddings and its loss."""
