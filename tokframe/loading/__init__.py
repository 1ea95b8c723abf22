"""Load, create, train and save tokenizers by name, path or alias."""

from __future__ import annotations

from tokframe.loading.loading import create, from_state, load, save, train

__all__ = ["create", "from_state", "load", "save", "train"]
