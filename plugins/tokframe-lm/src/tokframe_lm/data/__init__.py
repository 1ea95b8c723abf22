"""Data: text as tokens, training windows and prompts."""
