"""From a training job to a vocabulary: read and weigh the sources, mine candidates, prune them, compile.

`Miner` offers the steps one by one, to tokenizers that put something between them.
"""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import evolve, field, fields, frozen

from tokframe.errors import ConfigError, CorpusError, TrainingError, TrainingInterrupted
from tokframe.storage.config import structure, unstructure
from tokframe.storage.strictjson import shortened
from tokframe.training.run_folder import has_files
from tokframe_dictionary.mining.aims import Aim
from tokframe_dictionary.mining.candidates import Candidates, mine
from tokframe_dictionary.mining.config import MiningConfig, SelectionConfig
from tokframe_dictionary.mining.coverage import Required, required_segments
from tokframe_dictionary.mining.pruning import Pool, Pruning
from tokframe_dictionary.mining.sources import Gathered, Source, balance
from tokframe_dictionary.mining.workers import Workers
from tokframe_dictionary.segmenter.reference import MAX_SEGMENT_BYTES
from tokframe_dictionary.vocabulary.table import FIRST_LEARNED, SINGLE_BYTES, Vocabulary

if TYPE_CHECKING:
    from tokframe.training.job import TrainJob
    from tokframe_dictionary.config import DictionaryConfig

__all__ = ["Miner", "extend", "train", "use_counts", "versions", "vocabulary_record"]

V = TypeVar("V", bound=Vocabulary)


def train(job: TrainJob, config: DictionaryConfig) -> tuple[Vocabulary, dict[str, Any]]:
    """Train a vocabulary on a job's corpus; return it and the record of the run, JSON data. Keeps no checkpoint.

    Raises: CorpusError; TrainingError if no segment is frequent enough; TrainingInterrupted on request.
    """
    miner = Miner(job, config.mining, config.selection)
    sources, corpus = miner.read()
    size = config.vocab_size - FIRST_LEARNED
    required = miner.required(sources, size)
    pruning = miner.pruning(sources, required)
    pool = pruning.rank(pruning.prune([*required.all, *miner.mine(sources).segments], size)).by_use()
    ids = FIRST_LEARNED + len(pool)
    if ids < config.vocab_size:
        job.reporter.note(
            f"the corpus is too small to fill the vocabulary: it has {ids:,} ids instead of {config.vocab_size:,}"
        )
    record = {
        "tokenizer": job.name,
        "config": unstructure(config),
        "corpus": corpus,
        "vocabulary": vocabulary_record(pool, sources),
        "versions": versions("tokframe-dictionary", "numpy"),
    }
    return Vocabulary.build(pool.segments, use_counts(pool), ranks=pool.ranks), record


def extend(
    job: TrainJob, vocabulary: V, config: Mapping[str, Any], vocab_size: int, longest: int
) -> tuple[V, dict[str, Any]]:
    """Return a vocabulary with more segments, those that save most of a job's corpus while its own are there.

    `config` is that of its training, whose weights, aim, coverage and blocks are of other text and not used. Also
    returns the record of the run, JSON data. Raises: ConfigError for a size that is no larger; CorpusError;
    TrainingError if no segment saves anything; TrainingInterrupted on request.
    """
    present = vocabulary.vocab_size
    if isinstance(vocab_size, bool) or not isinstance(vocab_size, int) or not present < vocab_size < 2**31:
        text = f"is {shortened(vocab_size)}; use more than {present:,}, the ids there are. For fewer: tokframe prune"
        raise ConfigError("extend", [("$.vocab_size", text)])
    size, own = vocab_size - present, vocabulary.segments
    mining = structure(MiningConfig, config.get("mining", {}), "$.mining", "config.json")
    mining = evolve(mining, weights={}, aim={}, blocks=(), character_coverage=None)
    selection = structure(SelectionConfig, _selection(config), "$.selection", "config.json")
    miner = Miner(job, mining, selection, longest=longest)
    sources, corpus = miner.read()
    required = miner.required(sources, size)
    pruning = miner.pruning(sources, required, own[len(SINGLE_BYTES) :])
    pool = pruning.rank(pruning.prune([*required.all, *miner.mine(sources).segments], size)).by_use()
    used = pool.counts > 0
    new = [segment for segment, of_use in zip(pool.segments, used.tolist(), strict=True) if of_use]
    if not new:
        raise TrainingError(
            f"no segment of this text saves anything beside the {present:,} ids there are; give text of another kind, "
            "or more of it"
        )
    ids = present + len(new)
    if ids < vocab_size:
        job.reporter.note(
            f"the text has no more segments worth an id: the vocabulary has {ids:,} ids instead of {vocab_size:,}"
        )
    record = {
        "ids": {"before": present, "after": ids},
        "corpus": corpus,
        "sources": vocabulary_record(pool, sources)["sources"],
        "versions": versions("tokframe-dictionary", "numpy"),
    }
    ranks = pool.ranks[used].argsort().argsort()
    return vocabulary.extended(new, use_counts(pool), ranks), record


def _selection(config: Mapping[str, Any]) -> Any:
    """Return the section `selection` with the keys that every tokenizer's has."""
    section = config.get("selection", {})
    known = {attribute.name for attribute in fields(SelectionConfig)}
    return {key: section[key] for key in section if key in known} if isinstance(section, Mapping) else section


@frozen(eq=False)
class Miner:
    """The steps from a job's corpus to a pool of segments. Each reports its progress and stops on the job's request.

    `longest` bounds a segment in bytes; `checkpoint` is the folder where finished stages are kept, None without any.
    Every step raises TrainingInterrupted on request.
    """

    job: TrainJob
    mining: MiningConfig
    selection: SelectionConfig
    longest: int = field(default=MAX_SEGMENT_BYTES, kw_only=True)
    checkpoint: Path | None = field(default=None, kw_only=True)

    def read(self) -> tuple[tuple[Source, ...], list[dict[str, Any]]]:
        """Read the corpus once: the weighed sources, and a record of each one's size and SHA-256.

        Raises: CorpusError, also where there is no text at all; ConfigError for an aim that names no source.
        """
        job = self.job
        job.reporter.stage("reading", len(job.corpus.files), "files")
        texts: dict[str, Gathered] = {}
        digests: dict[str, Any] = {}
        records: dict[str, dict[str, Any]] = {}
        for number, file in enumerate(job.corpus.files):
            name = file.source
            record = records.setdefault(name, {"source": name, "bytes": 0, "files": 0})
            record["files"] += 1
            for document in file.documents():
                if name not in texts:
                    texts[name] = Gathered(self.mining.budget, partial(self._again, name))
                    digests[name] = hashlib.sha256()
                data = document.encode()
                record["bytes"] += len(data)
                digests[name].update(data)
                texts[name].add(data)
                self.check_stop()
            job.reporter.advance(number + 1, source=name)
        sources = balance(texts, self.mining)
        if not sources:
            raise CorpusError("the corpus holds no text; give files with something in them")
        return sources, [records[name] | {"sha256": digests[name].hexdigest()} for name in texts]

    def required(self, sources: Sequence[Source], size: int) -> Required:
        """Return the segments that must be among `size`. Raises: ConfigError where the config asks for too many."""
        return required_segments(sources, self.mining, size, self.longest)

    def mine(self, sources: Sequence[Source]) -> Candidates:
        """Return the candidate segments. Raises: TrainingError if no segment is frequent enough."""
        found = mine(sources, self.mining, longest=self.longest, workers=self._workers(), reporter=self.job.reporter)
        self.check_stop()
        if not len(found):
            raise TrainingError("no segment occurs often enough to be learned; give more text, or lower mining.least")
        return found

    def pruning(self, sources: Sequence[Source], required: Required, fixed: Sequence[bytes] = ()) -> Pruning:
        """Return what keeps the best of many segments, `required` ones among them; `fixed` ones are always there."""
        return Pruning(
            sources=sources,
            config=self.selection,
            required=required,
            fixed=fixed,
            aim=Aim.of(self.mining, [source.name for source in sources]) if self.mining.aim else None,
            workers=self._workers(),
            reporter=self.job.reporter,
        )

    def check_stop(self) -> None:
        """Raise TrainingInterrupted if the job is to stop."""
        if self.job.should_stop():
            folder = self.checkpoint if self.checkpoint and has_files(self.checkpoint) else None
            kept = f"finished stages are kept in {folder}" if folder else "nothing was saved"
            raise TrainingInterrupted(f"stopped before training was over; {kept}", checkpoint=folder)

    def _workers(self) -> Workers:
        return Workers(count=self.mining.workers, check=self.check_stop)

    def _again(self, source: str) -> Iterator[bytes]:
        """Read the documents of a source over its budget once more, to take its part of each stretch."""
        for file in self.job.corpus.files:
            if file.source == source:
                for document in file.documents():
                    yield document.encode()
                    self.check_stop()


def use_counts(pool: Pool) -> dict[bytes, int]:
    """Return how often the sources use each segment and single byte."""
    counts = dict(zip(pool.segments, pool.counts.tolist(), strict=True))
    return counts | dict(zip(SINGLE_BYTES, pool.byte_counts.tolist(), strict=True))


def vocabulary_record(pool: Pool, sources: Sequence[Source]) -> dict[str, Any]:
    """Return the part of a training record on the vocabulary: its size, and the tokens of each source."""
    return {
        "ids": FIRST_LEARNED + len(pool),
        "sources": [
            {"source": s.name, "weight": round(pool.weights[s.name], 6), "tokens": pool.tokens[s.name]} for s in sources
        ],
    }


def versions(*distributions: str) -> dict[str, str]:
    """Return the versions of Python, tokframe and `distributions`, for a training record."""
    return {"python": platform.python_version()} | {n: metadata.version(n) for n in ("tokframe", *distributions)}
