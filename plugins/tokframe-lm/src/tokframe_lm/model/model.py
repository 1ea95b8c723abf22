"""LanguageModel: an embedding, the body of a small Llama from Hugging Face transformers, and a head.

Training, evaluation and generation are in their own modules.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaModel

from tokframe.errors import ConfigError, UnsupportedError
from tokframe.plugins.discovery import host
from tokframe.plugins.registry import call_target, load_config, load_target
from tokframe.storage.advice import FIRST_PARTY
from tokframe.storage.config import structure
from tokframe.tokenizer.base import ITokenizer
from tokframe.tokenizer.roles import start_of
from tokframe_lm.model import stepping
from tokframe_lm.model.canonical import Impossible
from tokframe_lm.model.config import LMConfig
from tokframe_lm.model.embeddings import Embedding, embedding_class
from tokframe_lm.model.heads import Context, Head

__all__ = ["LanguageModel", "build", "start_id"]


class LanguageModel(nn.Module):
    """Next-token model: ids -> embedding -> Llama -> head, which the embedding may be tied to.

    `counts` (ids,) are those of the training text where the head is not tied: shapes and branches follow from them.
    """

    counts: Tensor | None

    def __init__(self, config: LMConfig, embedding: Embedding, head: Head | None = None) -> None:
        super().__init__()
        self.config = config
        self.embedding = embedding
        self.impossible: Impossible | None = None
        self.counts = None
        self.body = LlamaModel(_llama(config))
        self.body.set_input_embeddings(None)  # type: ignore[arg-type]  # ours is used in its place
        if head is not None:
            self.attach(head)

    def attach(self, head: Head) -> None:
        """Set the head."""
        self.head = head
        if not head.tied:
            self.embedding.untie()
            del self.counts
            self.register_buffer("counts", torch.zeros(head.vocab_size))

    def prepare(self, counts: Tensor, *, new: bool = True) -> None:
        """Fit a model to the counts of ids in its training text (ids,), before it is trained or its weights are loaded.

        A model that is not `new` keeps its shape, and its biases.
        """
        frequent = counts.numpy() >= self.config.min_count
        if self.head.tied:
            if new and self.config.bias == "frequencies":
                self.embedding.set_unigram_bias(counts.numpy())
            self.embedding.train_own_rows(frequent)
        elif new:
            self.counts = counts.float()
            self.embedding.keep_own_rows(self.counts.numpy() >= self.config.min_count)
            self.head.prepare(self.counts)

    def forward(self, ids: Tensor) -> Tensor:
        """Return scores of the next id at each position: (batch, tokens) -> (batch, tokens, ids).

        Logits, or of a head that is not tied ln p; their softmax is the distribution.
        """
        table = self.embedding.table() if self.head.tied else None
        states = self.hidden_states(ids, table)
        return self.head.logits(states.flatten(0, 1), self._context(ids, table)).view(*ids.shape, -1)

    def loss(self, ids: Tensor, targets: Tensor, table: Tensor | None = None) -> Tensor:
        """Return the training loss: mean cross-entropy in nats of targets (batch, tokens) after ids (batch, tokens).

        Products are computed in the config's precision; those of `token_nll` and `next_logits` in float32.
        """
        precision = torch.bfloat16 if self.config.precision == "bfloat16" else torch.float32
        if table is None and self.head.tied:
            table = self.embedding.table()
        with torch.autocast(ids.device.type, dtype=precision, enabled=precision != torch.float32):
            states = self.hidden_states(ids, table)
        return self.head.loss(states.flatten(0, 1).float(), targets.flatten(), self._context(ids, table), precision)

    def token_nll(self, ids: Tensor, targets: Tensor) -> Tensor:
        """Return the negative log-likelihood of each target in nats: (batch, tokens) -> (batch, tokens)."""
        table = self.embedding.table() if self.head.tied else None
        states = self.hidden_states(ids, table).flatten(0, 1)
        return self.head.nll(states, targets.flatten(), self._context(ids, table)).view_as(targets)

    def next_logits(self, ids: Tensor, cache: Any, table: Tensor) -> tuple[Tensor, Any]:
        """Return the scores after the last of ids (1, tokens) as (ids,), and the extended key-value cache."""
        state, cache = self.next_state(ids, cache, table)
        return self.head.logits(state[None], self._context(ids[:, -1:], table))[0], cache

    def logits_at(self, ids: Tensor, rows: Tensor, places: Tensor) -> Tensor:
        """Return the scores after chosen places of ids (batch, tokens): rows, places (n,) -> (n, ids)."""
        table = self.embedding.table() if self.head.tied else None
        return self.head.logits(self.hidden_states(ids, table)[rows, places], self._context(ids[rows, places], table))

    def sample_next(self, ids: Tensor, cache: Any, table: Tensor, **choice: Any) -> tuple[int | None, Any]:
        """Return an id drawn after the last of ids (1, tokens), and the extended cache; `choice` as for `Head.sample`.

        A decoder head looks at far fewer ids for it than `next_logits` does.
        """
        state, cache = self.next_state(ids, cache, table)
        return self.sample_at(state, ids, table, **choice), cache

    def sample_at(self, state: Tensor, ids: Tensor, table: Tensor, **choice: Any) -> int | None:
        """Return an id drawn given the body's output after ids (1, tokens), as `next_state` returned it."""
        return self.head.sample(state, self._context(ids[:, -1:], table), **choice)

    def next_state(self, ids: Tensor, cache: Any, table: Tensor) -> tuple[Tensor, Any]:
        """Return the body's output after the last of ids (1, tokens) as (d_model,), and the extended cache."""
        if stepping.suits(self.body):
            cache = stepping.Cache(self.body) if cache is None else cache
            return stepping.step(self.body, self.embedding(ids, table)[0], cache), cache
        found = self.body(inputs_embeds=self.embedding(ids, table), past_key_values=cache, use_cache=True)
        return found.last_hidden_state[0, -1], found.past_key_values

    def hidden_states(self, ids: Tensor, table: Tensor | None = None) -> Tensor:
        """Return the body's output after each of ids: (batch, tokens) -> (batch, tokens, d_model)."""
        found: Tensor = self.body(inputs_embeds=self.embedding(ids, table), use_cache=False).last_hidden_state
        return found

    @property
    def sizes(self) -> dict[str, int]:
        """Number of parameters of the "embedding" (tied output included), of the "body" and of the "head" beside it."""
        parts = {"embedding": self.embedding, "body": self.body, "head": self.head}
        sizes = {name: sum(p.numel() for p in part.parameters()) for name, part in parts.items()}
        return {name: size for name, size in sizes.items() if size or name != "head"}

    def _context(self, ids: Tensor, table: Tensor | None) -> Context:
        return Context(before=ids.flatten(), table=table, impossible=self.impossible)


def build(config: LMConfig, tokenizer: ITokenizer) -> LanguageModel:
    """Return an untrained model for a tokenizer; the same seed gives the same weights.

    Raises: UnknownNameError for the name of the embedding or head; ConfigError for settings that the head does not
    have; UnsupportedError where the tokenizer does not suit them.
    """
    start_id(tokenizer)  # before any work: without it a model can be neither trained nor used
    kind = embedding_class(config.embedding)
    first = host().registry.component("embedding", config.embedding.split("+")[0], FIRST_PARTY)
    spec = host().registry.component("head", config.head, FIRST_PARTY)
    target = load_target(spec)
    if config.head_settings and not spec.config:
        raise ConfigError("config", [("$.head_settings", f"the head {config.head!r} has no settings")])
    settings = structure(load_config(spec), config.head_settings, "$.head_settings") if spec.config else None
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        # The body first: its weights do not depend on the vocabulary, so models of one seed begin with the same.
        body = LanguageModel(config, nn.Identity())  # type: ignore[arg-type]  # replaced in the next line
        body.embedding = call_target(first, kind, tokenizer, d_model=config.d_model)
        body.attach(call_target(spec, target, settings, tokenizer=tokenizer, embedding=body.embedding))
    pairs = tokenizer.impossible_pairs() if config.canonical else None
    body.impossible = None if pairs is None else Impossible(pairs)
    return body


def start_id(tokenizer: ITokenizer) -> int:
    """Return the id that begins a text (see `roles.start_of`).

    Raises: UnsupportedError where the tokenizer has no special token for it.
    """
    special = tokenizer.special_tokens
    found = start_of(special, tokenizer.special_roles, tokenizer.template()[0], tokenizer.unknown_id)
    if found is not None:
        return found
    raise UnsupportedError(
        f"{tokenizer.name!r} has no special token that a language model could begin a text with (its special tokens: "
        f"{', '.join(special) or 'none'}). Add one and import the tokenizer again: among the added tokens of a "
        "tokenizer.json, as a control symbol of a sentencepiece model, or for a tiktoken file by tokframe import FILE "
        "--special '<|endoftext|>=ID'. Those that come with tokframe have one: tokframe components",
        capability="special_tokens",
    )


def _llama(config: LMConfig) -> LlamaConfig:
    return LlamaConfig(
        vocab_size=1,
        hidden_size=config.d_model,
        intermediate_size=-(-config.d_model * 8 // 3 // 8) * 8,  # Llama's 8/3, in multiples of 8
        num_hidden_layers=config.layers,
        num_attention_heads=config.heads,
        num_key_value_heads=config.heads,
        max_position_embeddings=config.context,
        pad_token_id=None,
        bos_token_id=None,
        eos_token_id=None,
    )
