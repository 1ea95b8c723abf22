"""Parts: a text cut where no segment can lie across the cut, so that what is counted in the parts adds up.

A segment has newlines only at its end. So none crosses a border with a newline before it and, behind it, the first
byte of a character that is no newline; a unit of the segmenter begins there too. Text without such a place is one part.
"""

from __future__ import annotations

import re

__all__ = ["cut"]

_BORDER = re.compile(rb"\n(?=[^\n\x80-\xbf])")


def cut(data: bytes | memoryview, size: int) -> list[memoryview]:
    """Return `data` in parts of about `size` bytes, each ending at the first border after so many; no copies."""
    view = memoryview(data)
    parts = []
    start = 0
    while start < len(data):
        found = _BORDER.search(data, start + max(1, size) - 1) if len(data) - start > size else None
        end = found.end() if found else len(data)
        parts.append(view[start:end])
        start = end
    return parts
