"""A plugin whose import fails, as one does whose dependency is missing or was renamed."""

from __future__ import annotations

raise ImportError("acme-broken needs libacme 3, found 2")
