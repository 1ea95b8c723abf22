"""The search over the vocabulary: text to the fewest segments, and back. Knows no network and no special tokens."""

from __future__ import annotations

from tokframe_dictionary.segmenter.segmenter import Segmenter, SlowSearchWarning

__all__ = ["Segmenter", "SlowSearchWarning"]
