"""The whole road from text to a compiled codebook: mine, prune, train, keep what is exact, prune again, compile.

Each stage leaves its result in the job's work folder, so that a run that was stopped goes on where it was. Of several
processes the first does all but the training; the others wait for its pool and its codebook.
"""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Iterator
from functools import partial
from importlib import metadata
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from tokframe_dictionary.mining import Gathered, Pool, Source, Workers, balance, mine, prune
from tokframe_dictionary.vocabulary.table import FIRST_LEARNED, Codebook

from tokframe.errors import CorpusError, TrainingError, TrainingInterrupted
from tokframe.storage.atomic import write_atomically
from tokframe.storage.strictjson import canonical_json, parse_json
from tokframe_autoencoder.config import Parts, resolve
from tokframe_autoencoder.pipeline.pool import TrainingPool
from tokframe_autoencoder.training.config import MAY_CHANGE

if TYPE_CHECKING:
    from tokframe_torch.processes import Processes

    from tokframe.training.job import TrainJob
    from tokframe_autoencoder.training.results import TrainedNetwork

__all__ = ["train"]

_BYTES = tuple(bytes([value]) for value in range(256))
_RUN = "run.json"
_MAY_CHANGE = {"mining": ("workers",), "training": MAY_CHANGE}
#: Segments never trained on, for the record of how the network generalises.
_UNSEEN = 4096

Trained = tuple[Codebook, Parts, dict[str, npt.NDArray[Any]], dict[str, bytes]]


def train(job: TrainJob) -> Trained:
    """Return codebook, parts, weights and the files that record the run.

    Raises: ConfigError; CorpusError; TrainingError if the work folder holds another run or nothing can be learnt;
    TrainingInterrupted with every finished stage and the last checkpoint kept.
    """
    spec = job.registry.tokenizer(job.name)
    parts = resolve(job.config, job.registry, spec.defaults)
    parts.network()  # a part that cannot be built is told before the text is read
    seed = parts.training.seed if job.seed is None else job.seed
    from safetensors.numpy import load, save
    from tokframe_torch.processes import process_group

    with process_group(job.device, job.workdir) as processes:
        if processes.main:
            sources, record = _read(job, parts, seed)
            _claim(job, record)
            pool = TrainingPool.read(job.workdir) or _make_pool(job, parts, sources)
            _check_stop(job)
            processes.broadcast(pool.to_bytes())
        else:  # mining here too would only need the text and the memory once more
            pool = TrainingPool.from_bytes(processes.broadcast())
        trained = _train_network(job, parts, pool, seed, processes)
        tables = written = b""
        if processes.main:
            codebook, chosen = _compile(job, parts, pool, sources, trained)
            record |= {"network": _figures(trained, pool), "vocabulary": _vocabulary(codebook, chosen, sources)}
            tables, written = save(codebook.tensors()), canonical_json(record)
        codebook = Codebook.from_tensors(load(processes.broadcast(tables)))
        return codebook, parts, trained.network.arrays(), {"training.json": processes.broadcast(written)}


def _read(job: TrainJob, parts: Parts, seed: int) -> tuple[tuple[Source, ...], dict[str, Any]]:
    """Read the corpus once: the balanced sources, and the record of what this run is."""
    job.reporter.stage("reading", len(job.corpus.files), "files")
    texts: dict[str, Gathered] = {}
    mining = parts.mining
    digests: dict[str, Any] = {}
    listed = []
    for number, file in enumerate(job.corpus.files):
        size = 0
        digest = digests.setdefault(file.source, hashlib.sha256())
        for document in file.documents():
            data = document.encode()
            size += len(data)
            digest.update(data)
            if file.source not in texts:
                texts[file.source] = Gathered(mining.budget, partial(_again, job, file.source))
            texts[file.source].add(data)
        listed.append((file.source, size))
        job.reporter.advance(number + 1, source=file.source)
        _check_stop(job)
    sources = balance(
        texts,
        weights={name: float(weight) for name, weight in mining.weights.items()},
        flatness=mining.flatness,
        script=mining.script,
        budget=mining.budget,
    )
    if not sources:
        raise CorpusError("the corpus holds no text; give files with something in them")
    corpus = [
        {
            "source": name,
            "bytes": sum(size for source, size in listed if source == name),
            "files": sum(source == name for source, _ in listed),
            "sha256": digests[name].hexdigest(),
        }
        for name in texts
    ]
    return sources, {"tokenizer": job.name, "seed": seed, "config": parts.to_json(), "corpus": corpus}


def _again(job: TrainJob, source: str) -> Iterator[bytes]:
    """Read the documents of a source that is over its budget once more, to take its part of each stretch."""
    for file in job.corpus.files:
        if file.source == source:
            for document in file.documents():
                yield document.encode()
            _check_stop(job)


def _claim(job: TrainJob, record: dict[str, Any]) -> None:
    """Make the work folder this run's own, or go on with it. Raises: TrainingError if it is another run's."""
    path = job.workdir / _RUN
    if not path.is_file():
        job.workdir.mkdir(parents=True, exist_ok=True)
        write_atomically(path, canonical_json(record))
        return
    if not job.resume:
        raise TrainingError(
            f"{job.workdir} holds the checkpoints of an earlier run; nothing was overwritten. Say --resume to go on "
            "with it, or remove the folder to start anew"
        )
    found = parse_json(path.read_bytes(), str(path))
    differing = [key for key in record if _fixed(key, found.get(key)) != _fixed(key, record[key])]
    if differing:
        raise TrainingError(
            f"the run in {job.workdir} differs from this one in {', '.join(differing)}; give the same corpus, config "
            "and seed, or remove the folder to start anew"
        )


def _fixed(key: str, value: Any) -> Any:
    """Return a part of a run's record without what may change when the run is resumed."""
    if key != "config" or not isinstance(value, dict):
        return value
    kept = dict(value)
    for section, free in _MAY_CHANGE.items():
        if isinstance(value.get(section), dict):
            kept[section] = {name: setting for name, setting in value[section].items() if name not in free}
    return kept


def _workers(job: TrainJob, parts: Parts) -> Workers:
    return Workers(count=parts.mining.workers, check=lambda: _check_stop(job))


def _make_pool(job: TrainJob, parts: Parts, sources: tuple[Source, ...]) -> TrainingPool:
    mining, selection = parts.mining, parts.selection
    candidates = mine(
        sources,
        longest=min(parts.max_length, 16),
        frequency=mining.frequency,
        least=mining.least,
        limit=mining.limit,
        words=mining.words,
        workers=_workers(job, parts),
        reporter=job.reporter,
    )
    _check_stop(job)
    size = max(1, round((parts.vocab_size - FIRST_LEARNED) * (1 + selection.spare)))
    pool = _prune(job, parts, candidates.pieces, sources, size)
    if not len(pool):
        raise TrainingError("no segment occurs often enough to be learnt; give more text, or lower mining.least")
    taught = set(pool.pieces)
    others = [piece for piece in candidates.pieces if piece not in taught]
    step = max(1, len(others) // _UNSEEN)
    made = TrainingPool(
        segments=_BYTES + pool.pieces,
        uses=np.concatenate([pool.byte_counts, pool.counts]).astype(np.int64),
        unseen=tuple(others[::step][:_UNSEEN]),
    )
    made.write(job.workdir)
    return made


def _train_network(job: TrainJob, parts: Parts, pool: TrainingPool, seed: int, processes: Processes) -> TrainedNetwork:
    from tokframe_autoencoder.training.loop import train_network

    return train_network(
        parts.network,
        pool.segments,
        np.maximum(pool.uses, 1).astype(np.float64),
        parts.training,
        workdir=job.workdir / "network",
        resume=True,  # `_claim` has settled whether this is the same run
        reporter=job.reporter,
        should_stop=job.should_stop,
        processes=processes,
        seed=seed,
        identity=canonical_json(_fixed("config", parts.to_json())).decode(),
    )


def _compile(
    job: TrainJob, parts: Parts, pool: TrainingPool, sources: tuple[Source, ...], trained: TrainedNetwork
) -> tuple[Codebook, Pool]:
    """Choose the best of what the network has made exact, and freeze it."""
    usable = trained.usable & (trained.roundtrip.scores >= min(parts.training.score_margin, 0.1))
    codes = {
        piece: int(code)
        for piece, code, good in zip(pool.segments, trained.roundtrip.codes, usable, strict=True)
        if good
    }
    learnt = [piece for piece in pool.segments[256:] if piece in codes]
    job.reporter.note(
        f"{len(learnt):,} of {len(pool.segments) - 256:,} segments and {sum(p in codes for p in _BYTES)} of 256 single "
        "bytes are exact through the network, each on a code of its own"
    )
    wanted = parts.vocab_size - FIRST_LEARNED
    chosen = _prune(job, parts, learnt, sources, wanted).by_use()
    if len(chosen) < wanted:
        job.reporter.note(
            f"the vocabulary has {len(chosen) + FIRST_LEARNED:,} ids instead of {parts.vocab_size:,}: the text has no "
            "more segments worth an id, or training ended before they were learnt"
        )
    counts = dict(zip(chosen.pieces, chosen.counts.tolist(), strict=True))
    counts |= dict(zip(_BYTES, chosen.byte_counts.tolist(), strict=True))
    return Codebook.build(chosen.pieces, codes, counts), chosen


def _prune(job: TrainJob, parts: Parts, pieces: Any, sources: tuple[Source, ...], size: int) -> Pool:
    selection = parts.selection
    return prune(
        pieces,
        sources,
        size,
        keep=selection.keep,
        breadth=selection.breadth,
        block=selection.block,
        workers=_workers(job, parts),
        reporter=job.reporter,
    )


def _figures(trained: TrainedNetwork, pool: TrainingPool) -> dict[str, Any]:
    """Return what is worth recording of the network, on what it was taught and on what it never saw."""
    names = ("character_accuracy", "perplexity", "exact_rate")
    unseen = trained.network.roundtrip(list(pool.unseen)) if pool.unseen else None
    return {
        "segments": len(pool.segments),
        "steps": trained.steps,
        "finished": trained.finished,
        "taught": {
            name: round(float(value), 6) for name, value in trained.roundtrip.figures().items() if value is not None
        },
        "never_taught": {name: round(float(getattr(unseen, name)), 6) for name in names} if unseen else {},
        "versions": _versions(),
    }


def _vocabulary(codebook: Codebook, chosen: Pool, sources: tuple[Source, ...]) -> dict[str, Any]:
    return {
        "ids": codebook.vocab_size,
        "sources": [{"source": s.name, "weight": round(s.weight, 6), "tokens": chosen.tokens[s.name]} for s in sources],
    }


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in ("tokframe", "tokframe-autoencoder", "torch", "numpy"):
        found[name] = metadata.version(name)
    return found


def _check_stop(job: TrainJob) -> None:
    if job.should_stop():
        raise TrainingInterrupted(
            f"stopped before training was over; finished stages are kept in {job.workdir}", checkpoint=job.workdir
        )
