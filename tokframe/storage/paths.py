"""Paths: as users write them, with ~, and as text that any file, terminal or JSON can hold."""

from __future__ import annotations

import os
import re
from pathlib import Path

from tokframe.storage.printable import printable

__all__ = ["expanded", "is_address", "named", "shown"]

_ENDS = re.compile(r"[\t\n]")
_ADDRESS = re.compile(r"(?:^|/)[a-z][a-z0-9+.-]+:(?=/)", re.IGNORECASE)  # in a path made whole, it is inside


def expanded(path: str | os.PathLike[str]) -> Path:
    """Return a path with a leading `~` or `~user` replaced by the home folder, as a shell does it.

    What is there under the very name (`~$notes.txt`, `~`) comes first, and the `~name` of no user stays as it is.
    """
    text = os.fspath(path)
    is_home = text.startswith("~") and not os.path.lexists(text)
    return Path(os.path.expanduser(text) if is_home else text)


def is_address(path: str | os.PathLike[str]) -> bool:
    """Return whether a path is an address, as `https://...` or `s3://...`, and not in a folder of such a name."""
    found = _ADDRESS.search(os.fspath(path))
    return found is not None and not os.path.lexists(found.string[: found.end()])


def named(path: str | os.PathLike[str]) -> Path:
    """Return an absolute path that ends in a name, as `.` and `..` do not, so that others can be named after it."""
    target = expanded(path)
    return target.absolute() if target.name not in ("", "..") else target.resolve()


def shown(path: str | os.PathLike[str]) -> str:
    """Return a path as printable text of one line; bytes that are not UTF-8 are escaped too."""
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return _ENDS.sub(lambda match: f"\\x{ord(match[0]):02x}", printable(text))
