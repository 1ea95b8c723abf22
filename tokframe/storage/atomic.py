"""Folders and files that appear on disk whole or not at all.

What is being written is called `.NAME.tmp-...` and is its writer's as long as that holds a lock (`flock`) on the file
`.NAME.tmp-....lock`; what killed writers left behind is removed by the next that writes to the same place.
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

__all__ = ["identity", "replace_folder", "sync_folder", "temporary_sibling", "write_atomically", "write_file"]

_RENAME_EXCHANGE = 2
_AT_FDCWD = -100
_LOCK = ".lock"
#: Seconds after which what another host left is removed too. Not sooner: some shared file systems keep each host's
#: locks to itself, so that a lock which can be taken is no proof that its owner is gone.
_FOREIGN = 24 * 3600
#: Seconds to wait for another process that is putting something in place.
_PATIENCE = 10.0


@contextmanager
def temporary_sibling(target: Path) -> Iterator[Path]:
    """Yield an empty folder beside `target`, on its file system; whatever is left of it is removed at the end."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with _claimed(target) as folder:
        folder.mkdir(mode=0o700)
        yield folder


@contextmanager
def _claimed(target: Path) -> Iterator[Path]:
    """Yield a path beside `target` where nothing is, and keep others from removing what is put there."""
    _clear_leftovers(target)
    while True:
        place = target.with_name(f".{target.name}.tmp-{secrets.token_hex(6)}")
        lock = place.with_name(place.name + _LOCK)
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        held = _locked(descriptor)
        if held and _same(descriptor, lock):
            break
        os.close(descriptor)
        if held is None:  # without locks nobody could tell whose it is, so nobody may take it for a leftover
            lock.unlink()
            break
        # Someone took it for a leftover before it was locked: another name.
    try:
        if held:
            os.write(descriptor, platform.node().encode(errors="replace"))
        yield place
    finally:
        _remove(place)
        if held:
            lock.unlink(missing_ok=True)
            os.close(descriptor)


def _clear_leftovers(target: Path) -> None:
    """Remove what writers that are gone have left beside `target`; never what one still holds the lock of."""
    if sys.platform == "win32":
        return
    with suppress(OSError), os.scandir(target.parent) as entries:
        names = [e.name for e in entries if e.name.startswith(f".{target.name}.tmp-") and e.name.endswith(_LOCK)]
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
        if not ours or not _locked(descriptor) or not _same(descriptor, lock):
            return
        here = os.read(descriptor, 1024) == platform.node().encode(errors="replace")
        touched = max(path.lstat().st_mtime for path in (lock, place) if os.path.lexists(path))
        if here or time.time() - touched > _FOREIGN:
            _remove(place)
            if not os.path.lexists(place):
                lock.unlink()
    finally:
        os.close(descriptor)


def _locked(descriptor: int) -> bool | None:
    """Lock an open file for as long as it is open; False if it is another's, None where there are no locks."""
    if sys.platform == "win32":
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _same(descriptor: int, path: Path) -> bool:
    """Tell whether an open file is still the one at `path`."""
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
    """Return what tells the thing at `path` from one put there later; None if there is nothing."""
    try:
        found = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    # A number that became free may be given to the next folder, but not with the same time of its last change.
    return found.st_dev, found.st_ino, found.st_mtime_ns


def replace_folder(folder: Path, target: Path, expected: tuple[int, ...] | None) -> None:
    """Move `folder` to `target` in one step; an existing `target` ends up at `folder`.

    `expected` is the `identity` of what the caller found at `target`. Raises: FileExistsError, with everything as
    it was, if something else stands there by now: another process was quicker.
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
            if identity(folder) != expected:  # someone came between the look and the exchange: theirs goes back
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
    """Let one process after another put something in place in a folder.

    Where there are no locks, or one stays away too long, two may meet: then `replace_folder` still notices, and only
    of three or more at one moment may one be told the wrong end.
    """
    if sys.platform == "win32":
        yield
        return
    descriptor = os.open(parent, os.O_RDONLY)
    try:
        end = time.monotonic() + _PATIENCE
        while _locked(descriptor) is False and time.monotonic() < end:
            time.sleep(0.005)
        yield
    finally:
        with suppress(OSError):  # by closing alone it would stay held in a process that was forked meanwhile
            fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.close(descriptor)


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


def _sync_all(folder: Path) -> None:
    """Flush a folder and all that is in it, whoever wrote it."""
    for place, _, names in os.walk(folder, topdown=False):
        for name in names if os.name != "nt" else ():
            path = os.path.join(place, name)
            if stat.S_ISREG(os.lstat(path).st_mode):
                descriptor = os.open(path, os.O_RDONLY)
                try:
                    os.fsync(descriptor)
                finally:
                    os.close(descriptor)
        sync_folder(Path(place))


def _umask() -> int:
    current = os.umask(0o022)
    os.umask(current)
    return current
