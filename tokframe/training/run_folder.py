"""Run folder: `OUT.training`, where a training run that will be saved at OUT keeps its checkpoints until then.

What the checkpoints are is left to what is trained.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from tokframe.errors import TokframeError, TrainingError
from tokframe.storage.manifest import FolderFormat
from tokframe.storage.paths import named
from tokframe.storage.places import TRAINING, disk_errors, outputs
from tokframe.training.progress import Reporter
from tokframe.training.torchrun import is_first

if TYPE_CHECKING:
    from tokframe.corpus.files import Corpus

__all__ = ["has_files", "keep_checkpoints", "kept_checkpoints", "mark_run", "run_folder", "without_output"]

_MARK = ".tokframe-run"  # says that a folder is a run's, which is removed at its end
_KEEP = ".tokframe-keep"  # says that it is kept: what was saved can be trained further


def without_output(corpus: Corpus | str | Path | Sequence[str | Path], out: str | Path, reporter: Reporter) -> Corpus:
    """Return a corpus, opened, without what this run or an earlier one at `out` wrote; say so. Raises: CorpusError."""
    from tokframe.corpus.files import Corpus

    text = corpus if isinstance(corpus, Corpus) else Corpus.open(corpus)
    others = text.without(*outputs(out))
    if count := len(text.files) - len(others.files):
        reporter.note(
            f"left out: {count:,} file{'s' if count > 1 else ''} of the corpus at {out}, where the results go"
        )
    return others


def has_files(folder: Path) -> bool:
    """Return whether anything was kept in a run folder: temporary files, which are hidden, do not count."""
    return any(path.is_file() and not path.name.startswith(".") for path in folder.rglob("*"))


def mark_run(work: Path) -> None:
    """Make a folder, without its parents, that a run may continue from and that its end removes. Raises: OSError."""
    work.mkdir(exist_ok=True)
    (work / _MARK).touch()


def keep_checkpoints(work: Path) -> None:
    """Have a run folder kept though its run is done, so that the run can be resumed with another limit."""
    (work / _KEEP).touch()


def kept_checkpoints(out: str | Path) -> bool:
    """Return whether the run folder of what was saved at `out` was kept."""
    target = named(out)
    return (target.with_name(target.name + TRAINING) / _KEEP).is_file()


@contextmanager
def run_folder(
    out: str | Path,
    form: FolderFormat,
    *,
    resume: bool,
    overwrite: bool,
    reporter: Reporter,
    resumable: Callable[[Path], bool] = has_files,
) -> Iterator[Path]:
    """Keep `out` for this run alone, and yield its folder of checkpoints; both are whole paths from the root.

    The folder is removed once the body is done, unless `keep_checkpoints` was called, and where it failed with nothing
    in it that is `resumable`. Of processes that torchrun started together the first does all this.

    Raises: as `FolderFormat.claiming`; TrainingError where the folder holds an earlier run that is not to be resumed,
    or something that is not a run; ArtifactError for what the disk refuses in it meanwhile.
    """
    target = named(out)
    work = target.with_name(target.name + TRAINING)
    if not is_first():
        form.check_place(target, overwrite=overwrite)
    with form.claiming(target, overwrite=overwrite) if is_first() else nullcontext():
        if is_first():
            _begin(work, reporter, resume=resume, found=resumable(work))
        try:
            with disk_errors(work):
                yield work
        except (TokframeError, KeyboardInterrupt):
            if is_first() and not resumable(work):
                shutil.rmtree(work, ignore_errors=True)
            raise
        if is_first() and not (work / _KEEP).is_file():
            shutil.rmtree(work, ignore_errors=True)


def _begin(work: Path, reporter: Reporter, *, resume: bool, found: bool) -> None:
    """Make a run's folder, or take over the one that is there. Raises: TrainingError."""
    try:
        if work.is_symlink() or (work.exists() and not (work / _MARK).is_file() and any(work.iterdir())):
            raise TrainingError(f"{work} exists and was not made by this version of tokframe. Move it away")
        if found and not resume:
            raise TrainingError(
                f"{work} holds an earlier run that was not finished; nothing was overwritten. Use --resume "
                "(resume=True) to continue it, or remove the folder to start again"
            )
        if resume and not found:
            reporter.note(f"nothing to resume: {work} holds no checkpoint. Starting from the beginning")
        mark_run(work)
        (work / _KEEP).unlink(missing_ok=True)
    except OSError as error:
        raise TrainingError(f"cannot write {work}: {error.strerror or error}") from error
