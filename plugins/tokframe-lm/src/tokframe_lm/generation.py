"""Generation: text sampled from a model and streamed piece by piece, whatever ids the prompt's end will have.

Ids that no text has there are never sampled, so what is generated is what a text is encoded to.
"""

from __future__ import annotations

import pathlib
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from attrs import frozen

from tokframe import setting
from tokframe.errors import EncodingError
from tokframe.storage.settings import check
from tokframe.tokenizer.likelihood import OpenEnd, Path
from tokframe.tokenizer.prompts import Prompt
from tokframe_lm.evaluation.loglikelihood import logits_of
from tokframe_lm.model.heads import draw
from tokframe_lm.model.model import start_id
from tokframe_lm.storage import SavedModel, load

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
def generate(
    saved: SavedModel | str | pathlib.Path,
    prompt: str = "",
    *,
    max_bytes: int = 400,
    temperature: float = 0.8,
    top_k: int = 50,
    seed: int = 0,
    sampling: Sampling | None = None,
) -> Iterator[Piece]:
    """Yield the text that a model, or the one at a path, writes after `prompt`, about `max_bytes` of it, in pieces.

    `temperature`, `top_k` and `seed` are those of `Sampling`, unless `sampling` holds them.

    An empty prompt begins a new text. Where the ids of the prompt's end depend on what follows, the first id is sampled
    among all that go beyond that end, each by its probability and that of the ids before it: at temperature 1 and
    without `top_k` the text is distributed as texts of the model are that begin with the prompt. Special tokens, which
    are not text, are never sampled. When the context is full, only its last half is kept. The same seed gives the same
    text.

    Raises: EncodingError for a prompt longer than the context; ConfigError for invalid sampling.
    """
    saved = saved if isinstance(saved, SavedModel) else load(saved)
    sampling = sampling or Sampling(temperature=temperature, top_k=top_k, seed=seed)
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
    choice: dict[str, Any] = {
        "temperature": sampling.temperature,
        "top_k": sampling.top_k,
        "generator": torch.Generator().manual_seed(sampling.seed),
    }
    special = torch.tensor(sorted(tokenizer.textless_ids), dtype=torch.long)
    size = len(tokenizer.decode(ids[1:]))
    first: int | None = None
    if tokenizer.capabilities.lossless and (start := tokenizer.prompt(prompt, False)).open:
        behind, first = _first(saved, start, choice)
        ids = [ids[0], *start.ids, *behind]
    decoder = tokenizer.stream_decoder()
    # Read behind the prompt, as some tokenizers drop the space that a text begins with; what is not yet decoded of the
    # prompt comes with the text after it, which it is not.
    of_prompt = size - len(decoder.feed(ids[1:]))
    table = model.embedding.table()
    cache, fresh, pending = None, ids, 0
    all_ids = ids[1:]
    follows = partial(tokenizer.may_follow, all_ids)
    written = 0 if first is None else sum(len(tokenizer.token_bytes(n)) for n in all_ids) - len(prompt.encode())
    while written < max_bytes:
        if first is None:
            read = torch.tensor([fresh], device=device)
            state, cache = model.next_state(read, cache, table)
            token = model.sample_at(state, read, table, excluded=special, accepts=follows, **choice)
            if token is None:  # hardly any of the likeliest may follow
                never = np.union1d(tokenizer.never_next(all_ids), special)
                if len(never) == tokenizer.vocab_size:
                    break  # whatever followed would change the ids before
                token = model.sample_at(state, read, table, excluded=torch.from_numpy(never).long(), **choice)
            assert token is not None  # one that is not excluded
            fresh = [token]
        else:
            token, fresh, first = first, [*ids, first], None
        ids.append(token)
        all_ids.append(token)
        written += len(tokenizer.token_bytes(token))
        pending += 1
        decoded = decoder.feed(token)
        text, of_prompt = decoded[of_prompt:], max(0, of_prompt - len(decoded))
        if text:
            yield Piece(text=text, tokens=pending)
            pending = 0
        if len(ids) > context:
            ids = ids[-(context // 2) :]
            cache, fresh = None, ids
    rest = decoder.finish()[of_prompt:]
    if rest or pending:
        yield Piece(text=rest, tokens=pending)


def _first(saved: SavedModel, prompt: Prompt, choice: dict[str, Any]) -> tuple[Path, int]:
    """Return the ids after those of a prompt that stay, up to the first that goes beyond its end; and that one."""
    tokenizer = saved.tokenizer
    weighed = OpenEnd(prompt).weigh(
        tokenizer,
        logits_of(saved.model),
        head=[start_id(tokenizer)],
        context=saved.model.config.context,
        without=tokenizer.textless_ids,
    )
    joint = torch.from_numpy(np.concatenate([before + log_probs for before, log_probs in weighed.values()]))
    drawn = draw(joint, **choice)
    assert drawn is not None  # nothing refuses
    node, token = divmod(drawn, tokenizer.vocab_size)
    return [*weighed][node], token
