"""LanguageModel: a tied embedding around the body of a small Llama from Hugging Face transformers.

Training, evaluation and generation are in their own modules.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import LlamaConfig, LlamaModel

from tokframe.errors import UnsupportedError
from tokframe.plugins.discovery import host
from tokframe.plugins.registry import call_target, load_target
from tokframe.storage.advice import FIRST_PARTY
from tokframe.tokenizer.base import ITokenizer
from tokframe.tokenizer.roles import role_of
from tokframe_lm.model.canonical import Impossible
from tokframe_lm.model.config import LMConfig
from tokframe_lm.model.embeddings import Embedding
from tokframe_lm.model.loss import mean_cross_entropy

__all__ = ["LanguageModel", "build", "start_id"]


class LanguageModel(nn.Module):
    """Next-token model: ids -> embedding -> Llama -> logits by the same embedding."""

    def __init__(self, config: LMConfig, embedding: Embedding) -> None:
        super().__init__()
        self.config = config
        self.embedding = embedding
        self.impossible: Impossible | None = None
        self.body = LlamaModel(_llama(config))
        self.body.set_input_embeddings(None)  # type: ignore[arg-type]  # ours is used in its place

    def forward(self, ids: Tensor) -> Tensor:
        """Return the logits of the next id at each position: (batch, tokens) -> (batch, tokens, ids)."""
        table = self.embedding.table()
        logits = self.embedding.logits(self.hidden_states(ids, table), table)
        return logits if self.impossible is None else self.impossible(logits, ids)

    def loss(self, ids: Tensor, targets: Tensor, table: Tensor | None = None) -> Tensor:
        """Return the training loss: mean cross-entropy in nats of targets (batch, tokens) after ids (batch, tokens).

        Products are computed in the config's precision; those of `token_nll` and `next_logits` in float32.
        """
        precision = torch.bfloat16 if self.config.precision == "bfloat16" else torch.float32
        table = self.embedding.table() if table is None else table
        with torch.autocast(ids.device.type, dtype=precision, enabled=precision != torch.float32):
            states = self.hidden_states(ids, table)
        return mean_cross_entropy(
            states.flatten(0, 1),
            table,
            self.embedding.bias,
            targets.flatten(),
            penalized=None if self.impossible is None else self.impossible.positions(ids.flatten()),
            precision=precision,
        )

    def token_nll(self, ids: Tensor, targets: Tensor) -> Tensor:
        """Return the negative log-likelihood of each target in nats: (batch, tokens) -> (batch, tokens)."""
        logits = self(ids).float()
        return functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none").view_as(targets)

    def next_logits(self, ids: Tensor, cache: Any, table: Tensor) -> tuple[Tensor, Any]:
        """Return the logits after the last of ids (1, tokens) as (ids,), and the extended key-value cache."""
        found = self.body(inputs_embeds=self.embedding(ids, table), past_key_values=cache, use_cache=True)
        logits = self.embedding.logits(found.last_hidden_state[0, -1], table)
        return logits if self.impossible is None else self.impossible(logits, ids[0, -1]), found.past_key_values

    def hidden_states(self, ids: Tensor, table: Tensor) -> Tensor:
        """Return the body's output after each of ids: (batch, tokens) -> (batch, tokens, d_model)."""
        found: Tensor = self.body(inputs_embeds=self.embedding(ids, table), use_cache=False).last_hidden_state
        return found

    @property
    def sizes(self) -> dict[str, int]:
        """Number of parameters of the "embedding" (tied output included) and of the "body"."""
        parts = {"embedding": self.embedding, "body": self.body}
        return {name: sum(p.numel() for p in part.parameters()) for name, part in parts.items()}


def build(config: LMConfig, tokenizer: ITokenizer) -> LanguageModel:
    """Return an untrained model for a tokenizer; the same seed gives the same weights.

    Raises: UnknownNameError for the embedding's name; UnsupportedError where the tokenizer does not suit it.
    """
    start_id(tokenizer)  # before any work: without it a model can be neither trained nor used
    spec = host().registry.component("embedding", config.embedding, FIRST_PARTY)
    kind = load_target(spec)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        # The body first: its weights do not depend on the vocabulary, so models of one seed begin with the same.
        body = LanguageModel(config, nn.Identity())  # type: ignore[arg-type]  # replaced in the next line
        body.embedding = call_target(spec, kind, tokenizer, d_model=config.d_model)
    pairs = tokenizer.impossible_pairs() if config.canonical else None
    body.impossible = None if pairs is None else Impossible(pairs)
    return body


def start_id(tokenizer: ITokenizer) -> int:
    """Return the id that begins a text: what the tokenizer's template begins with, else a special token by its role.

    Any special token will do, as none stands in a text but the unknown one.
    Raises: UnsupportedError where the tokenizer has no special token for it.
    """
    before, _ = tokenizer.template()
    if before:
        return before[0]
    special, roles = tokenizer.special_tokens, tokenizer.special_roles
    # The unknown token of no other role: GPT-2's is <|endoftext|>, which no text is encoded to.
    unknown = {text for text, token in special.items() if token == tokenizer.unknown_id and role_of(text) is None}
    usable = [text for text in special if text != roles.get("unk") and text not in unknown]
    for role in ("bos", "cls", "eos", "sep", "pad"):
        if (text := roles.get(role)) in usable:
            return special[text]
    if usable:
        return min(special[text] for text in usable)
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
