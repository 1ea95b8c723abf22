"""Log-likelihood of text after other text, exact at any byte: which ids the border may have is left to tokenizers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from attrs import evolve

from tokframe.tokenizer.inputs import in_order
from tokframe.tokenizer.likelihood import Likelihood, Logits, loglikelihoods
from tokframe_lm.data.tokens import read_document
from tokframe_lm.evaluation.bits_per_byte import unknown_model
from tokframe_lm.model.model import LanguageModel, start_id
from tokframe_lm.storage import SavedModel, load

__all__ = ["hidden_bits", "logits_of", "loglikelihood", "score", "score_pairs"]


def loglikelihood(saved: SavedModel, context: str, continuation: str) -> float:
    """Return the log-probability in nats that a text that begins with `context` goes on with `continuation`.

    It is that of all texts that begin with both, divided by that of all that begin with `context`, wherever between two
    bytes the border is: that of (a, b) and of ("", a) add up to that of ("", a + b). What the text goes on with after
    them is open, so that of a whole text is a little above the sum over its ids, which bits per byte are made of: ids
    count too that go beyond its end. Raises: EncodingError.
    """
    return score_pairs(saved, [(context, continuation)])[0].value


def score(saved: SavedModel | str | Path, continuations: Iterable[str], *, context: str = "") -> list[Likelihood]:
    """Return how likely a model, or the one at a path, finds that `context` goes on with each text, in order.

    Raises: as `score_pairs`.
    """
    saved = saved if isinstance(saved, SavedModel) else load(saved)
    return score_pairs(
        saved, [(context, text) for text in in_order(continuations, "texts", "; for one there is loglikelihood")]
    )


def score_pairs(saved: SavedModel, pairs: Iterable[tuple[str, str]]) -> list[Likelihood]:
    """Return `loglikelihood` for many pairs (context, continuation), and whether the likeliest ids write it.

    Past the model's context, ids are read in windows that overlap by half, as for bits per byte. With a lossy tokenizer
    the text behind <unk> is charged as there, and only a text's own ids count. Raises: EncodingError.
    """
    pairs = in_order(pairs, "pairs (context, continuation)", "; for one there is loglikelihood")
    found = loglikelihoods(
        saved.tokenizer,
        pairs,
        logits_of(saved.model),
        start=start_id(saved.tokenizer),
        context=saved.model.config.context,
    )
    hidden = hidden_bits(saved)
    return [
        evolve(one, value=one.value - math.log(2) * (hidden(before + after) - hidden(before)))
        for one, (before, after) in zip(found, pairs, strict=True)
    ]


def hidden_bits(saved: SavedModel) -> Callable[[str], float]:
    """Return a function to the bits of what a text's ids hide, behind <unk>; 0 with a lossless tokenizer."""
    if saved.tokenizer.capabilities.lossless:
        return lambda text: 0.0
    unknown = unknown_model(saved)

    def bits(text: str) -> float:
        return sum(float(unknown.bits(part).sum()) for part in read_document(saved.tokenizer, text).unknown_surfaces)

    return bits


def logits_of(model: LanguageModel) -> Logits:
    """Return a model as a function of ids (rows, tokens) and places in them to logits (places, ids)."""
    device = next(model.parameters()).device

    @torch.no_grad()
    def logits(ids: npt.NDArray[np.int64], rows: npt.NDArray[np.int64], places: npt.NDArray[np.int64]) -> Any:
        given = (torch.from_numpy(array).to(device) for array in (ids, rows, places))
        return model.logits_at(*given).float().cpu().numpy()

    return logits
