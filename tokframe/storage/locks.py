"""Locks: one run at a time writes to an output place. What is written there is left to others.

The lock of `NAME` is an `flock` on `.NAME.lock` beside it, so a process that was killed leaves a file but no lock.
"""

from __future__ import annotations

import errno
import os
import platform
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tokframe.errors import ArtifactError
from tokframe.storage.atomic import is_at, try_lock

__all__ = ["exclusive"]

MAX_ATTEMPTS = 100  # each fails only where another run ends at that moment
_MAX_OWNER_BYTES = 256
_held: set[int] = set()  # descriptors; a forked child closes its copies, or the lock would outlive this process


def _close_copies() -> None:
    for descriptor in _held:
        with suppress(OSError):
            os.close(descriptor)
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_copies)


@contextmanager
def exclusive(target: Path) -> Iterator[None]:
    """Keep other runs, in any thread or process, from writing to `target` meanwhile; leave nothing behind.

    Where the file system has no locks, warns and goes on. Raises: ArtifactError at once, naming the process that holds
    the lock, or where nothing can be written beside `target`.
    """
    target = target.absolute()
    made = [folder for folder in target.parents if not folder.exists()]
    lock = target.with_name(f".{target.name}.lock")
    try:
        descriptor = _acquired(target, lock)
        try:
            _held.add(descriptor)
            yield
        finally:
            if descriptor in _held:  # else this is a forked child
                _held.discard(descriptor)
                with suppress(OSError):
                    lock.unlink()
                os.close(descriptor)
    finally:
        for folder in made:
            with suppress(OSError):  # it holds something
                folder.rmdir()


def _acquired(target: Path, lock: Path) -> int:
    """Return the locked file of a target, open. Raises: ArtifactError."""
    for attempt in range(MAX_ATTEMPTS):
        try:
            lock.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o644)
        except OSError as error:
            if isinstance(error, FileNotFoundError) and attempt + 1 < MAX_ATTEMPTS:
                continue  # the folder was removed in between by a run that had made it
            what = "is a link" if error.errno == errno.ELOOP else error.strerror
            raise ArtifactError(
                f"cannot write to {target}: {error.filename or lock}: {what}. Choose a path in a folder that you may "
                "write to",
                path=target,
            ) from error
        held = try_lock(descriptor)
        if held is False:
            owner = os.pread(descriptor, _MAX_OWNER_BYTES, 0).decode(errors="replace").split()
            os.close(descriptor)
            raise ArtifactError(_busy(target, owner), path=target)
        if held is None:
            warnings.warn(
                f"the file system of {target.parent} has no locks: see to it that no other run writes to {target}",
                stacklevel=4,
            )
        elif not is_at(descriptor, lock):  # its owner removed it just before it was locked
            os.close(descriptor)
            continue
        with suppress(OSError):  # a full disk; then others are not told who holds it
            os.ftruncate(descriptor, 0)
            os.write(descriptor, f"{os.getpid()} {platform.node()}".encode(errors="replace"))
        return descriptor
    raise ArtifactError(_busy(target, []), path=target)


def _busy(target: Path, owner: list[str]) -> str:
    pid, host = (*owner, "", "")[:2]
    who = "another process"
    if pid == str(os.getpid()) and host == platform.node():
        who = "another thread of this process"
    where = f" on {host}" if host != platform.node() else ""
    told = f" (pid {pid}{where})" if pid.isdecimal() else ""
    return f"{who} is writing to {target}{told}. Wait until it has ended, or choose another path"
