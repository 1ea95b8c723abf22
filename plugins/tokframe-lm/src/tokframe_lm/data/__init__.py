"""Text as tokens, windows and prompts."""
