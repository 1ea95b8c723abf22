"""What a language model is made of and trained with."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import field, frozen

__all__ = ["LMConfig", "embedding_name"]


def embedding_name(name: str) -> str:
    """Return the name under which an embedding is registered: "factored+lookup", as a sum, is "factored-lookup"."""
    return name.replace("+", "-")


@frozen(kw_only=True)
class LMConfig:
    """Shape, embedding and training of a language model.

    `context` in tokens; `batch` in windows of `context` tokens a step, or with `batch_bytes` as many windows as hold
    about so many bytes of text, so that equal bytes are equal steps whatever the tokenizer; `max_bytes` of the corpus
    are read, all with 0; `steps` 0 means one pass over them. `embedding_rate` is the learning rate of the embedding's
    rows, `learning_rate` with 0; both rise during the first `warmup` of the steps. `precision` is that of the products
    in training, "float32" or "bfloat16"; weights are float32 always.

    An id that the corpus shows fewer than `min_count` times keeps the row of its own as it begins, where the embedding
    has rows beside it that ids share. `canonical` makes ids very unlikely after an id that the tokenizer never puts
    them after; where the tokenizer cannot tell, all may follow all. `bias` is where a new model's bias per id begins:
    at "zeros", or at the "frequencies" of the ids in the corpus.

    `vector_decoder` adds a second head beside the softmax: output vector -> latent -> the tokenizer's decoder -> bytes
    of the next segment. Its loss, in nats per segment, counts `vector_weight` times; `decoder` "frozen" trains the
    projection alone, "tuned" a copy of the decoder too.
    """

    d_model: int = 256
    layers: int = 4
    heads: int = 4
    context: int = 256
    embedding: str = field(default="lookup", converter=embedding_name)
    batch: int = 16
    batch_bytes: int = 0
    learning_rate: float = 1e-3
    embedding_rate: float = 0.0
    weight_decay: float = 0.01
    warmup: float = 0.05
    clip: float = 1.0
    precision: str = "float32"
    bias: str = "zeros"
    canonical: bool = False
    min_count: int = 16
    steps: int = 0
    max_bytes: int = 0
    checkpoint_every: int = 100
    seed: int = 0
    vector_decoder: bool = False
    vector_weight: float = 1.0
    decoder: str = "frozen"

    def issues(self) -> Iterator[tuple[str, str]]:
        """Yield `(field, problem)`."""
        for name in ("d_model", "layers", "heads", "batch", "checkpoint_every"):
            if getattr(self, name) < 1:
                yield name, f"{getattr(self, name)} is too small: at least 1"
        for name in ("batch_bytes", "steps", "max_bytes", "min_count", "seed"):
            if getattr(self, name) < 0:
                yield name, f"{getattr(self, name)} is negative"
        if self.context < 4:
            yield "context", f"{self.context} is too small: at least 4 tokens"
        if self.heads > 0 and self.d_model % (2 * self.heads):
            # rotary positions turn pairs of coordinates of each head
            yield "d_model", f"{self.d_model} is no multiple of twice the {self.heads} heads"
        if not self.learning_rate > 0:
            yield "learning_rate", f"{self.learning_rate} is not positive"
        if not 0 <= self.embedding_rate < float("inf"):
            yield "embedding_rate", f"{self.embedding_rate} is not 0 or more"
        if not self.clip > 0:
            yield "clip", f"{self.clip} is not positive"
        if not 0 <= self.warmup <= 1:
            yield "warmup", f"{self.warmup} is not between 0 and 1"
        if self.precision not in ("float32", "bfloat16"):
            yield "precision", f"{self.precision!r} is not one of float32, bfloat16"
        if self.bias not in ("zeros", "frequencies"):
            yield "bias", f"{self.bias!r} is not one of zeros, frequencies"
        if not 0 <= self.vector_weight < float("inf"):
            yield "vector_weight", f"{self.vector_weight} is not 0 or more"
        if self.decoder not in ("frozen", "tuned"):
            yield "decoder", f"{self.decoder!r} is not one of frozen, tuned"
        if self.weight_decay < 0:
            yield "weight_decay", f"{self.weight_decay} is negative"
