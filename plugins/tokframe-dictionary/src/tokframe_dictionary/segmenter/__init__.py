"""The search over the vocabulary: text to the fewest segments, and back. Knows no special tokens."""
