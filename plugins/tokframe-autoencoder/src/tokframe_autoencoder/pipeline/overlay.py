"""Overlay: a network trained on the segments of another tokenizer, whose ids stay as they are, for codes and vectors.

Which ids can have a code: the first of those with the same bytes, where these are no more than the network reads.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from attrs import frozen
from safetensors.numpy import load, save
from tokframe_dictionary.pipeline import Miner

from tokframe.errors import TrainingError, TrainingInterrupted
from tokframe.storage.atomic import write_atomically
from tokframe.storage.state import Tensors
from tokframe.storage.strictjson import canonical_json
from tokframe.tokenizer.base import ITokenizer
from tokframe.training.run_folder import keep_checkpoints
from tokframe_autoencoder.codebook import NO_CODE
from tokframe_autoencoder.config import Parts
from tokframe_autoencoder.pipeline.pipeline import RUN_FILE, check_same, network_figures, prepared, train_pool
from tokframe_autoencoder.pipeline.pool import TrainingPool
from tokframe_autoencoder.pipeline.verify import vector_cosines
from tokframe_autoencoder.training.plan import use_classes
from tokframe_autoencoder.vectors.neighbors import NeighborCounts, text_blocks
from tokframe_autoencoder.vectors.table import GROUP, NO_CLASS, VectorTable

if TYPE_CHECKING:
    from tokframe.training.job import TrainJob
    from tokframe_autoencoder.training.results import TrainedNetwork

__all__ = ["TrainedOverlay", "train"]

_BASE_KEY = "coded_vocabulary"


@frozen(kw_only=True, eq=False)
class TrainedOverlay:
    """`codes` (vocab_size,) of a tokenizer's ids, the network's parts and groups of tensors, the JSON `record`."""

    codes: npt.NDArray[np.int64]
    parts: Parts
    groups: dict[str, Tensors]
    record: bytes


def train(job: TrainJob) -> TrainedOverlay:
    """Train a network on the segments of `job.vocabulary`, with vectors from the corpus.

    Raises: ConfigError; CorpusError; TrainingError if the work folder holds another run or nothing has a code;
    TrainingInterrupted with every finished stage and the last checkpoint kept.
    """
    parts = prepared(job)
    from tokframe_torch.processes import process_group

    base: ITokenizer = job.vocabulary
    seed = parts.training.seed if job.seed is None else job.seed
    with process_group(job.device, job.workdir) as processes:
        if not processes.main:
            pool = TrainingPool.from_bytes(processes.broadcast())
            trained = train_pool(job, parts, pool, seed, processes)
            tensors, record = load(processes.broadcast()), processes.broadcast()
        else:
            segments = _segments(base)
            chosen = _chosen(segments, parts.max_length)
            miner = Miner(job, parts.mining, parts.selection, longest=parts.max_length, checkpoint=job.workdir)
            sources, corpus = miner.read()
            about = {"name": base.name, "ids": base.vocab_size, "sha256": base.sha256()}
            run = {
                "tokenizer": job.name,
                "seed": seed,
                "config": parts.to_json(),
                "corpus": corpus,
                _BASE_KEY: about,
            }
            check_same(job, run)
            kept = TrainingPool.read(job.workdir)
            if kept is None:
                kept = _counted(job, base, parts, segments, [source.data for source in sources])
                write_atomically(job.workdir / RUN_FILE, canonical_json(run))
                kept.write(job.workdir)
            pool = TrainingPool(
                segments=tuple(segments[token] for token in chosen),
                uses=kept.uses[chosen],
                unseen=(),
                vectors=None if kept.vectors is None else kept.vectors[chosen],
            )
            processes.broadcast(pool.to_bytes())
            trained = train_pool(job, parts, pool, seed, processes)
            codes = np.full(base.vocab_size, NO_CODE, np.int64)
            codes[chosen] = np.where(trained.eligible, trained.roundtrip.codes, NO_CODE)
            about |= _told(job, segments, codes, trained, parts.max_length)
            tensors = {"codes": codes}
            run["network"] = network_figures(trained, pool)
            if kept.vectors is not None:
                table = _table(kept.vectors, chosen, pool, trained)
                tensors |= table.tensors()
                cosines = vector_cosines(segments, table, trained.network)
                run["vectors_cosine"] = float(cosines.mean()) if len(cosines) else 0.0
            record = canonical_json(run)
            processes.broadcast(save(tensors))
            processes.broadcast(record)
        groups: dict[str, Tensors] = {"weights": trained.network.arrays()}
        codes = tensors.pop("codes")
        if tensors:
            groups[GROUP] = tensors
        return TrainedOverlay(codes=codes, parts=parts, groups=groups, record=record)


def _segments(base: ITokenizer) -> list[bytes]:
    """Return the bytes of each id, none of those that stand for no text."""
    textless = base.textless_ids
    return [b"" if token in textless else base.token_bytes(token) for token in range(base.vocab_size)]


def _chosen(segments: Sequence[bytes], longest: int) -> npt.NDArray[np.int64]:
    """Return the ids that a network can code, in order. Raises: TrainingError where there are none."""
    first: dict[bytes, int] = {}
    for token, segment in enumerate(segments):
        if 0 < len(segment) <= longest:
            first.setdefault(segment, token)
    if not first:
        raise TrainingError(f"no id of the vocabulary has 1 to {longest} bytes, so none can have a code")
    return np.fromiter(first.values(), np.int64, len(first))


def _counted(
    job: TrainJob, base: ITokenizer, parts: Parts, segments: Sequence[bytes], texts: Sequence[bytes]
) -> TrainingPool:
    """Return all ids with how often the text uses each and, where training asks for it, their vectors."""
    blocks = [bytes(block) for block in text_blocks(texts)]
    job.reporter.stage("encoding", sum(map(len, blocks)) / 1e6, "MB")
    found, done = [], 0
    for block in blocks:
        # A tokenizer may take only text; corpora are UTF-8, and blocks whole lines.
        found.append(base.encode_array(block.decode("utf-8", errors="replace"), False))
        done += len(block)
        _check_stop(job)
        job.reporter.advance(done / 1e6)
    uses = sum((np.bincount(ids, minlength=len(segments)) for ids in found), np.zeros(len(segments), np.int64))
    vectors = None
    if parts.training.guide == "use":
        from tokframe_autoencoder.vectors.use import use_vectors

        job.reporter.stage("counting neighbors", len(found), "blocks")
        # What stands for no text says nothing of its neighbors' use.
        counts = NeighborCounts.of(np.where([bool(segment) for segment in segments], uses, 0))
        for number, ids in enumerate(found, 1):
            counts.add(ids)
            _check_stop(job)
            job.reporter.advance(number)
        job.reporter.stage("use vectors", None, "vectors")
        vectors = use_vectors(counts, segments, uses, parts.training.use_dimensions)
        vectors[[not segment for segment in segments]] = 0
    return TrainingPool(segments=tuple(segments), uses=uses.astype(np.int64), unseen=(), vectors=vectors)


def _check_stop(job: TrainJob) -> None:
    if job.should_stop():
        raise TrainingInterrupted("stopped while the text was encoded; nothing was saved")


def _table(
    vectors: npt.NDArray[np.float32], chosen: npt.NDArray[np.int64], pool: TrainingPool, trained: TrainedNetwork
) -> VectorTable:
    """Return vectors and classes of all ids: those of ids that are not trained are the nearest to the others'."""
    assert pool.vectors is not None
    classes = np.full(len(vectors), NO_CLASS, np.int64)
    levels = tuple(getattr(trained.network.quantizer, "shape", ()))
    classes[chosen] = use_classes(pool.vectors, np.maximum(pool.uses, 1).astype(np.float64), levels)
    others = np.setdiff1d(np.flatnonzero(vectors.any(1)), chosen)
    return VectorTable.of(vectors, classes).with_vectors(others, vectors[others])


def _told(
    job: TrainJob,
    segments: Sequence[bytes],
    codes: npt.NDArray[np.int64],
    trained: TrainedNetwork,
    longest: int,
) -> dict[str, int]:
    """Say how many ids have a code and why others have none; return the counts."""
    coded = int((codes >= 0).sum())
    too_long = sum(len(segment) > longest for segment in segments)
    textless = sum(not segment for segment in segments)
    learned, missing = len(trained.eligible), int((~trained.eligible).sum())
    same = len(segments) - too_long - textless - learned
    counts = {
        "coded": coded,
        "too_long": too_long,
        "without_text": textless,
        "same_bytes": same,
        "not_learned": missing,
    }
    job.reporter.note(
        f"{coded:,} of {len(segments):,} ids have a code; without one are {too_long:,} of more than {longest} bytes, "
        f"{textless:,} that stand for no text, {same:,} with the bytes of another id and {missing:,} that the network "
        "does not reproduce"
    )
    if not coded:
        raise TrainingError("the network reproduces no segment exactly, so no id has a code; train with more steps")
    if trained.finished == "minutes" and missing:
        keep_checkpoints(job.workdir)
        warnings.warn(
            f"training ended after {trained.minutes:.1f} minutes (training.max_minutes), and {missing:,} of "
            f"{learned:,} segments were not learned: their ids have no code. The checkpoint is kept in {job.workdir}: "
            "set a larger training.max_minutes and train again with --resume --overwrite (resume=True, "
            "overwrite=True)",
            RuntimeWarning,
            stacklevel=2,
        )
    return counts
