"""Training: learn the merges of a corpus. Only reading can be stopped: merging is one call into Hugging Face."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tokenizers import trainers

from tokframe.errors import TrainingError
from tokframe.tokenizer.table import SPECIAL_TOKENS
from tokframe_bpe.tokenizer_json import blank, dump, pre_tokenizer

if TYPE_CHECKING:
    from tokframe.training.job import TrainJob
    from tokframe_bpe.config import BPEConfig

__all__ = ["learn_merges"]


def learn_merges(job: TrainJob, config: BPEConfig) -> bytes:
    """Return the content of `tokenizer.json`.

    Raises: TrainingInterrupted on request; TrainingError if there is no text; CorpusError.
    """
    if job.resume:
        job.reporter.note("BPE training is short and keeps no checkpoint: it starts from the beginning")
    tokenizer = blank()
    trainer = trainers.BpeTrainer(
        vocab_size=config.vocab_size,
        min_frequency=config.min_frequency,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=sorted(pre_tokenizer().alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_documents(job), trainer)
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


def _documents(job: TrainJob) -> Iterator[str]:
    empty = True
    for document in job.documents():
        yield document
        empty = empty and not document
    if empty:
        raise TrainingError("the corpus holds no text, so there is nothing to merge. Choose another: --corpus FILE")
    job.reporter.stage("merge pairs")
