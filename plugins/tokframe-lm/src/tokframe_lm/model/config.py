"""What a language model is made of and trained with."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import field, frozen

from tokframe import setting

__all__ = ["LMConfig", "embedding_name"]


def embedding_name(name: str) -> str:
    """Return the name under which an embedding is registered: "factored+lookup", as a sum, is "factored-lookup"."""
    return name.replace("+", "-")


@frozen(kw_only=True)
class LMConfig:
    """Shape, embedding and training of a language model. Weights are float32 always."""

    d_model: int = setting(256, at_least=1)  #: width; a multiple of twice the heads
    layers: int = setting(4, at_least=1)
    heads: int = setting(4, at_least=1)
    context: int = setting(256, at_least=4)  #: tokens
    embedding: str = field(default="lookup", converter=embedding_name)
    batch: int = setting(16, at_least=1)  #: windows of `context` tokens in a step
    #: bytes of text in a step instead of `batch`, so that equal bytes are equal steps with any tokenizer; 0: `batch`
    batch_bytes: int = setting(0, at_least=0)
    learning_rate: float = setting(1e-3, above=0)
    embedding_rate: float = setting(0.0, at_least=0)  #: learning rate of the embedding's rows; 0: `learning_rate`
    weight_decay: float = setting(0.01, at_least=0)
    warmup: float = setting(0.05, at_least=0, at_most=1)  #: share of the steps in which the learning rates rise
    clip: float = setting(1.0, above=0)  #: largest gradient norm
    precision: str = setting("float32", one_of=("float32", "bfloat16"))  #: of the matrix products in training
    #: initial bias per id: 0, or the log frequencies of the ids in the corpus
    bias: str = setting("zeros", one_of=("zeros", "frequencies"))
    #: make ids very unlikely after an id that the tokenizer never puts them after, if the tokenizer knows such pairs
    canonical: bool = False
    #: ids that occur less often in the corpus keep the initial row of their own, if the embedding has shared rows too
    min_count: int = setting(16, at_least=0)
    steps: int = setting(0, at_least=0)  #: 0: one pass over the corpus
    max_bytes: int = setting(0, at_least=0)  #: bytes of the corpus that are read; 0: all
    checkpoint_every: int = setting(100, at_least=1)  #: steps
    seed: int = setting(0, at_least=0)
    #: add a second head: output vector -> latent -> the tokenizer's decoder -> bytes of the next segment
    vector_decoder: bool = False
    vector_weight: float = setting(1.0, at_least=0)  #: weight of that head's loss, which is in nats per segment
    #: "frozen" trains only that head's projection, "tuned" a copy of the decoder too
    decoder: str = setting("frozen", one_of=("frozen", "tuned"))

    def issues(self) -> Iterator[tuple[str, str]]:
        """Yield `(field, text)` for what the bounds do not say."""
        if self.heads > 0 and self.d_model % (2 * self.heads):
            # rotary positions turn pairs of coordinates of each head
            yield "d_model", f"{self.d_model} is not a multiple of twice the {self.heads} heads"
