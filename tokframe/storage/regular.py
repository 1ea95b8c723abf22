"""Regular files: the one way to open a file that came from outside. What its contents must be is left to the callers.

Links are followed, as download caches are made of them; what a link leads to is held to the same rules. What a user
names himself may also be a pipe or a device, such as `<(...)` of a shell gives, and is read up to a bound.
"""

from __future__ import annotations

import errno
import os
import stat
from io import BufferedReader
from pathlib import Path

__all__ = ["REFUSED", "open_regular", "read_given", "read_regular"]

#: `errno` of what is refused for what it is, not for want of rights or a failing disk.
REFUSED = (errno.ENOTSUP, errno.EFBIG)
# A pipe without a writer would block for ever, and opening some devices does something.
_FLAGS = os.O_RDONLY | sum(getattr(os, name, 0) for name in ("O_NONBLOCK", "O_NOCTTY", "O_CLOEXEC", "O_BINARY"))


def open_regular(path: str | Path) -> BufferedReader:
    """Open a regular file; a folder, a pipe, a socket or a device is refused. Raises: OSError."""
    try:
        _check(os.stat(path), path)  # before it is opened
        descriptor = os.open(path, _FLAGS)
    except ValueError as error:  # a null character in the path
        raise OSError(errno.ENOENT, str(error), str(path)) from None
    try:
        _check(os.fstat(descriptor), path)  # it may be another by now
        return open(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read_regular(path: str | Path, limit: int) -> bytes:
    """Return the contents of a regular file of at most `limit` bytes. Raises: OSError."""
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        _check_size(size, limit, path)  # before as much is allocated
        data = file.read(size + 1)
    _check_size(len(data), limit, path)
    return data


def read_given(path: str | Path, limit: int) -> bytes:
    """Return the contents, of at most `limit` bytes, of what a user names, also of a pipe. Raises: OSError."""
    try:
        if stat.S_ISREG(os.stat(path).st_mode):
            return read_regular(path, limit)
        with open(path, "rb") as file:
            data = file.read(limit + 1)
    except ValueError as error:  # a null character in the path
        raise OSError(errno.ENOENT, str(error), str(path)) from None
    _check_size(len(data), limit, path)
    return data


def _check_size(size: int, limit: int, path: str | Path) -> None:
    if size > limit:
        raise OSError(errno.EFBIG, f"it is larger than {limit} bytes", str(path))


def _check(found: os.stat_result, path: str | Path) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.ENOTSUP, "it is not a regular file", str(path))
