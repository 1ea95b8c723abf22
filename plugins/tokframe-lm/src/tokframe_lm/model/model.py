"""LanguageModel: a tied embedding around the body of a small Llama from Hugging Face transformers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from attrs import frozen
from torch import Tensor, nn
from torch.nn import functional
from transformers import LlamaConfig, LlamaModel

from tokframe.errors import UnsupportedError
from tokframe.plugins.discovery import host
from tokframe.plugins.registry import load_target
from tokframe.tokenizer.base import ITokenizer
from tokframe_lm.model.canonical import Impossible
from tokframe_lm.model.config import LMConfig
from tokframe_lm.model.embeddings import Embedding
from tokframe_lm.model.loss import mean_cross_entropy
from tokframe_lm.model.vector import VectorHead

__all__ = ["LanguageModel", "Sizes", "build", "start_id"]


@frozen(kw_only=True)
class Sizes:
    """Parameters of the embedding (tied output included), of the body between, and of a vector head."""

    embedding: int
    body: int
    vector: int = 0


class LanguageModel(nn.Module):
    """Next-token model: ids -> embedding -> Llama -> scores by the same embedding, and bytes by a vector head."""

    def __init__(self, config: LMConfig, embedding: Embedding) -> None:
        super().__init__()
        self.config = config
        self.embedding = embedding
        self.impossible: Impossible | None = None
        self.vector: VectorHead | None = None
        self.body = LlamaModel(_llama(config))
        self.body.set_input_embeddings(None)  # type: ignore[arg-type]  # ours is used in its place

    def forward(self, ids: Tensor) -> Tensor:
        """Return scores of the next id at each place: (batch, tokens) -> (batch, tokens, ids)."""
        table = self.embedding.table()
        scores = self.embedding.scores(self.vectors(ids, table), table)
        return scores if self.impossible is None else self.impossible(scores, ids)

    def loss(self, ids: Tensor, targets: Tensor, table: Tensor | None = None) -> Tensor:
        """Return the mean cross-entropy in nats of targets (batch, tokens) after ids (batch, tokens), to learn from.

        Products are taken in the precision that the config names; those of `surprise` and `step` are float32. A vector
        head's loss is added, as the config weighs it.
        """
        precision = torch.bfloat16 if self.config.precision == "bfloat16" else torch.float32
        table = self.embedding.table() if table is None else table
        with torch.autocast(ids.device.type, dtype=precision, enabled=precision != torch.float32):
            vectors = self.body(inputs_embeds=self.embedding(ids, table), use_cache=False).last_hidden_state
        loss = mean_cross_entropy(
            vectors.flatten(0, 1),
            table,
            self.embedding.bias,
            targets.flatten(),
            lowered=None if self.impossible is None else self.impossible.places(ids.flatten()),
            precision=precision,
        )
        return loss if self.vector is None else loss + self.config.vector_weight * self.vector.loss(vectors, targets)

    def surprise(self, ids: Tensor, targets: Tensor) -> Tensor:
        """Return -ln p of each target: (batch, tokens) -> (batch, tokens)."""
        scores = self(ids).float()
        return functional.cross_entropy(scores.flatten(0, 1), targets.flatten(), reduction="none").view_as(targets)

    def step(self, ids: Tensor, cache: Any, table: Tensor, *, head: str = "softmax") -> tuple[Tensor, Any]:
        """Return scores after the last of ids (1, tokens) as (ids,), and the cache that goes on from there.

        With `head` "vector" the score of an id is ln p of its bytes under the vector decoder.
        """
        found = self.body(inputs_embeds=self.embedding(ids, table), past_key_values=cache, use_cache=True)
        last = found.last_hidden_state[0, -1]
        if head == "vector" and self.vector is not None:
            return self.vector.scores(last[None])[0], found.past_key_values
        scores = self.embedding.scores(last, table)
        return scores if self.impossible is None else self.impossible(scores, ids[0, -1]), found.past_key_values

    def vectors(self, ids: Tensor, table: Tensor) -> Tensor:
        """Return what the body says after each of ids: (batch, tokens) -> (batch, tokens, d_model)."""
        found: Tensor = self.body(inputs_embeds=self.embedding(ids, table), use_cache=False).last_hidden_state
        return found

    def take(self, other: LanguageModel) -> None:
        """Take the weights of a model of this shape and vocabulary; a vector head that it lacks stays new."""
        weights = other.state_dict()
        wanted = self.state_dict()
        self.load_state_dict({name: weights.get(name, tensor) for name, tensor in wanted.items()})

    @property
    def sizes(self) -> Sizes:
        """Number of parameters."""
        return Sizes(
            embedding=_count(self.embedding.parameters()),
            body=_count(self.body.parameters()),
            vector=0 if self.vector is None else _count(self.vector.parameters()),
        )


def build(config: LMConfig, tokenizer: ITokenizer) -> LanguageModel:
    """Return an untrained model for a tokenizer; the same seed gives the same weights.

    Raises: UnknownNameError for the embedding's name; UnsupportedError where the tokenizer does not suit it.
    """
    spec = host().registry.component("embedding", config.embedding)
    kind = load_target(spec)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        # The body first: its weights do not depend on the vocabulary, so models of one seed begin with the same.
        body = LanguageModel(config, nn.Identity())  # type: ignore[arg-type]  # replaced in the next line
        body.embedding = kind(tokenizer, d_model=config.d_model)
    pairs = tokenizer.impossible_pairs() if config.canonical else None
    body.impossible = None if pairs is None else Impossible(pairs)
    if config.vector_decoder:
        tuned = config.decoder == "tuned"
        body.vector = VectorHead(tokenizer, d_model=config.d_model, tuned=tuned, seed=config.seed)
    return body


def start_id(tokenizer: ITokenizer) -> int:
    """Return the id that stands before a text. Raises: UnsupportedError where the tokenizer has no special token."""
    special = tokenizer.special_tokens
    for text in ("<s>", "</s>", "<pad>"):
        if text in special:
            return special[text]
    raise UnsupportedError(
        f"{tokenizer.name!r} has none of the special tokens <s>, </s> and <pad>, and a language model needs one to "
        "begin a text with. Take a tokenizer that has one: tokframe components",
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


def _count(parameters: Iterator[nn.Parameter]) -> int:
    return sum(parameter.numel() for parameter in parameters)
