"""Evaluate: figures of a text, speed and footprint, the comparison of tokenizers, and the analysis of one.

Nothing is imported until it is used: `footprint` runs in a fresh process whose memory is the measurement.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tokframe.evaluate.analysis import Analysis, analyze
    from tokframe.evaluate.comparison import Comparison, compare

__all__ = ["Analysis", "Comparison", "analyze", "compare"]

_HOMES = {"Analysis": "analysis", "analyze": "analysis", "Comparison": "comparison", "compare": "comparison"}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
