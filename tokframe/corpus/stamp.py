"""Stamp: what of a file changes when its contents do, to notice that during a run. When to look is left to `file`."""

from __future__ import annotations

import os
import platform
from pathlib import Path

from attrs import frozen

__all__ = ["Stamp", "stamp_of"]


@frozen
class Stamp:
    """Size in bytes, time of the last change in ns, and inode of a file, as `host` sees it."""

    host: str
    size: int
    changed_ns: int
    inode: int

    def change(self, now: Stamp) -> str:
        """Return what happened to the file since, or ""; another host may have a copy, so there only size counts."""
        if self.size != now.size:
            return f"was changed from {self.size:,} to {now.size:,} bytes"
        if self.host != now.host or self == now:
            return ""
        return "was written to" if self.inode == now.inode else "was replaced by another file"


def stamp_of(path: Path) -> Stamp:
    """Return the stamp of the file that is at a path now. Raises: OSError."""
    found = os.stat(path)
    return Stamp(platform.node(), found.st_size, found.st_mtime_ns, found.st_ino)
