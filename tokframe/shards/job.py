"""tokenize: write a corpus as a folder of token shards, by any engine; resumable and atomic.

Shards are written to DIR.unfinished beside DIR; after the last one the index is written and the folder renamed.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from attrs import asdict, evolve

from tokframe.corpus.faults import Faults
from tokframe.corpus.files import Corpus
from tokframe.errors import CorpusError, EngineError, ShardsError, ShardsInterrupted
from tokframe.loading import loading
from tokframe.shards import engines
from tokframe.shards.index import FORMAT, Shard, assembled, read_index, shards_errors
from tokframe.shards.planning import Unit, automatic_size, plan
from tokframe.shards.reading import TokenShards
from tokframe.shards.settings import ShardSettings
from tokframe.shards.writing import UNITS, UnitResult, UnitWriter
from tokframe.storage.atomic import identity, replace_folder, write_atomically
from tokframe.storage.paths import named
from tokframe.storage.places import UNFINISHED, claimed_place
from tokframe.storage.regular import read_regular
from tokframe.storage.settings import check
from tokframe.storage.strictjson import canonical_json
from tokframe.tokenizer.base import ITokenizer
from tokframe.training.interruption import interruptible
from tokframe.training.progress import AUTO, SILENT, Reporter, shows_progress
from tokframe.training.run_folder import without_output

__all__ = ["tokenize", "unfinished"]

_JOB = "job.json"
_REPLACED = b"older shards that a run was about to remove when it was killed"


@shows_progress
def tokenize(
    name: ITokenizer | str | Path,
    *,
    corpus: Corpus | str | Path | Sequence[str | Path],
    out: str | Path,
    engine: str = engines.LOCAL,
    workers: int | None = None,
    split: str = "file",
    shard_size: int = 0,
    add_special: bool = True,
    begin: str = "",
    end: str = "",
    layout: str = "bin",
    settings: ShardSettings | None = None,
    resume: bool = False,
    overwrite: bool = False,
    reporter: Reporter | None = AUTO,
    should_stop: Callable[[], bool] | None = None,
) -> TokenShards:
    """Write a corpus as token shards, by a tokenizer itself or by name or path, at `out`, and return them open.

    The files depend on text, tokenizer and settings, never on the engine or its workers. `workers` is by default one
    for each core. `split` to `layout` are those of `ShardSettings`, unless `settings` holds them all. `resume`
    continues an unfinished run; `overwrite` replaces older shards once the new ones are done, and an unfinished run
    immediately.

    Raises: ShardsError, before any work, if `out` may not be written; CorpusError; EncodingError for `begin` or
    `end` that is not a special token; EngineError; ShardsInterrupted when `should_stop` became true.
    """
    target, reporter = named(out), reporter or SILENT
    with interruptible(should_stop) as stop, _claimed(target, overwrite=overwrite):
        found = identity(target)
        run = engines.engine(engine)
        loaded = name if isinstance(name, ITokenizer) else loading.load(name)
        text = without_output(corpus, target, reporter)
        settings = settings or ShardSettings(
            split=split, shard_size=shard_size, add_special=add_special, begin=begin, end=end, layout=layout
        )
        check(settings)
        settings = evolve(settings, shard_size=settings.shard_size or automatic_size(text))
        units = plan(text, settings.shard_size, settings.split)
        made_of = _made_of(loaded, text, settings)
        work = unfinished(target)
        before, after = loaded.template() if settings.add_special else ((), ())
        writer = UnitWriter(
            tokenizer=loaded,
            folder=work,
            dtype=made_of["dtype"],
            settings=settings,
            before=(*_special(loaded, settings.begin, but=before), *before),
            after=(*after, *_special(loaded, settings.end, but=after)),
        )
        with _workplace(work, text, made_of, len(units), reporter, resume=resume, overwrite=overwrite):
            done: dict[int, UnitResult] = {}
            progress = _Progress(reporter, units)
            for result in run(writer, units, workers=workers, should_stop=stop):
                if not isinstance(result, UnitResult):
                    raise EngineError(f"engine {engine!r} yielded {result!r:.60}; expected what work(item) returned")
                done[result.number] = result
                progress.add(result)
            if len(done) < len(units) and not stop():
                raise EngineError(
                    f"engine {engine!r} ended with {len(done)} of {len(units)} parts of the corpus done, and nothing "
                    "had asked it to stop; it must yield work(item) of every item"
                )
            if len(done) < len(units):
                raise ShardsInterrupted(
                    f"stopped with {len(done)} of {len(units)} parts of the corpus done; "
                    + (f"they are kept in {work}" if done else "nothing was kept"),
                    path=work,
                )
            results = [done[number] for number in sorted(done)]
            shards = [shard for result in results for shard in result.shards]
            for result in results:
                text.faults.merge(result.left_out)
            if not shards:
                raise CorpusError(
                    "no text of the corpus can be read" + "".join(f"; {each}" for each in text.skipped[:1])
                )
            _check_files(work, shards, made_of["dtype"])
            text.check_unchanged()
            try:
                write_atomically(
                    work / FORMAT.manifest, canonical_json(assembled(made_of, shards, text.faults.summary()))
                )
                replace_folder(work, target, found)
                shutil.rmtree(target / UNITS, ignore_errors=True)
            except FileExistsError as error:
                raise ShardsError(
                    f"{target} was written by another process meanwhile, and was kept; the shards made here are whole, "
                    f"in {work}",
                    path=work,
                ) from error
            except OSError as error:
                raise ShardsError(f"cannot finish {target}: {error.strerror or error}", path=work) from error
            shutil.rmtree(work, ignore_errors=True)  # after an exchange: what was at `target` before
    return TokenShards.open(target)


def unfinished(out: str | Path) -> Path:
    """Return the folder in which shards for `out` are written until all are done."""
    target = named(out)
    return target.parent.resolve() / (target.name + UNFINISHED)


def _made_of(tokenizer: ITokenizer, corpus: Corpus, settings: ShardSettings) -> dict[str, Any]:
    """Return what determines every byte of the shards, the first part of the index."""
    return {
        "tokenizer": {
            "name": tokenizer.name,
            "sha256": tokenizer.sha256(),
            "vocab_size": tokenizer.vocab_size,
            "special_tokens": dict(tokenizer.special_tokens),
        },
        "dtype": "uint16" if tokenizer.vocab_size <= 1 << 16 else "int32",
        "settings": {**asdict(settings), "column": corpus.files[0].column},
        "corpus": [{"file": file.name, "bytes": file.stamp.size} for file in corpus.files],
    }


def _special(tokenizer: ITokenizer, text: str, *, but: Sequence[int]) -> list[int]:
    """Return the id of a special token, none for an empty name or one `but` already has. Raises: EncodingError."""
    ids = tokenizer.encode(text, False, allowed_special=[text]) if text else []
    return [token for token in ids if token not in but]


class _Progress:
    """Reports how much text is done, and the speed of what was done in this run."""

    def __init__(self, reporter: Reporter, units: Sequence[Unit]) -> None:
        self._reporter, self._started, self._left_out = reporter, time.monotonic(), Faults()
        self._done = self._tokens = self._new_tokens = self._new_bytes = 0
        reporter.stage("tokenize", sum(unit.weight for unit in units) / 1e6, "MB")

    def add(self, result: UnitResult) -> None:
        tokens = sum(shard.tokens for shard in result.shards)
        self._done, self._tokens = self._done + result.weight, self._tokens + tokens
        self._left_out.merge(result.left_out)
        if not result.kept:
            self._new_tokens += tokens
            self._new_bytes += sum(shard.bytes for shard in result.shards)
        seconds = max(time.monotonic() - self._started, 1e-9)
        self._reporter.advance(
            self._done / 1e6,
            tokens=self._tokens,
            **self._left_out.figures(),
            MB_per_s=self._new_bytes / 1e6 / seconds,
            tokens_per_s=self._new_tokens / seconds,
        )


# -- the folder ---------------------------------------------------------------------------------------------


def _is_ours(folder: Path) -> bool:
    try:
        read_index(folder)
    except ShardsError:
        return False
    return True


@contextmanager
def _claimed(target: Path, *, overwrite: bool) -> Iterator[None]:
    """Keep a place for one run. Raises: ShardsError."""
    with ExitStack() as stack:
        with shards_errors(target):
            stack.enter_context(claimed_place(target, _is_ours, overwrite=overwrite))
        yield


@contextmanager
def _workplace(
    work: Path,
    corpus: Corpus,
    made_of: Mapping[str, Any],
    units: int,
    reporter: Reporter,
    *,
    resume: bool,
    overwrite: bool,
) -> Iterator[None]:
    """Prepare the unfinished folder for this job. Raises: ShardsError."""
    job = canonical_json(
        {"made_of": made_of, "changed": [file.stamp.changed_ns for file in corpus.files], "units": units}
    )
    try:
        known = _known_job(work)
        if known is None:
            raise ShardsError(
                f"{work} exists and was not made by tokframe. Move it, or choose another --out", path=work
            )
        kept = _has_kept(work)
        if kept and not resume and not overwrite:
            raise ShardsError(
                f"{work} holds an unfinished run. Use --resume (resume=True) to continue, or --overwrite "
                "(overwrite=True) to start again",
                path=work,
            )
        (work / UNITS).mkdir(parents=True, exist_ok=True)
        if kept and known != job and resume:
            raise ShardsError(
                f"{work} holds an unfinished run of other text, another tokenizer or other settings. Use the same "
                "to continue, or --overwrite (overwrite=True) to start again",
                path=work,
            )
        if resume and not kept:
            reporter.note(f"nothing to resume: {work} holds no finished shard. Starting from the beginning")
        if known != job or not resume:
            _empty(work)
        _clear_temporary(work)
        write_atomically(work / UNITS / _JOB, job)
        try:
            yield
        finally:
            _clear_temporary(work)  # of workers that were killed, on a full disk perhaps
            if not _has_kept(work):
                shutil.rmtree(work, ignore_errors=True)
    except ShardsError:
        raise
    except OSError as error:
        raise ShardsError(f"cannot write {work}: {error.strerror or error}", path=work) from error


def _clear_temporary(work: Path) -> None:
    for left in (work / UNITS).glob("*.tmp-*"):
        with suppress(OSError):
            left.unlink()


def _has_kept(work: Path) -> bool:
    """Return whether an earlier run finished a unit of work that can be used."""
    return any((work / UNITS).glob("unit-*.json"))


def _known_job(work: Path) -> bytes | None:
    """Return the job of an unfinished folder, empty if none was started, None if the folder is not ours."""
    if not work.exists() and not work.is_symlink():
        return b""
    if work.is_symlink() or not work.is_dir():
        return None
    if (work / UNITS / _JOB).is_file():
        return read_regular(work / UNITS / _JOB, FORMAT.max_manifest_bytes)
    if {path.name for path in work.iterdir()} <= {UNITS}:
        return b""
    return _REPLACED if _is_ours(work) else None


def _empty(work: Path) -> None:
    for path in work.iterdir():
        if path.name != UNITS:
            path.unlink()
    for path in (work / UNITS).iterdir():
        path.unlink()


def _check_files(work: Path, shards: Sequence[Shard], dtype: str) -> None:
    """Raises: ShardsError where a worker's file is not here: it wrote to a folder of its own machine."""
    for shard in shards:
        for name, entry in shard.entries(dtype).items():
            path = work / name
            if not path.is_file() or path.stat().st_size != entry["bytes"]:
                raise ShardsError(
                    f"{path} was written by a worker and is not here. With several machines, --out must be in a "
                    "folder that all of them share",
                    path=work,
                )
