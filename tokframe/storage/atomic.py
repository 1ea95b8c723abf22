"""Atomic writes: folders and files that appear on disk whole or not at all. What they hold is left to the callers.

A write in progress is called `.NAME.tmp-...` and belongs to its writer as long as that holds a lock (`flock`) on the
file `.NAME.tmp-....lock`; what killed writers left is removed by the next one that writes to the same place.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import secrets
import shutil
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

if sys.platform != "win32":
    import fcntl

__all__ = [
    "identity",
    "is_at",
    "replace_folder",
    "sync_folder",
    "temporary_sibling",
    "try_lock",
    "write_atomically",
    "write_file",
]

_RENAME_EXCHANGE = 2
_AT_FDCWD = -100
_LOCK = ".lock"
_MAX_PREFIX_BYTES = 200  # of the 255 of a file name
#: Age after which what another host left is removed too. Not sooner: some shared file systems do not show one host's
#: locks to another, so that getting a lock does not prove that its owner is gone.
OTHER_HOST_LEFTOVER_S = 24 * 3600
#: How long to wait for another process that is moving something into place.
LOCK_TIMEOUT_S = 10.0
LOCK_POLL_S = 0.005


@contextmanager
def temporary_sibling(target: Path) -> Iterator[Path]:
    """Yield an empty folder beside `target`, on its file system; whatever is left of it is removed at the end."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with _claimed(target) as folder:
        folder.mkdir(mode=0o700)
        yield folder


@contextmanager
def _claimed(target: Path) -> Iterator[Path]:
    """Yield an unused path beside `target`, and keep others from removing what is written there."""
    _clear_leftovers(target)
    while True:
        place = target.with_name(f"{_temporary_prefix(target)}{secrets.token_hex(6)}")
        lock = place.with_name(place.name + _LOCK)
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        held = try_lock(descriptor)
        if held and is_at(descriptor, lock):
            break
        os.close(descriptor)
        lock.unlink(missing_ok=True)
        if held is None:  # without locks nobody can see whose it is, so nobody may remove it as a leftover
            break
        # Another process looked at it or removed it as a leftover before it was locked: use another name.
    try:
        if held:
            os.write(descriptor, platform.node().encode(errors="replace"))
        yield place
    finally:
        _remove(place)
        if held:
            lock.unlink(missing_ok=True)
            os.close(descriptor)


def _temporary_prefix(target: Path) -> str:
    """Return the beginning of temporary names beside `target`, short enough where its own name is as long as can be."""
    return f".{os.fsdecode(os.fsencode(target.name)[:_MAX_PREFIX_BYTES])}.tmp-"


def _clear_leftovers(target: Path) -> None:
    """Remove what killed writers left beside `target`; never what a writer still holds the lock of."""
    if sys.platform == "win32":
        return
    with suppress(OSError), os.scandir(target.parent) as entries:
        names = [e.name for e in entries if e.name.startswith(_temporary_prefix(target)) and e.name.endswith(_LOCK)]
        for name in names:
            with suppress(OSError):
                _clear(target.with_name(name))


def _clear(lock: Path) -> None:
    """Remove a leftover and its lock file, if it is ours and its owner is gone. Raises: OSError."""
    place = lock.with_name(lock.name.removesuffix(_LOCK))
    descriptor = os.open(lock, os.O_RDWR | os.O_NOFOLLOW)
    try:
        found = os.fstat(descriptor)
        ours = stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid()
        if not ours or not try_lock(descriptor) or not is_at(descriptor, lock):
            return
        here = os.read(descriptor, 1024) == platform.node().encode(errors="replace")
        touched = found.st_mtime  # its path may be gone: a writer that does not get its new lock gives the name up
        if os.path.lexists(place):
            touched = max(touched, place.lstat().st_mtime)
        if here or time.time() - touched > OTHER_HOST_LEFTOVER_S:
            _remove(place)
            if not os.path.lexists(place):
                lock.unlink()
    finally:
        os.close(descriptor)


def try_lock(descriptor: int) -> bool | None:
    """Lock an open file until it is closed; return False if another holds the lock, None where there are no locks."""
    if sys.platform == "win32":
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def is_at(descriptor: int, path: Path) -> bool:
    """Return whether an open file is still the one at `path`."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.lstat(path))
    except FileNotFoundError:
        return False


def _remove(place: Path) -> None:
    """Remove a file or a folder as far as that is possible."""
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place, ignore_errors=True)
    else:
        with suppress(OSError):
            place.unlink(missing_ok=True)


def write_file(path: Path, data: bytes) -> None:
    """Write a new file and flush it to disk."""
    with open(path, "xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def write_atomically(path: Path, data: bytes) -> None:
    """Replace a file by one rename, so that a reader or a crash sees the old or the new one."""
    with _claimed(path) as temporary:
        write_file(temporary, data)
        os.replace(temporary, path)
        sync_folder(path.parent)


def identity(path: Path) -> tuple[int, ...] | None:
    """Return what distinguishes the thing at `path` from one put there later; None if there is nothing."""
    try:
        found = os.lstat(path)
    except (OSError, ValueError):  # also a name that no file can have
        return None
    # A free inode number may be given to the next folder, but not with the same modification time.
    return found.st_dev, found.st_ino, found.st_mtime_ns


def replace_folder(folder: Path, target: Path, expected: tuple[int, ...] | None) -> None:
    """Move `folder` to `target` in one step; an existing `target` ends up at `folder`.

    `expected` is the `identity` of what the caller found at `target`. Raises: FileExistsError, with nothing changed,
    if something else is there by now because another process was faster.
    """
    os.chmod(folder, 0o777 & ~_umask())
    _sync_all(folder)
    with _turn(target.parent):
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
            if identity(folder) != expected:  # another process wrote between check and exchange: put theirs back
                _exchange(folder, target)
                raise _overtaken(target)
        else:
            # Without an atomic exchange the old folder is moved aside; a crash between the two leaves it there.
            aside = target.with_name(f".{target.name}.old-{secrets.token_hex(6)}")
            os.rename(target, aside)
            try:
                os.rename(folder, target)
                sync_folder(target.parent)
            except BaseException:
                if not os.path.lexists(folder):
                    os.rename(target, folder)
                os.rename(aside, target)
                raise
            shutil.rmtree(aside, ignore_errors=True)
        sync_folder(target.parent)


@contextmanager
def _turn(parent: Path) -> Iterator[None]:
    """Let one process at a time move something into place in a folder.

    Without locks, or after the timeout, two may do so at once: `replace_folder` still notices. Only with three or more
    at one moment may one be given the wrong result.
    """
    if sys.platform == "win32":
        yield
        return
    descriptor = os.open(parent, os.O_RDONLY)
    try:
        end = time.monotonic() + LOCK_TIMEOUT_S
        while try_lock(descriptor) is False and time.monotonic() < end:
            time.sleep(LOCK_POLL_S)
        yield
    finally:
        with suppress(OSError):  # closing alone would leave it held in a process that was forked meanwhile
            fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.close(descriptor)


def _overtaken(target: Path) -> FileExistsError:
    return FileExistsError(errno.EEXIST, "was written by another process meanwhile", str(target))


def _exchange(first: Path, second: Path) -> bool:
    """Swap two folders by Linux's renameat2; return False where it is not available."""
    if sys.platform != "linux":
        return False
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError):
        return False
    result: int = rename(_AT_FDCWD, os.fsencode(first), _AT_FDCWD, os.fsencode(second), _RENAME_EXCHANGE)
    return result == 0


def sync_folder(path: str | Path) -> None:
    """Flush a folder's entries (or a file) to disk, so that renames in it survive a power cut."""
    if os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_all(folder: Path) -> None:
    """Flush a folder and all that is in it, whoever wrote it."""
    for place, _, names in os.walk(folder, topdown=False):
        for name in names:
            if stat.S_ISREG(os.lstat(path := os.path.join(place, name)).st_mode):
                sync_folder(path)
        sync_folder(place)


def _umask() -> int:
    current = os.umask(0o022)
    os.umask(current)
    return current
