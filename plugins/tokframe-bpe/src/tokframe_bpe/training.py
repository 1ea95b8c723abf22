"""Training: learn the merges of a corpus, by Hugging Face `tokenizers`. Which text has which ids is left to others."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from tokenizers import trainers

from tokframe.errors import TrainingError, TrainingInterrupted
from tokframe.tokenizer.table import SPECIAL_TOKENS
from tokframe_bpe.tokenizer_json import blank, dump, pre_tokenizer

if TYPE_CHECKING:
    from tokframe.training.job import TrainJob
    from tokframe_bpe.config import BPEConfig

__all__ = ["learn_merges"]

#: A longer word is counted in parts of this many characters: a merge costs time in the length of the words it is in.
MAX_WORD_CHARS = 1000
#: What may hold such a word: long runs of white space or of anything else. Python counts four controls as white space
#: that are none to the pattern.
_LONG_RUN = re.compile(
    rf"(?<![\S\x1c-\x1f])[\S\x1c-\x1f]{{{MAX_WORD_CHARS},}}|(?<![^\S\x1c-\x1f])[^\S\x1c-\x1f]{{{MAX_WORD_CHARS},}}"
)
_WAIT_SECONDS = 0.1  # between looks at whether to stop


def learn_merges(job: TrainJob, config: BPEConfig) -> bytes:
    """Return the content of `tokenizer.json`.

    Raises: TrainingInterrupted on request; TrainingError if there is no text; CorpusError.
    """
    tokenizer = blank()
    trainer = trainers.BpeTrainer(
        vocab_size=config.vocab_size,
        min_frequency=config.min_frequency,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=sorted(pre_tokenizer().alphabet()),
        show_progress=False,
    )
    _stoppable(job, config.weights, lambda documents: tokenizer.train_from_iterator(documents, trainer))
    size = tokenizer.get_vocab_size()
    merges = size - len(SPECIAL_TOKENS) - 256
    if size < config.vocab_size:
        job.reporter.note(
            f"the corpus is too small to fill the vocabulary: {merges:,} merges were found, so there are "
            f"{size:,} ids and not {config.vocab_size:,}"
        )
    else:
        job.reporter.note(f"learned {merges:,} merges")
    return dump(tokenizer)


def _stoppable(job: TrainJob, weights: Mapping[str, float], train: Callable[[Iterator[str]], None]) -> None:
    """Run `train` on the documents in a thread: merging is one call, in which this one could not notice a signal.

    A call that was stopped goes on in its thread until it ends or the process does. Raises: what `train` raises;
    TrainingInterrupted on request.
    """
    merging, stopped, errors = threading.Event(), threading.Event(), list[BaseException]()

    def documents() -> Iterator[str]:
        for document in _documents(job, weights):
            if stopped.is_set():
                return
            yield from _parts(document)
        job.reporter.stage("merge pairs")
        merging.set()

    def work() -> None:
        try:
            train(documents())
        except BaseException as error:  # it is raised where it is waited for
            errors.append(error)

    worker = threading.Thread(target=work, name="tokframe-bpe", daemon=True)
    worker.start()
    try:
        while worker.is_alive():
            worker.join(_WAIT_SECONDS)
            if merging.is_set() and worker.is_alive() and job.should_stop():
                raise TrainingInterrupted("stopped while merging pairs; nothing was saved")
    finally:
        stopped.set()
    if errors:
        raise errors[0]


def _documents(job: TrainJob, weights: Mapping[str, float]) -> Iterator[str]:
    empty = True
    for document in job.documents(weights=weights):
        yield document
        empty = empty and not document
    if empty:
        raise TrainingError("the corpus holds no text, so there is nothing to merge. Choose another: --corpus FILE")


def _parts(document: str) -> Iterator[str]:
    """Yield a document, cut inside words that are too long; all other words stay whole."""
    start = 0
    for run in _LONG_RUN.finditer(document) if len(document) > MAX_WORD_CHARS else ():
        for _, (begin, end) in pre_tokenizer().pre_tokenize_str(run.group()):
            for cut in range(run.start() + begin + MAX_WORD_CHARS, run.start() + end, MAX_WORD_CHARS):
                yield document[start:cut]
                start = cut
    yield document[start:]
