"""Output places: whether something may be written at a path, and what is written there whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tokframe.errors import ArtifactError, ArtifactExistsError, TokframeError
from tokframe.storage import atomic
from tokframe.storage.locks import exclusive
from tokframe.storage.paths import expanded, is_address, named

__all__ = [
    "TRAINING",
    "UNFINISHED",
    "check_file",
    "check_place",
    "check_writable",
    "claimed_place",
    "disk_errors",
    "outputs",
    "write_output",
    "writing_folder",
]

#: Ends of the names of the folders beside an output: of checkpoints, and of shards that are being written.
TRAINING, UNFINISHED = ".training", ".unfinished"


def check_place(path: str | Path, is_ours: Callable[[Path], bool] | None = None, *, overwrite: bool = False) -> None:
    """Check, ahead of long work, that a folder may be written at `path`: nothing is there, or it is empty, or ours.

    What is replaced is removed in the end, so `is_ours` must recognize what the caller writes; without it nothing is
    ever replaced, and a link never is. Raises: ArtifactExistsError where something is there and `overwrite` is false;
    ArtifactError where it is not ours, or nothing can be written there. Changes nothing.
    """
    target = expanded(path)
    check_writable(target)
    is_folder = target.is_dir() and not target.is_symlink()
    try:
        if not os.path.lexists(target) or (is_folder and not any(target.iterdir())):
            return
    except OSError as error:
        raise ArtifactError(f"{target} cannot be read: {error.strerror}. Choose another path", path=target) from error
    if is_ours is None:
        raise ArtifactExistsError(f"{target} already exists; nothing was written. Choose another path", path=target)
    if not is_folder or not is_ours(target):
        kind = ArtifactError if overwrite else ArtifactExistsError
        raise kind(
            f"{target} exists and was not made by tokframe; nothing was written. Choose another path", path=target
        )
    if not overwrite:
        raise ArtifactExistsError(
            f"{target} already exists; nothing was written. Use --overwrite (overwrite=True) or choose another path",
            path=target,
        )


def check_writable(path: str | Path) -> None:
    """Check, ahead of long work, that something can be written at `path`; missing parents would be made.

    Raises: ArtifactError. Leaves nothing behind.
    """
    target = expanded(path)
    _check_here(target)
    try:
        os.lstat(target)
    except FileNotFoundError:
        pass
    except (OSError, ValueError) as error:
        raise _unwritable(target, error) from error
    parent = target.absolute().parent
    while not os.path.lexists(parent):
        parent = parent.parent
    if not parent.is_dir():
        raise ArtifactError(f"cannot write {target}: {parent} is not a folder. Choose another path", path=target)
    try:
        with tempfile.TemporaryFile(dir=parent):
            pass
    except OSError as error:
        raise _unwritable(target, error, f" in {parent}") from error


def check_file(path: str | Path) -> None:
    """Check, ahead of long work, that `write_output` can write the file `path`. Raises: ArtifactError."""
    target = expanded(path)
    if target.is_dir() or str(path).endswith(("/", os.sep)):
        raise ArtifactError(f"{path} is a folder; name a file in it", path=target)
    _check_here(target)
    if not target.parent.is_dir():
        raise ArtifactError(f"there is no folder {target.parent}; create it first", path=target)
    if os.path.exists(target) and not os.access(target, os.W_OK):
        raise ArtifactError(f"no permission to write {path}. Choose another path", path=target)
    if _is_replaceable(target):
        check_writable(os.path.realpath(target))


def _check_here(target: Path) -> None:
    """Raises: ArtifactError for an address in place of a path, whose folders would be made here."""
    if is_address(target):
        raise ArtifactError(f"{target} is an address, not a path. Write to a folder here, and upload that", path=target)


def write_output(path: str | Path, data: bytes) -> None:
    """Write a file, replaced whole where one is there; a link is followed, and a device or a pipe is written to.

    Raises: ArtifactError.
    """
    target = expanded(path)
    try:
        if _is_replaceable(target):
            atomic.write_atomically(Path(os.path.realpath(target)), data)
        else:
            target.write_bytes(data)
    except OSError as error:
        raise _unwritable(target, error) from error


def _is_replaceable(target: Path) -> bool:
    """Return whether a path is a file or nothing yet; not a device, a pipe or what the shell has opened."""
    opened = target.is_absolute() and target.parts[1:2] in (("dev",), ("proc",))
    return not opened and (target.is_file() or not os.path.exists(target))


def _unwritable(target: Path, error: OSError | ValueError, where: str = "") -> ArtifactError:
    reason = getattr(error, "strerror", None) or str(error)
    return ArtifactError(f"cannot write {target}: {reason}{where}. Choose another path", path=target)


def outputs(path: str | Path) -> tuple[Path, ...]:
    """Return where a run with its output at `path` writes: there, and in folders named after it until it is done."""
    target = named(path)
    return target, *(target.with_name(target.name + suffix) for suffix in (TRAINING, UNFINISHED))


@contextmanager
def disk_errors(folder: Path) -> Iterator[None]:
    """Turn what the disk refuses to do in a folder meanwhile into an ArtifactError."""
    try:
        yield
    except TokframeError:  # some are OSErrors too
        raise
    except OSError as error:
        place = Path(os.fsdecode(error.filename2 or error.filename or folder))
        if not place.is_relative_to(folder):
            raise
        raise _unwritable(place, error) from error


@contextmanager
def claimed_place(
    path: str | Path, is_ours: Callable[[Path], bool] | None = None, *, overwrite: bool = False
) -> Iterator[None]:
    """Check a place as `check_place` does, and keep other runs from writing there during the work that follows.

    Raises: as `check_place` and `locks.exclusive`.
    """
    check_place(path, is_ours, overwrite=overwrite)
    with exclusive(named(path)):
        check_place(path, is_ours, overwrite=overwrite)  # another run may have ended in between
        yield


@contextmanager
def writing_folder(
    path: str | Path, is_ours: Callable[[Path], bool] | None = None, *, overwrite: bool = False
) -> Iterator[Path]:
    """Yield an empty folder to fill; at the end it is flushed to disk and moved to `path` in one step.

    A crash at any moment leaves what was there before. Raises: as `check_place`; ArtifactExistsError if another
    process wrote there meanwhile, whose folder stays; ArtifactError if the disk refuses.
    """
    target = expanded(path).absolute()
    found = atomic.identity(target)
    check_place(target, is_ours, overwrite=overwrite)
    try:
        with atomic.temporary_sibling(target) as folder:
            yield folder
            try:
                atomic.replace_folder(folder, target, found)
            except FileExistsError as error:
                raise ArtifactExistsError(
                    f"{target} was written by another process while this one was saving; theirs is whole and was "
                    "kept, nothing of this one was. Use --overwrite (overwrite=True) or choose another path",
                    path=target,
                ) from error
    except ArtifactError:  # some are OSErrors too
        raise
    except OSError as error:
        raise _unwritable(target, error) from error
