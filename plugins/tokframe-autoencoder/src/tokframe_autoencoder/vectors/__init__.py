"""Vectors of segments by their use in text, and their clusters. Knows nothing of networks, quantizers or codes."""
