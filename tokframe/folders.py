"""Folders and files that appear on disk whole or not at all."""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["identity", "replace_folder", "sync_folder", "temporary_sibling", "write_atomically", "write_file"]

_RENAME_EXCHANGE = 2
_AT_FDCWD = -100


@contextmanager
def temporary_sibling(target: Path) -> Iterator[Path]:
    """Yield an empty folder beside `target`, on its file system; whatever is left of it is removed at the end."""
    target.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{target.name}.tmp-", dir=target.parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def write_file(path: Path, data: bytes) -> None:
    """Write a new file and flush it to disk."""
    with open(path, "xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def write_atomically(path: Path, data: bytes) -> None:
    """Replace a file by one rename, so that a reader or a crash sees the old or the new one."""
    temporary = path.with_name(f".{path.name}.tmp-{os.getpid()}")
    try:
        temporary.unlink(missing_ok=True)
        write_file(temporary, data)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)


def identity(path: Path) -> tuple[int, int] | None:
    """Return what tells the thing at `path` from one put there later; None if there is nothing."""
    try:
        found = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_dev, found.st_ino


def replace_folder(folder: Path, target: Path, expected: tuple[int, int] | None) -> None:
    """Move `folder` to `target` in one step; an existing `target` ends up at `folder`.

    `expected` is the `identity` of what the caller found at `target`. Raises: FileExistsError, with everything as
    it was, if something else stands there by now: another process was quicker.
    """
    os.chmod(folder, 0o777 & ~_umask())
    sync_folder(folder)
    if identity(target) != expected:
        raise _overtaken(target)
    if expected is None:
        try:
            os.rename(folder, target)
        except OSError as error:  # a rename never replaces a folder that holds something, nor a file
            if identity(target) is None or error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                raise
            raise _overtaken(target) from error
    elif _exchange(folder, target):
        if identity(folder) != expected:  # someone came between the look and the exchange: theirs goes back
            _exchange(folder, target)
            raise _overtaken(target)
    else:
        # Without an atomic exchange the old folder is moved aside; a crash between the two leaves it there.
        aside = target.with_name(f".{target.name}.old-{os.getpid()}")
        os.rename(target, aside)
        try:
            os.rename(folder, target)
        except BaseException:
            os.rename(aside, target)
            raise
        shutil.rmtree(aside, ignore_errors=True)
    sync_folder(target.parent)


def _overtaken(target: Path) -> FileExistsError:
    return FileExistsError(errno.EEXIST, "was written by another process meanwhile", str(target))


def _exchange(first: Path, second: Path) -> bool:
    """Swap two folders by Linux's renameat2; False where that is not to be had."""
    if sys.platform != "linux":
        return False
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError):
        return False
    result: int = rename(_AT_FDCWD, os.fsencode(first), _AT_FDCWD, os.fsencode(second), _RENAME_EXCHANGE)
    return result == 0


def sync_folder(path: Path) -> None:
    """Flush a folder's entries to disk, so that renames in it outlast a power cut."""
    if os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _umask() -> int:
    current = os.umask(0o022)
    os.umask(current)
    return current
