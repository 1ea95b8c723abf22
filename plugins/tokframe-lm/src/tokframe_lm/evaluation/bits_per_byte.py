"""Bits per byte over the UTF-8 bytes of the original text; text behind <unk> is charged by a byte n-gram model."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from attrs import frozen

from tokframe.corpus.files import Corpus
from tokframe.errors import CorpusError
from tokframe.tokenizer.display import Result
from tokframe.tokenizer.results import IntArray
from tokframe.training.progress import AUTO, SILENT, Reporter, shows_progress
from tokframe_lm.data.tokens import Document, documents, read_document
from tokframe_lm.evaluation.ngrams import ByteNgrams
from tokframe_lm.model.model import LanguageModel, start_id
from tokframe_lm.storage import SavedModel, load

__all__ = ["Evaluation", "ScoredDocument", "evaluate", "score_documents", "summarize", "token_nll", "unknown_model"]

_BATCH_WINDOWS = 8
_UNKNOWN_ORDER = 4  # bytes of an n-gram in the model of text behind <unk>


@frozen(kw_only=True, repr=False)
class Evaluation(Result):
    """`bits_per_byte` in all, of which `bits_per_byte_unknown` for the text behind <unk>; sizes of what was read.

    `unknown` is the number of tokens that hide their text.
    """

    bits_per_byte: float
    bits_per_byte_unknown: float
    bytes: int
    tokens: int
    unknown: int

    @property
    def title(self) -> str:
        """The figure that matters."""
        return f"{self.bits_per_byte:.4f} bits per byte over {self.bytes:,} bytes"


@frozen(kw_only=True, eq=False)
class ScoredDocument:
    """A document, negative log-likelihoods `nll` (tokens,) of its ids in nats, and the bits of the text they hide."""

    document: Document
    nll: np.ndarray[Any, Any]
    unknown_bits: float


@shows_progress
def evaluate(
    saved: SavedModel | str | Path,
    corpus: Corpus | str | Path | Sequence[str | Path],
    *,
    max_bytes: int = 0,
    reporter: Reporter = AUTO,
    charge_left_out: bool = False,
) -> Evaluation:
    """Return the bits per byte of a corpus, of its first `max_bytes` if given, under a model or the one at a path.

    `charge_left_out` charges text that the tokenizer gives no id, such as white space, as what <unk> hides.

    Raises: CorpusError if there is no text; UnsupportedError for a lossy tokenizer without offsets.
    """
    saved = saved if isinstance(saved, SavedModel) else load(saved)
    corpus = corpus if isinstance(corpus, Corpus) else Corpus.open(corpus)
    found = score_documents(saved, corpus, max_bytes=max_bytes, reporter=reporter, charge_left_out=charge_left_out)
    return summarize(list(found))


def score_documents(
    saved: SavedModel,
    corpus: Corpus,
    *,
    max_bytes: int = 0,
    reporter: Reporter = SILENT,
    charge_left_out: bool = False,
) -> Iterator[ScoredDocument]:
    """Yield each document of a corpus with the cost of each of its tokens; arguments and errors of `evaluate`."""
    unknown = unknown_model(saved)
    start = start_id(saved.tokenizer)
    size, bits = 0, 0.0
    reporter.stage("evaluate", max_bytes / 1e6 or None, "MB")
    for text in documents(corpus, max_bytes):
        document = read_document(saved.tokenizer, text, charge_left_out=charge_left_out)
        ids = np.concatenate([np.asarray([start], np.int32), document.ids])
        scored = ScoredDocument(
            document=document,
            nll=token_nll(saved.model, ids).numpy(),
            unknown_bits=sum(
                float(unknown.bits(surface).sum()) for surface in (*document.unknown_surfaces, *document.left_out)
            ),
        )
        size, bits = size + document.size, bits + float(scored.nll.sum()) / math.log(2) + scored.unknown_bits
        reporter.advance(size / 1e6, bits_per_byte=bits / size)
        yield scored


def unknown_model(saved: SavedModel) -> ByteNgrams:
    """Return the model of the text behind <unk>, made of what was behind it in training."""
    return ByteNgrams(saved.unknown_surfaces.items(), order=_UNKNOWN_ORDER, ends=True)


def summarize(scored: Sequence[ScoredDocument]) -> Evaluation:
    """Return the bits per byte of scored documents. Raises: CorpusError if there is no text."""
    found = [one.document for one in scored]
    size = sum(document.size for document in found)
    if not size:
        raise CorpusError("the corpus holds no text, so there is nothing to evaluate. Name another: --corpus FILE")
    unknown_bits = sum(one.unknown_bits for one in scored)
    return Evaluation(
        bits_per_byte=(sum(float(one.nll.sum()) for one in scored) / math.log(2) + unknown_bits) / size,
        bits_per_byte_unknown=unknown_bits / size,
        bytes=size,
        tokens=sum(len(document.ids) for document in found),
        unknown=sum(len(document.unknown_surfaces) for document in found),
    )


@torch.no_grad()
def token_nll(model: LanguageModel, ids: IntArray) -> torch.Tensor:
    """Return the negative log-likelihood of every id after the first, in nats, as float64 (tokens - 1,).

    Windows of the model's context overlap by half: past the first window, each id has at least half a context before
    it. Memory does not grow with the text.
    """
    device = next(model.parameters()).device
    context = model.config.context
    stride = context // 2
    starts = range(0, max(1, len(ids) - 1 - context + stride), stride)
    found = torch.zeros(len(ids) - 1, dtype=torch.float64)
    for group in range(0, len(starts), _BATCH_WINDOWS):
        chosen = starts[group : group + _BATCH_WINDOWS]
        # padded on the right, which causal attention does not see
        rows = np.zeros((len(chosen), context + 1), np.int64)
        for row, start in enumerate(chosen):
            part = ids[start : start + context + 1]
            rows[row, : len(part)] = part
        both = torch.from_numpy(rows).to(device)
        values = model.token_nll(both[:, :-1], both[:, 1:]).double().cpu()
        for row, start in enumerate(chosen):
            first, last = (context - stride) * (start > 0), min(context, len(ids) - 1 - start)
            found[start + first : start + last] = values[row, first:last]
    return found
