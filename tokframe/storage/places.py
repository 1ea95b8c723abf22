"""Output places: whether something may be written at a path, and folders written there whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tokframe.errors import ArtifactError, ArtifactExistsError
from tokframe.storage import atomic
from tokframe.storage.paths import expanded

__all__ = ["check_place", "writing_folder"]


def check_place(path: str | Path, is_ours: Callable[[Path], bool] | None = None, *, overwrite: bool = False) -> None:
    """Check, ahead of long work, that a folder may be written at `path`: nothing is there, or it is empty, or ours.

    What is replaced is removed in the end, so `is_ours` must recognize what the caller writes; without it nothing is
    ever replaced, and a link never is. Raises: ArtifactExistsError where something is there and `overwrite` is false;
    ArtifactError where it is not ours. Changes nothing.
    """
    target = expanded(path)
    is_folder = target.is_dir() and not target.is_symlink()
    if not os.path.lexists(target) or (is_folder and not any(target.iterdir())):
        return
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
        raise ArtifactError(f"cannot write {target}: {error.strerror or error}", path=target) from error
