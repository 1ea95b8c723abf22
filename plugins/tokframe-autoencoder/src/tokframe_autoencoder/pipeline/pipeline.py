"""From a training job to a compiled codebook: mine, prune, train the network, keep what is exact, prune again.

Each stage leaves its result in the job's work folder, from which an interrupted run resumes. Of several processes the
first does all but the training of the network; the others wait for its pool and its codebook.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from attrs import evolve, frozen
from safetensors.numpy import load, save
from tokframe_dictionary.mining.pruning import Pool
from tokframe_dictionary.mining.sources import Source
from tokframe_dictionary.mining.workers import Workers
from tokframe_dictionary.pipeline import Miner, use_counts, versions, vocabulary_record
from tokframe_dictionary.vocabulary.table import FIRST_BYTE, FIRST_LEARNED, SINGLE_BYTES

from tokframe.errors import TrainingError
from tokframe.storage.advice import install_command
from tokframe.storage.atomic import write_atomically
from tokframe.storage.state import Tensors
from tokframe.storage.strictjson import canonical_json, read_json
from tokframe.training.run_folder import keep_checkpoints
from tokframe_autoencoder.codebook import Codebook
from tokframe_autoencoder.config import Parts, resolve
from tokframe_autoencoder.pipeline.pool import TrainingPool
from tokframe_autoencoder.pipeline.verify import vector_cosines
from tokframe_autoencoder.training.config import MAY_CHANGE
from tokframe_autoencoder.training.plan import use_classes
from tokframe_autoencoder.vectors.neighbors import count_neighbors
from tokframe_autoencoder.vectors.table import GROUP, NO_CLASS, VectorTable

if TYPE_CHECKING:
    from tokframe_torch.processes import Processes

    from tokframe.training.job import TrainJob
    from tokframe_autoencoder.training.results import TrainedNetwork

__all__ = ["RUN_FILE", "TrainedCodebook", "check_same", "network_figures", "prepared", "train", "train_pool"]

RUN_FILE = "run.json"
_MAY_CHANGE = {"mining": ("workers",), "training": MAY_CHANGE}
#: Segments never trained on, for the record of how the network generalizes.
MAX_UNSEEN = 4096


@frozen(kw_only=True, eq=False)
class TrainedCodebook:
    """A compiled codebook, the parts of its network, its other groups of tensors, and the JSON `record` of the run."""

    codebook: Codebook
    parts: Parts
    groups: dict[str, Tensors]
    record: bytes


def train(job: TrainJob) -> TrainedCodebook:
    """Train a network on a job's corpus and compile it.

    Raises: ConfigError; CorpusError; TrainingError if the work folder holds another run or nothing can be learned;
    TrainingInterrupted with every finished stage and the last checkpoint kept.
    """
    parts = prepared(job)
    from tokframe_torch.processes import process_group

    seed = parts.training.seed if job.seed is None else job.seed
    miner = Miner(job, parts.mining, parts.selection, longest=parts.max_length, checkpoint=job.workdir)
    with process_group(job.device, job.workdir) as processes:
        if not processes.main:  # mining here too would only need the text and the memory once more
            pool = TrainingPool.from_bytes(processes.broadcast())
            trained = train_pool(job, parts, pool, seed, processes)
            codebook, record = Codebook.from_tensors(load(processes.broadcast())), processes.broadcast()
        else:
            sources, corpus = miner.read()
            run = {"tokenizer": job.name, "seed": seed, "config": parts.to_json(), "corpus": corpus}
            check_same(job, run)
            pool = TrainingPool.read(job.workdir) or _make_pool(job, parts, miner, sources, run)
            miner.check_stop()
            processes.broadcast(pool.to_bytes())
            trained = train_pool(job, parts, pool, seed, processes)
            codebook, chosen = _compile(job, parts, miner, pool, sources, trained)
            run |= {"network": network_figures(trained, pool), "vocabulary": vocabulary_record(chosen, sources)}
            run["history"] = [_finite(figures) for figures in trained.history]
            if pool.vectors is not None:
                table = _table(codebook, pool, pool.vectors, trained)
                segments = [codebook.token_bytes(token) for token in range(codebook.vocab_size)]
                cosines = vector_cosines(segments, table, trained.network)
                run["vectors_cosine"] = float(cosines.mean()) if len(cosines) else 0.0
            record = canonical_json(run)
            processes.broadcast(save(codebook.tensors()))
            processes.broadcast(record)
        groups: dict[str, Tensors] = {"weights": trained.network.arrays()}
        if pool.vectors is not None:
            groups[GROUP] = _table(codebook, pool, pool.vectors, trained).tensors()
        return TrainedCodebook(codebook=codebook, parts=parts, groups=groups, record=record)


def prepared(job: TrainJob) -> Parts:
    """Return the checked config of a job, its parts tried. Raises: ConfigError; TrainingError; PluginBrokenError."""
    spec = job.registry.tokenizer(job.name)
    parts = resolve(job.config, job.registry, spec.defaults)
    parts.classes()  # what cannot be imported is reported before the text is read
    try:
        import tokframe_torch.processes  # noqa: F401  # whether it is there

        from tokframe_autoencoder.pipeline.trial import try_parts
    except ImportError as error:
        install = install_command("tokframe-autoencoder", "train")
        raise TrainingError(f"training needs {error.name}, which is not installed: {install}") from error
    try_parts(parts)
    return parts


def check_same(job: TrainJob, record: dict[str, Any]) -> None:
    """Raises: TrainingError if the work folder holds another run."""
    path = job.workdir / RUN_FILE
    if not path.is_file():
        return
    found = read_json(path)
    differing = [key for key in record if _fixed(key, found.get(key)) != _fixed(key, record[key])]
    if differing:
        raise TrainingError(
            f"the run in {job.workdir} differs from this one in {', '.join(differing)}; give the same corpus, config "
            "and seed, or remove the folder to start again"
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


def _make_pool(
    job: TrainJob, parts: Parts, miner: Miner, sources: tuple[Source, ...], run: dict[str, Any]
) -> TrainingPool:
    """Mine, and keep the result beside the record of the run: the first that a resumed run can use."""
    learned = parts.vocab_size - FIRST_LEARNED
    required = miner.required(sources, learned)  # first: what does not fit is said before the work
    candidates = miner.mine(sources).segments
    size = max(1, round(learned * (1 + parts.selection.spare)))
    pool = miner.pruning(sources, required).prune([*required.all, *candidates], size)
    trained = set(pool.segments)
    others = [segment for segment in candidates if segment not in trained]
    step = max(1, len(others) // MAX_UNSEEN)
    made = TrainingPool(
        segments=SINGLE_BYTES + pool.segments,
        uses=np.concatenate([pool.byte_counts, pool.counts]).astype(np.int64),
        unseen=tuple(others[::step][:MAX_UNSEEN]),
    )
    if parts.training.guide == "use":
        made = evolve(made, vectors=_vectors(job, miner, sources, made, parts.training.use_dimensions))
    write_atomically(job.workdir / RUN_FILE, canonical_json(run))
    made.write(job.workdir)
    return made


def _vectors(
    job: TrainJob, miner: Miner, sources: tuple[Source, ...], pool: TrainingPool, dimensions: int
) -> npt.NDArray[np.float32]:
    """Return what the text says of the use of each segment, (segments, dimensions)."""
    from tokframe_autoencoder.vectors.use import use_vectors

    workers = Workers(count=miner.mining.workers, check=miner.check_stop)
    job.reporter.stage("counting neighbors", None, "blocks")
    counts = count_neighbors([source.data for source in sources], pool.segments, pool.uses, workers)
    job.reporter.stage("use vectors", None, "vectors")
    return use_vectors(counts, pool.segments, pool.uses, dimensions)


def train_pool(job: TrainJob, parts: Parts, pool: TrainingPool, seed: int, processes: Processes) -> TrainedNetwork:
    """Train the network of a job on a pool, or go on with it. Raises: TrainingError; TrainingInterrupted."""
    from tokframe_autoencoder.training.loop import train_network

    return train_network(
        parts.network,
        pool.segments,
        np.maximum(pool.uses, 1).astype(np.float64),
        evolve(parts.training, seed=seed),
        workdir=job.workdir / "network",
        resume=True,  # `check_same` has checked that this is the same run
        reporter=job.reporter,
        should_stop=job.should_stop,
        processes=processes,
        identity=canonical_json(_fixed("config", parts.to_json())).decode(),
        vectors=pool.vectors,
    )


def _compile(
    job: TrainJob, parts: Parts, miner: Miner, pool: TrainingPool, sources: tuple[Source, ...], trained: TrainedNetwork
) -> tuple[Codebook, Pool]:
    """Choose the best of what the network has made exact, and freeze it."""
    rows = zip(pool.segments, trained.roundtrip.codes.tolist(), trained.eligible, strict=True)
    codes = {segment: code for segment, code, good in rows if good}
    learned = [segment for segment in pool.segments[256:] if segment in codes]
    job.reporter.note(
        f"{len(learned):,} of {len(pool.segments) - 256:,} segments and {len(codes) - len(learned)} of 256 single "
        "bytes are exact through the network, each on a code of its own"
    )
    size = parts.vocab_size - FIRST_LEARNED
    pruning = miner.pruning(sources, miner.required(sources, size))
    chosen = pruning.rank(pruning.prune(learned, size)).by_use()
    ids = FIRST_LEARNED + len(chosen)
    missing = len(pool.segments) - 256 - len(learned)
    if trained.finished == "minutes" and missing and ids < parts.vocab_size:
        keep_checkpoints(job.workdir)
        warnings.warn(
            f"training ended after {trained.minutes:.1f} minutes (training.max_minutes), and {missing:,} of "
            f"{len(pool.segments) - 256:,} segments were not learned: the vocabulary has {ids:,} ids instead of "
            f"{parts.vocab_size:,}. The checkpoint is kept in {job.workdir}: set a larger training.max_minutes and "
            "train again with --resume --overwrite (resume=True, overwrite=True)",
            RuntimeWarning,
            stacklevel=2,
        )
    elif ids < parts.vocab_size:
        job.reporter.note(
            f"the vocabulary has {ids:,} ids instead of {parts.vocab_size:,}: "
            + (
                f"training ended at training.max_steps={parts.training.max_steps:,} after {len(learned):,} of "
                f"{len(pool.segments) - 256:,} segments were learned. For the others, raise it"
                if trained.finished == "steps" and missing
                else "the text has no more segments worth an id"
            )
        )
    return Codebook.build(chosen.segments, use_counts(chosen), codes, ranks=chosen.ranks), chosen


def _table(
    codebook: Codebook, pool: TrainingPool, vectors: npt.NDArray[np.float32], trained: TrainedNetwork
) -> VectorTable:
    """Return the vectors and the classes, over all that was trained, of what has an id."""
    levels = tuple(getattr(trained.network.quantizer, "shape", ()))
    classes = use_classes(vectors, np.maximum(pool.uses, 1).astype(np.float64), levels)
    numbers = {segment: number for number, segment in enumerate(pool.segments)}
    rows = [numbers[segment] for segment in codebook.segments]
    special = np.zeros((FIRST_BYTE, vectors.shape[1]), np.float32)
    return VectorTable.of(
        np.concatenate([special, vectors[rows]]), np.concatenate([np.full(FIRST_BYTE, NO_CLASS), classes[rows]])
    )


def _finite(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Return figures as JSON data, rounded; None for what is not a number, such as a mean of nothing."""
    return {
        name: (round(value, 6) if math.isfinite(value) else None) if isinstance(value, float) else value
        for name, value in figures.items()
    }


def _rounded(figures: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: round(float(value), 6) if isinstance(value, float) else value
        for name, value in figures.items()
        if name.startswith(("use_", "class_"))
    }


def network_figures(trained: TrainedNetwork, pool: TrainingPool) -> dict[str, Any]:
    """Return the record of the network: how exact it is on what it was trained on and on other segments."""
    names = ("character_accuracy", "perplexity", "exact_rate")
    taught = trained.roundtrip.figures()
    unseen = trained.network.roundtrip(pool.unseen) if pool.unseen else None
    held = [figures for figures in trained.history if figures["stage"] == "use" and figures["held_out"]]
    shares = [figures["planned_cluster_share"] for figures in trained.history if "planned_cluster_share" in figures]
    return {
        "segments": len(pool.segments),
        "steps": trained.steps,
        "finished": trained.finished,
        "taught": {name: round(float(value), 6) for name, value in taught.items() if value is not None},
        **({"planned_cluster_share": round(shares[-1], 6)} if shares else {}),
        **({"use": _rounded(trained.use)} if trained.use else {}),
        **({"held_out": _rounded(held[-1])} if held else {}),
        "never_taught": {name: round(float(getattr(unseen, name)), 6) for name in names} if unseen else {},
        "versions": versions("tokframe-autoencoder", "torch", "numpy"),
    }
