"""From a training job to a vocabulary: read and weigh the sources, mine candidates, prune them, compile.

`Miner` offers the steps one by one, to tokenizers that put something between them.
"""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Iterator, Sequence
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from tokframe.errors import CorpusError, TrainingError, TrainingInterrupted
from tokframe.storage.config import unstructure
from tokframe.training.run_folder import has_files
from tokframe_dictionary.mining.aims import Aim
from tokframe_dictionary.mining.candidates import Candidates, mine
from tokframe_dictionary.mining.coverage import required_segments
from tokframe_dictionary.mining.pruning import Pool, prune, rank
from tokframe_dictionary.mining.sources import Gathered, Source, balance
from tokframe_dictionary.mining.workers import Workers
from tokframe_dictionary.segmenter.reference import MAX_SEGMENT_BYTES
from tokframe_dictionary.vocabulary.table import FIRST_LEARNED, SINGLE_BYTES, Vocabulary

if TYPE_CHECKING:
    from tokframe.training.job import TrainJob
    from tokframe_dictionary.config import DictionaryConfig
    from tokframe_dictionary.mining.config import MiningConfig, SelectionConfig

__all__ = ["Miner", "train", "use_counts", "versions", "vocabulary_record"]


def train(job: TrainJob, config: DictionaryConfig) -> tuple[Vocabulary, dict[str, Any]]:
    """Train a vocabulary on a job's corpus; return it and the record of the run, JSON data. Keeps no checkpoint.

    Raises: CorpusError; TrainingError if no segment is frequent enough; TrainingInterrupted on request.
    """
    miner = Miner(job, config.mining, config.selection)
    sources, corpus = miner.read()
    size = config.vocab_size - FIRST_LEARNED
    required = miner.required(sources, size)
    pool = miner.select([*required, *miner.mine(sources).segments], sources, size, required)
    pool = miner.rank(pool, sources, required).by_use()
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

    def required(self, sources: Sequence[Source], size: int) -> list[bytes]:
        """Return the segments that must be among `size`. Raises: ConfigError where the config asks for too many."""
        return required_segments(sources, self.mining, size, self.longest)

    def mine(self, sources: Sequence[Source]) -> Candidates:
        """Return the candidate segments. Raises: TrainingError if no segment is frequent enough."""
        found = mine(sources, self.mining, longest=self.longest, workers=self._workers(), reporter=self.job.reporter)
        self.check_stop()
        if not len(found):
            raise TrainingError("no segment occurs often enough to be learned; give more text, or lower mining.least")
        return found

    def select(
        self, segments: Sequence[bytes], sources: Sequence[Source], size: int, required: Sequence[bytes] = ()
    ) -> Pool:
        """Return the `size` best segments, those among them that are required whatever they are worth."""
        return prune(segments, sources, size, self.selection, required=required, **self._options(sources))

    def rank(self, pool: Pool, sources: Sequence[Source], required: Sequence[bytes] = ()) -> Pool:
        """Return the pool with the order in which smaller vocabularies keep its segments."""
        return rank(pool, sources, self.selection, required=required, **self._options(sources))

    def check_stop(self) -> None:
        """Raise TrainingInterrupted if the job is to stop."""
        if self.job.should_stop():
            folder = self.checkpoint if self.checkpoint and has_files(self.checkpoint) else None
            kept = f"finished stages are kept in {folder}" if folder else "nothing was saved"
            raise TrainingInterrupted(f"stopped before training was over; {kept}", checkpoint=folder)

    def _options(self, sources: Sequence[Source]) -> dict[str, Any]:
        aim = Aim.of(self.mining, [source.name for source in sources]) if self.mining.aim else None
        return {"aim": aim, "workers": self._workers(), "reporter": self.job.reporter}

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
