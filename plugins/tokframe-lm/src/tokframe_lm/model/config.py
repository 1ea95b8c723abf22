"""LMConfig: shape and training of a language model. `tokframe lm train --help` lists its keys by their comments."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from attrs import field, frozen

from tokframe import setting
from tokframe.errors import ConfigError
from tokframe.storage.config import structure
from tokframe.storage.strictjson import read_json

__all__ = ["LMConfig", "config_for", "embedding_name", "read_config", "saved_config"]


def embedding_name(name: str) -> str:
    """Return the name under which an embedding is registered: "factored+lookup", as a sum, is "factored-lookup"."""
    return name.replace("factored+lookup", "factored-lookup").replace("factored+spelled", "factored-spelled")


@frozen(kw_only=True)
class LMConfig:
    """Shape, embedding and training of a language model. Weights are float32 always."""

    d_model: int = setting(256, at_least=1, at_most=1 << 16)  #: width; a multiple of twice the heads
    layers: int = setting(4, at_least=1, at_most=1024)  #: transformer layers
    heads: int = setting(4, at_least=1, at_most=1 << 12)  #: attention heads
    context: int = setting(256, at_least=4, at_most=1 << 20)  #: tokens in a window
    #: registered embedding, or several added up, as "spelled+vectors"; the softmax is tied to it
    embedding: str = field(default="lookup", converter=embedding_name)
    #: registered head: "softmax" over all ids, or "decoder", which writes an id byte by byte
    head: str = "softmax"
    #: settings of the head, such as {"core": "mlp"} of the decoder; see docs/heads.md
    head_settings: dict[str, Any] = field(factory=dict)
    batch: int = setting(16, at_least=1, at_most=1 << 20)  #: windows of `context` tokens in a step
    #: bytes of text in a step instead of `batch`, so that equal bytes are equal steps with any tokenizer; 0: `batch`
    batch_bytes: int = setting(0, at_least=0)
    learning_rate: float = setting(1e-3, above=0)  #: peak learning rate
    embedding_rate: float = setting(0.0, at_least=0)  #: learning rate of the embedding's rows; 0: `learning_rate`
    weight_decay: float = setting(0.01, at_least=0)  #: of matrices, by AdamW
    warmup: float = setting(0.05, at_least=0, at_most=1)  #: share of the steps in which the learning rates rise
    clip: float = setting(1.0, above=0)  #: largest gradient norm
    precision: str = setting("float32", one_of=("float32", "bfloat16"))  #: of the matrix products in training
    #: initial bias per id: "zeros", or the log "frequencies" of the ids in the corpus
    bias: str = setting("zeros", one_of=("zeros", "frequencies"))
    #: make ids very unlikely after an id that the tokenizer never puts them after, if the tokenizer knows such pairs
    canonical: bool = False
    #: ids that occur less often in the corpus have no trained row of their own, if the embedding has shared rows too
    min_count: int = setting(16, at_least=0)
    steps: int = setting(0, at_least=0)  #: training steps; 0: one pass over the corpus
    max_bytes: int = setting(0, at_least=0)  #: bytes of the corpus that are read; 0: all
    checkpoint_every: int = setting(100, at_least=1)  #: steps
    seed: int = setting(0, at_least=0)  #: of the weights and the order of the windows
    #: settings for one tokenizer over these, such as {"bpe": {"learning_rate": 0.001}}; empty in a saved model
    tokenizers: dict[str, Any] = field(factory=dict)

    def issues(self) -> Iterator[tuple[str, str]]:
        """Yield `(field, text)` for what the bounds do not say."""
        if self.heads > 0 and self.d_model % (2 * self.heads):
            # rotary positions turn pairs of coordinates of each head
            yield "d_model", f"{self.d_model} is not a multiple of twice the {self.heads} heads"


def config_for(config: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """Return a config for a tokenizer known by these names: what "tokenizers" says of it, over what is said for all.

    Raises: ConfigError where "tokenizers" is not an object of objects.
    """
    found = dict(config)
    each = found.pop("tokenizers", {})
    if not isinstance(each, Mapping) or not all(isinstance(keys, Mapping) for keys in each.values()):
        problem = 'expected an object of configs by tokenizer, such as {"bpe": {"learning_rate": 0.001}}'
        raise ConfigError("config", [("$.tokenizers", problem)])
    for keys in each.values():  # told of now, whichever tokenizer is used
        structure(LMConfig, {**found, **keys}, "$.tokenizers")
    for name in names:
        found |= each.get(name, {})
    return found


def read_config(config: Mapping[str, Any] | str | Path | None, **keys: Any) -> dict[str, Any]:
    """Return a config, JSON data or a file of it, with the `keys` that are not None. Raises: ConfigError."""
    given = read_json(config, given=True) if isinstance(config, (str, Path)) else config or {}
    return {**given, **{key: value for key, value in keys.items() if value is not None}}


def saved_config(data: Any) -> Any:
    """Return the config of a saved model without the keys of the vector decoder, which older versions wrote.

    Raises: ConfigError for a model that was trained with one.
    """
    if not isinstance(data, Mapping):
        return data
    if data.get("vector_decoder"):
        problem = "the vector decoder was removed from tokframe-lm; train the model again without this key"
        raise ConfigError("config", [("$.vector_decoder", problem)])
    return {name: value for name, value in data.items() if name not in ("vector_decoder", "vector_weight", "decoder")}
