"""Bits per byte of held-out text."""
