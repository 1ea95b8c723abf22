"""Load, create, train and save tokenizers by name, path or alias."""

from __future__ import annotations

from tokframe.loading.loading import create, extend, load, save, train
from tokframe.plugins.discovery import rebuild as from_state  # the name that pickled tokenizers hold

__all__ = ["create", "extend", "from_state", "load", "save", "train"]
