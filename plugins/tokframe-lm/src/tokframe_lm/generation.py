"""Text from a model, streamed, and measures of it that need no judge."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator
from itertools import pairwise

import torch
from attrs import frozen
from torch import Tensor

from tokframe import setting
from tokframe.errors import ConfigError, EncodingError, UnsupportedError
from tokframe.storage.settings import check
from tokframe_lm.model.model import start_id
from tokframe_lm.storage import SavedModel

__all__ = ["HEADS", "Measures", "Piece", "Sampling", "generate", "measure", "words"]

#: What may choose the next segment.
HEADS = ("softmax", "vector")

_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")


@frozen(kw_only=True)
class Sampling:
    """How the next token is drawn."""

    temperature: float = setting(0.8, at_least=0)  #: 0 takes the most likely token
    top_k: int = setting(50, at_least=0)  #: 0 draws from all tokens
    seed: int = 0


@frozen(kw_only=True)
class Piece:
    """Text that is complete by now, and how many tokens it took since the last piece."""

    text: str
    tokens: int


@frozen(kw_only=True)
class Measures:
    """Of a text: `valid_words`, share of its words that are known; `repetition`, share of its word 4-grams that
    stand there more than once; `distinct_1` and `distinct_2`, distinct words and word pairs over all of them.

    Distinct-n falls with length: compare texts of equal bytes.
    """

    valid_words: float
    repetition: float
    distinct_1: float
    distinct_2: float


@torch.no_grad()
def generate(
    saved: SavedModel, prompt: str, *, max_bytes: int, sampling: Sampling | None = None, head: str = "softmax"
) -> Iterator[Piece]:
    """Yield the text after `prompt`, about `max_bytes` of it, piece by piece.

    An empty prompt begins a new text. Special tokens, which are no text, are never drawn. Once the context is full,
    the last half of it is read anew and stands for all before. The same seed gives the same text.

    With `head` "vector" segments are drawn by what the vector decoder says of their bytes: its byte string snapped to
    the vocabulary, each segment as likely as the product over its bytes and its end.

    Raises: EncodingError for a prompt longer than the context; ConfigError for sampling that makes no sense;
    UnsupportedError for "vector" where the model has no vector decoder.
    """
    sampling = sampling or Sampling()
    check(sampling, "sampling")
    model, tokenizer = saved.model, saved.tokenizer
    if head not in HEADS:
        raise ConfigError("head", [("$", f"{head!r} is not one of {', '.join(HEADS)}")])
    if head == "vector" and model.vector is None:
        raise UnsupportedError(
            'this model has no vector decoder. Say {"vector_decoder": true} in the config of: tokframe lm train',
            capability="vector_decoder",
        )
    context = model.config.context
    ids = [start_id(tokenizer), *tokenizer.encode(prompt, False)]
    if len(ids) > context:
        raise EncodingError(
            f"the prompt has {len(ids) - 1:,} tokens, and the model's context holds {context - 1:,} beside the start. "
            'Give the end of the prompt only, or train with a larger "context"',
            position=context,
        )
    device = next(model.parameters()).device
    generator = torch.Generator().manual_seed(sampling.seed)
    special = torch.tensor(sorted(tokenizer.special_tokens.values()), dtype=torch.long)
    decoder = tokenizer.stream_decoder()
    table = model.embedding.table()
    cache, fresh, written, waiting = None, ids, 0, 0
    while written < max_bytes:
        scores, cache = model.step(torch.tensor([fresh], device=device), cache, table, head=head)
        token = _draw(scores.float().cpu(), special, sampling, generator)
        ids.append(token)
        written += len(tokenizer.token_bytes(token))
        waiting += 1
        text = decoder.feed(token)
        if text:
            yield Piece(text=text, tokens=waiting)
            waiting = 0
        fresh = [token]
        if len(ids) > context:
            ids = ids[-(context // 2) :]
            cache, fresh = None, ids
    rest = decoder.finish()
    if rest or waiting:
        yield Piece(text=rest, tokens=waiting)


def measure(text: str, known: Collection[str]) -> Measures:
    """Return the measures of a text, given the words that count as known (see `words`)."""
    found = words(text)
    fours = Counter(zip(*(found[n:] for n in range(4)), strict=False))
    pairs = list(pairwise(found))
    repeated = sum(count for count in fours.values() if count > 1)
    return Measures(
        valid_words=_share(sum(word in known for word in found), len(found)),
        repetition=_share(repeated, fours.total()),
        distinct_1=_share(len(set(found)), len(found)),
        distinct_2=_share(len(set(pairs)), len(pairs)),
    )


def words(text: str) -> list[str]:
    """Return the words of a text in order, in lower case."""
    return _WORD.findall(text.lower())


def _draw(scores: Tensor, special: Tensor, sampling: Sampling, generator: torch.Generator) -> int:
    scores[special] = -torch.inf
    if sampling.temperature == 0:
        return int(scores.argmax())
    scores = scores / sampling.temperature
    if 0 < sampling.top_k < len(scores):
        best, places = scores.topk(sampling.top_k)
        return int(places[torch.multinomial(best.softmax(0), 1, generator=generator)])
    return int(torch.multinomial(scores.softmax(0), 1, generator=generator))


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
