"""Bits per byte over the UTF-8 bytes of the original text, with what a lossy tokenizer hid charged for spelling it."""

from __future__ import annotations

import math

import numpy as np
import torch
from attrs import frozen

from tokframe.corpus import Corpus
from tokframe.errors import CorpusError
from tokframe.progress import Reporter, SilentReporter
from tokframe.results import IntArray
from tokframe_lm.model import LanguageModel, start_id
from tokframe_lm.saved import SavedModel
from tokframe_lm.spelling import Spelling
from tokframe_lm.tokens import documents, read_document

__all__ = ["Evaluation", "evaluate", "surprise"]


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


def evaluate(
    saved: SavedModel, corpus: Corpus, *, max_bytes: int = 0, batch: int = 8, reporter: Reporter | None = None
) -> Evaluation:
    """Return the bits per byte of a corpus, of its first `max_bytes` if given.

    Raises: CorpusError if there is no text; UnsupportedError for a lossy tokenizer without offsets.
    """
    reporter = reporter or SilentReporter()
    spelling = Spelling(saved.hidden)
    before = start_id(saved.tokenizer)
    size = tokens = unknown = 0
    nats = spelt = 0.0
    reporter.stage("evaluate", max_bytes / 1e6 or None, "MB")
    for text in documents(corpus, max_bytes):
        document = read_document(saved.tokenizer, text)
        ids = np.concatenate([np.asarray([before], np.int32), document.ids])
        nats += float(surprise(saved.model, ids, batch=batch).sum())
        spelt += sum(map(spelling.bits, document.hidden))
        size, tokens = size + document.size, tokens + len(document.ids)
        unknown += len(document.hidden)
        reporter.advance(size / 1e6, bits_per_byte=(nats / math.log(2) + spelt) / size)
    if not size:
        raise CorpusError("the corpus holds no text, so there is nothing to evaluate. Name another: --corpus FILE")
    return Evaluation(
        bits_per_byte=(nats / math.log(2) + spelt) / size,
        bits_per_byte_unknown=spelt / size,
        bytes=size,
        tokens=tokens,
        unknown=unknown,
    )


@torch.no_grad()
def surprise(model: LanguageModel, ids: IntArray, *, batch: int = 8) -> torch.Tensor:
    """Return -ln p of every id after the first, in float64 (tokens - 1,).

    Windows of the model's context overlap by half: past the first window, each id is judged after at least half a
    context. Needs a context of text at a time, however long the text.
    """
    context = model.config.context
    device = next(model.parameters()).device
    stride = context // 2
    found = torch.zeros(len(ids) - 1, dtype=torch.float64)
    starts = list(range(0, max(1, len(ids) - 1 - context + stride), stride))
    for group in range(0, len(starts), batch):
        chosen = starts[group : group + batch]
        # padded on the right, where causal attention does not look back from
        rows = np.zeros((len(chosen), context + 1), np.int64)
        for row, start in enumerate(chosen):
            part = ids[start : start + context + 1]
            rows[row, : len(part)] = part
        both = torch.from_numpy(rows).to(device)
        values = model.surprise(both[:, :-1], both[:, 1:]).double().cpu()
        for row, start in enumerate(chosen):
            first = 0 if start == 0 else context - stride
            last = min(context, len(ids) - 1 - start)
            found[start + first : start + last] = values[row, first:last]
    return found
