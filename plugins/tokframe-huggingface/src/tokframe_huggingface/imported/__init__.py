"""Imported tokenizers, each run by the library it was made for."""

from __future__ import annotations
