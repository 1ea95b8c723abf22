"""The two heads of a model side by side: how many next segments each gets, how many bytes, and bits per byte.

The vector decoder's bits are an upper bound: it spends probability on byte strings that are no segment, and on ends
before the first byte, none of which can follow.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch
from attrs import frozen
from torch import Tensor

from tokframe.corpus.files import Corpus
from tokframe.errors import CorpusError, UnsupportedError
from tokframe.training.progress import Reporter, SilentReporter
from tokframe_lm.data.tokens import documents, read_document
from tokframe_lm.evaluation.bits_per_byte import overlapping
from tokframe_lm.model.model import LanguageModel, start_id
from tokframe_lm.model.vector import END, VectorHead
from tokframe_lm.storage import SavedModel

__all__ = ["Heads", "SoftmaxFigures", "VectorFigures", "evaluate_heads"]

_PART = 128  # places judged at once: each takes a score for every id


@frozen(kw_only=True)
class SoftmaxFigures:
    """Of the likeliest id: `exact`, share of next segments it is; `byte_accuracy`, share of their bytes it has in
    place. `bits_per_byte` of the text's segments.
    """

    exact: float
    byte_accuracy: float
    bits_per_byte: float


@frozen(kw_only=True)
class VectorFigures(SoftmaxFigures):
    """Of the likeliest byte at each position up to the end. Snapped: only segments of the vocabulary count, so
    `exact_snapped` is of the likeliest among them, and their probabilities add up to 1 in `bits_per_byte_snapped`.
    """

    exact_snapped: float
    bits_per_byte_snapped: float


@frozen(kw_only=True)
class Heads:
    """Both heads on the same text."""

    softmax: SoftmaxFigures
    vector: VectorFigures


@torch.no_grad()
def evaluate_heads(
    saved: SavedModel, corpus: Corpus, *, max_bytes: int = 0, batch: int = 8, reporter: Reporter | None = None
) -> Heads:
    """Return the figures of both heads on a corpus, on its first `max_bytes` if given.

    Raises: UnsupportedError for a model without a vector decoder; CorpusError if there is no text.
    """
    head = saved.model.vector
    if head is None:
        raise UnsupportedError(
            'this model has no vector decoder. Say {"vector_decoder": true} in the config of: tokframe lm train',
            capability="vector_decoder",
        )
    reporter = reporter or SilentReporter()
    reporter.stage("evaluate both heads", max_bytes / 1e6 or None, "MB")
    sums, size, tokens = torch.zeros(8, dtype=torch.float64), 0, 0
    for text in documents(corpus, max_bytes):
        document = read_document(saved.tokenizer, text)
        ids = np.concatenate([np.asarray([start_id(saved.tokenizer)], np.int32), document.ids])
        for vectors, targets, table in _places(saved.model, ids, batch):
            sums += _judge(saved.model, head, vectors, targets, table).cpu()
        size, tokens = size + document.size, tokens + len(document.ids)
        reporter.advance(size / 1e6)
    if not size:
        raise CorpusError("the corpus holds no text, so there is nothing to evaluate. Name another: --corpus FILE")
    found = sums.tolist()
    bits = [nats / math.log(2) / size for nats in found[5:]]
    return Heads(
        softmax=SoftmaxFigures(exact=found[0] / tokens, byte_accuracy=found[1] / size, bits_per_byte=bits[0]),
        vector=VectorFigures(
            exact=found[2] / tokens,
            byte_accuracy=found[3] / size,
            bits_per_byte=bits[1],
            exact_snapped=found[4] / tokens,
            bits_per_byte_snapped=bits[2],
        ),
    )


def _places(model: LanguageModel, ids: np.ndarray, batch: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Yield output vectors (n, d_model), the ids that follow (n,), and the embedding's table."""
    device = next(model.parameters()).device
    table = model.embedding.table()
    for window in overlapping(ids, model.config.context, batch):
        rows = window.rows.to(device)
        vectors = model.vectors(rows[:, :-1], table)
        for row, (_, first, last) in enumerate(window.parts):
            places, targets = vectors[row, first:last], rows[row, first + 1 : last + 1]
            for part, wanted in zip(torch.split(places, _PART), torch.split(targets, _PART), strict=True):
                yield part, wanted, table


def _judge(model: LanguageModel, head: VectorHead, vectors: Tensor, targets: Tensor, table: Tensor) -> Tensor:
    """Return sums over places: softmax exact, its bytes, vector exact, its bytes, snapped exact, and nats of each."""
    wanted = head.symbols[targets]
    known, text = wanted >= 0, (wanted >= 0) & (wanted != END)
    scores = model.embedding.scores(vectors, table).double()
    chosen = scores.argmax(-1)
    logs = head(vectors)
    said = logs.argmax(-1)
    segments = head.scores(vectors, logs).double()
    nats = -(logs.gather(-1, wanted.clamp(min=0)[..., None])[..., 0] * known).double().sum()
    own = targets[:, None]
    figures = [
        (chosen == targets).sum(),
        ((head.symbols[chosen] == wanted) & text).sum(),
        ((said == wanted) | ~known).all(-1).sum(),
        ((said == wanted) & text).sum(),
        (segments.argmax(-1) == targets).sum(),
        (scores.logsumexp(-1) - scores.gather(-1, own)[:, 0]).sum(),
        nats,
        (segments.logsumexp(-1) - segments.gather(-1, own)[:, 0]).sum(),
    ]
    return torch.stack([figure.double() for figure in figures])
