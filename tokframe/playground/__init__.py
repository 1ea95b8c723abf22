"""Playground: a local web page that shows how tokenizers split text as you type: `bench` runs them, `server` serves."""

from __future__ import annotations
