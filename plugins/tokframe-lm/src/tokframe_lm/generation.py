"""Generation: text sampled from a model and streamed piece by piece."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from attrs import frozen
from torch import Tensor

from tokframe import setting
from tokframe.errors import EncodingError
from tokframe.storage.settings import check
from tokframe_lm.model.model import start_id
from tokframe_lm.storage import SavedModel

__all__ = ["Piece", "Sampling", "generate"]


@frozen(kw_only=True)
class Sampling:
    """How the next token is sampled."""

    temperature: float = setting(0.8, at_least=0)  #: 0 selects the most likely token
    top_k: int = setting(50, at_least=0)  #: most likely tokens to sample from; 0: all
    seed: int = setting(0, at_least=-(2**63), at_most=2**63 - 1)


@frozen(kw_only=True)
class Piece:
    """Decoded text, and the number of tokens since the last piece."""

    text: str
    tokens: int


@torch.no_grad()
def generate(saved: SavedModel, prompt: str, *, max_bytes: int, sampling: Sampling | None = None) -> Iterator[Piece]:
    """Yield the text after `prompt`, about `max_bytes` of it, piece by piece.

    An empty prompt begins a new text. Special tokens, which are not text, are never sampled. When the context is full,
    only its last half is kept. The same seed gives the same text.

    Raises: EncodingError for a prompt longer than the context; ConfigError for invalid sampling.
    """
    sampling = sampling or Sampling()
    check(sampling, "sampling")
    model, tokenizer = saved.model, saved.tokenizer
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
    special = torch.tensor(sorted(tokenizer.textless_ids), dtype=torch.long)
    decoder = tokenizer.stream_decoder()
    # Read behind the prompt, as some tokenizers drop the space that a text begins with; what is not yet decoded of the
    # prompt comes with the text after it, which it is not.
    of_prompt = len(tokenizer.decode(ids[1:])) - len(decoder.feed(ids[1:]))
    table = model.embedding.table()
    cache, fresh, written, pending = None, ids, 0, 0
    while written < max_bytes:
        logits, cache = model.next_logits(torch.tensor([fresh], device=device), cache, table)
        token = _sample(logits.float().cpu(), special, sampling, generator)
        ids.append(token)
        written += len(tokenizer.token_bytes(token))
        pending += 1
        decoded = decoder.feed(token)
        text, of_prompt = decoded[of_prompt:], max(0, of_prompt - len(decoded))
        if text:
            yield Piece(text=text, tokens=pending)
            pending = 0
        fresh = [token]
        if len(ids) > context:
            ids = ids[-(context // 2) :]
            cache, fresh = None, ids
    rest = decoder.finish()[of_prompt:]
    if rest or pending:
        yield Piece(text=rest, tokens=pending)


def _sample(logits: Tensor, special: Tensor, sampling: Sampling, generator: torch.Generator) -> int:
    logits[special] = -torch.inf
    if sampling.temperature == 0:
        return int(logits.argmax())
    logits = logits / sampling.temperature
    if 0 < sampling.top_k < len(logits):
        best, places = logits.topk(sampling.top_k)
        return int(places[torch.multinomial(best.softmax(0), 1, generator=generator)])
    return int(torch.multinomial(logits.softmax(0), 1, generator=generator))
