"""Bits per byte over the UTF-8 bytes of the original text, with what a lossy tokenizer hid charged for spelling it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from attrs import frozen

from tokframe.corpus.files import Corpus
from tokframe.errors import CorpusError
from tokframe.tokenizer.results import IntArray
from tokframe.training.progress import Reporter, SilentReporter
from tokframe_lm.data.tokens import documents, read_document
from tokframe_lm.evaluation.unknown import Spelling
from tokframe_lm.model.model import LanguageModel, start_id
from tokframe_lm.storage import SavedModel

__all__ = ["Evaluation", "Judged", "Overlapping", "evaluate", "judge", "overlapping", "surprise", "total"]


@frozen(kw_only=True)
class Evaluation:
    """`bits_per_byte` in all, `bits_per_byte_unknown` of it for spelling hidden text; sizes of what was read.

    `unknown` is how many tokens hid their text.
    """

    bits_per_byte: float
    bits_per_byte_unknown: float
    bytes: int
    tokens: int
    unknown: int


@frozen(kw_only=True, eq=False)
class Judged:
    """A document as it was judged: `ids` (tokens,), `nats` (tokens,) that each cost, `hidden_bits` for spelling.

    `size` is in bytes of UTF-8, `unknown` how many ids hid their text.
    """

    ids: IntArray
    nats: np.ndarray[Any, Any]
    hidden_bits: float
    size: int
    unknown: int


def evaluate(
    saved: SavedModel, corpus: Corpus, *, max_bytes: int = 0, batch: int = 8, reporter: Reporter | None = None
) -> Evaluation:
    """Return the bits per byte of a corpus, of its first `max_bytes` if given.

    Raises: CorpusError if there is no text; UnsupportedError for a lossy tokenizer without offsets.
    """
    return total(list(judge(saved, corpus, max_bytes=max_bytes, batch=batch, reporter=reporter)))


def judge(
    saved: SavedModel, corpus: Corpus, *, max_bytes: int = 0, batch: int = 8, reporter: Reporter | None = None
) -> Iterator[Judged]:
    """Yield each document of a corpus with what each of its tokens costs; arguments and errors of `evaluate`."""
    reporter = reporter or SilentReporter()
    spelling = Spelling(saved.hidden)
    before = start_id(saved.tokenizer)
    size, bits = 0, 0.0
    reporter.stage("evaluate", max_bytes / 1e6 or None, "MB")
    for text in documents(corpus, max_bytes):
        document = read_document(saved.tokenizer, text)
        ids = np.concatenate([np.asarray([before], np.int32), document.ids])
        judged = Judged(
            ids=document.ids,
            nats=surprise(saved.model, ids, batch=batch).numpy(),
            hidden_bits=sum(map(spelling.bits, document.hidden)),
            size=document.size,
            unknown=len(document.hidden),
        )
        size, bits = size + judged.size, bits + float(judged.nats.sum()) / math.log(2) + judged.hidden_bits
        reporter.advance(size / 1e6, bits_per_byte=bits / size)
        yield judged


def total(judged: Sequence[Judged]) -> Evaluation:
    """Return the bits per byte of judged documents. Raises: CorpusError if there is no text."""
    size = sum(document.size for document in judged)
    if not size:
        raise CorpusError("the corpus holds no text, so there is nothing to evaluate. Name another: --corpus FILE")
    spelt = sum(document.hidden_bits for document in judged)
    return Evaluation(
        bits_per_byte=(sum(float(document.nats.sum()) for document in judged) / math.log(2) + spelt) / size,
        bits_per_byte_unknown=spelt / size,
        bytes=size,
        tokens=sum(len(document.ids) for document in judged),
        unknown=sum(document.unknown for document in judged),
    )


@torch.no_grad()
def surprise(model: LanguageModel, ids: IntArray, *, batch: int = 8) -> torch.Tensor:
    """Return -ln p of every id after the first, in float64 (tokens - 1,).

    Windows of the model's context overlap by half: past the first window, each id is judged after at least half a
    context. Needs a context of text at a time, however long the text.
    """
    device = next(model.parameters()).device
    found = torch.zeros(len(ids) - 1, dtype=torch.float64)
    for window in overlapping(ids, model.config.context, batch):
        both = window.rows.to(device)
        values = model.surprise(both[:, :-1], both[:, 1:]).double().cpu()
        for row, (start, first, last) in enumerate(window.parts):
            found[start + first : start + last] = values[row, first:last]
    return found


@frozen(kw_only=True, eq=False)
class Overlapping:
    """`rows` (batch, context + 1) int64 of a text, and of each `(start, first, last)`: row places first to last count,
    which judge ids from `start + first + 1` on.
    """

    rows: torch.Tensor
    parts: list[tuple[int, int, int]]


def overlapping(ids: IntArray, context: int, batch: int) -> Iterator[Overlapping]:
    """Yield a text in windows that overlap by half, so that each id but the first counts once."""
    stride = context // 2
    starts = list(range(0, max(1, len(ids) - 1 - context + stride), stride))
    for group in range(0, len(starts), batch):
        chosen = starts[group : group + batch]
        # padded on the right, where causal attention does not look back from
        rows = np.zeros((len(chosen), context + 1), np.int64)
        for row, start in enumerate(chosen):
            part = ids[start : start + context + 1]
            rows[row, : len(part)] = part
        parts = [(s, 0 if s == 0 else context - stride, min(context, len(ids) - 1 - s)) for s in chosen]
        yield Overlapping(rows=torch.from_numpy(rows), parts=parts)
