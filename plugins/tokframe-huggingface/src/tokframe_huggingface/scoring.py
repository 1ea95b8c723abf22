"""Scores of text by any causal model of transformers with a tokframe tokenizer, exact at any byte."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from tokframe.errors import UnsupportedError
from tokframe.tokenizer.base import ITokenizer
from tokframe.tokenizer.likelihood import Likelihood, Logits, loglikelihoods
from tokframe.tokenizer.roles import token_of

__all__ = ["context_of", "logits_of", "loglikelihood", "score_pairs", "start_of"]

_CONTEXT_KEYS = ("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len", "seq_length")
_DEFAULT_CONTEXT = 2048  # of models that do not say, as lm-evaluation-harness has it


def loglikelihood(model: Any, tokenizer: ITokenizer, context: str, continuation: str) -> float:
    """Return the log-probability in nats that a text that begins with `context` goes on with `continuation`.

    `model` is a causal model of transformers that was trained on the ids of `tokenizer`. That of (a, b) and of ("", a)
    add up to that of ("", a + b), wherever the border is. Raises: EncodingError; UnsupportedError where the model has
    fewer ids than the tokenizer.
    """
    return score_pairs(model, tokenizer, [(context, continuation)])[0].value


def score_pairs(model: Any, tokenizer: ITokenizer, pairs: Iterable[tuple[str, str]]) -> list[Likelihood]:
    """Return `loglikelihood` for many pairs (context, continuation), and whether the likeliest ids write it.

    Texts longer than the model's context are read in windows that overlap by half. Raises: EncodingError;
    UnsupportedError.
    """
    return loglikelihoods(
        tokenizer,
        pairs,
        logits_of(model, tokenizer),
        start=start_of(tokenizer, model),
        context=context_of(model),
    )


def logits_of(model: Any, tokenizer: ITokenizer) -> Logits:
    """Return a model as a function of ids (rows, tokens) and places in them to logits (places, ids).

    Raises: UnsupportedError where it has fewer ids than the tokenizer.
    """
    size = model.config.get_text_config().vocab_size
    if size < tokenizer.vocab_size:
        name = tokenizer.name or type(tokenizer).__name__
        raise UnsupportedError(
            f"the model has {size:,} ids, and {name} {tokenizer.vocab_size:,}: it was trained with another tokenizer. "
            "Use its own, or call model.resize_token_embeddings and train it",
            capability="vocab_size",
        )

    @torch.no_grad()
    def logits(ids: npt.NDArray[np.int64], rows: npt.NDArray[np.int64], places: npt.NDArray[np.int64]) -> Any:
        given = torch.from_numpy(ids).to(model.device)
        training = model.training
        model.eval()
        try:  # padded on the right, which causal attention does not see
            found = model(input_ids=given, attention_mask=torch.ones_like(given), use_cache=False).logits
        finally:
            model.train(training)
        return found[torch.from_numpy(rows), torch.from_numpy(places)].float().cpu().numpy()

    return logits


def start_of(tokenizer: ITokenizer, model: Any) -> int:
    """Return the id that begins a text: of the tokenizer's template, of the model's config, or a special token.

    Raises: UnsupportedError where there is none.
    """
    before = tokenizer.template()[0]
    if before:
        return before[0]
    special = tokenizer.special_tokens
    named = [special[text] for role in ("bos", "eos", "cls", "sep", "pad") if (text := token_of(role, special))]
    of_model = None if model is None else model.config.get_text_config().bos_token_id
    if isinstance(of_model, int) and 0 <= of_model < tokenizer.vocab_size and of_model in special.values():
        return of_model
    if named:
        return named[0]
    raise UnsupportedError(
        f"{tokenizer.name or type(tokenizer).__name__} has no special token that a text could begin with (it has "
        f"{', '.join(special) or 'none'}). Add one and import the tokenizer again",
        capability="special_tokens",
    )


def context_of(model: Any) -> int:
    """Return how many ids a model is given at once: its limit, or a default where it names none."""
    return limit_of(model) or _DEFAULT_CONTEXT


def limit_of(model: Any) -> int | None:
    """Return how many ids a model reads at most; None where its config names no limit."""
    config = model.config.get_text_config()
    found = (getattr(config, key, None) for key in _CONTEXT_KEYS)
    return next((size for size in found if isinstance(size, int) and size > 1), None)
