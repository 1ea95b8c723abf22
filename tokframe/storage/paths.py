"""Paths: as users write them, with ~, and as text that any file, terminal or JSON can hold."""

from __future__ import annotations

import os
import re
from pathlib import Path

__all__ = ["expanded", "shown"]

_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def expanded(path: str | os.PathLike[str]) -> Path:
    """Return a path with a leading `~` or `~user` replaced by the home folder, as a shell does it.

    What is there under the very name (`~$notes.txt`, `~`) comes first, and the `~name` of no user stays as it is.
    """
    text = os.fspath(path)
    is_home = text.startswith("~") and not os.path.lexists(text)
    return Path(os.path.expanduser(text) if is_home else text)


def shown(path: str | os.PathLike[str]) -> str:
    """Return a path as valid text of one line: control characters and bytes that are not UTF-8 are escaped."""
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return _CONTROLS.sub(lambda match: f"\\x{ord(match[0]):02x}", text)
