"""Transfer: what a model knows about the ids of one tokenizer, for the ids of another."""

from __future__ import annotations
