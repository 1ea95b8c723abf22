"""A local web page on which tokenizers cut up text while one types: `bench` asks them, `server` serves the page."""

from __future__ import annotations
