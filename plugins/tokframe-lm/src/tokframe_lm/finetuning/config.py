"""How a language model and its tokenizer's network are trained together."""

from __future__ import annotations

import math
from collections.abc import Iterator

from attrs import frozen

__all__ = ["FinetuneConfig"]


@frozen(kw_only=True)
class FinetuneConfig:
    """How a model and its tokenizer are trained together.

    `reconstruction` is the lambda of `loss = LM + lambda * reconstruction`; `batch` in windows of the model's context;
    `segments` ids are drawn evenly each step and reconstructed beside those of the batch, so that rare ones are not
    forgotten. `learning_rate` is the model's, `network_rate` that of encoder, quantizer and decoder; both rise over
    the share `warmup` of the steps and fall to a tenth. Every `refresh` steps all ids are encoded anew. Afterwards the
    codes settle in at most `settle_steps` steps at `settle_rate`.
    """

    reconstruction: float = 1.0
    steps: int = 200
    batch: int = 4
    segments: int = 256
    learning_rate: float = 2e-4
    network_rate: float = 1e-4
    weight_decay: float = 0.01
    warmup: float = 0.05
    clip: float = 1.0
    refresh: int = 50
    settle_steps: int = 2000
    settle_rate: float = 1e-3
    max_bytes: int = 0
    checkpoint_every: int = 50
    seed: int = 0

    def issues(self) -> Iterator[tuple[str, str]]:
        """Yield `(field, problem)`."""
        if not 0 <= self.reconstruction < math.inf:
            yield (
                "reconstruction",
                f"{self.reconstruction} is not 0 or more; it is lambda, the weight of the reconstruction",
            )
        for name in ("steps", "batch", "refresh", "settle_steps", "checkpoint_every"):
            if getattr(self, name) < 1:
                yield name, f"{getattr(self, name)} is too small: at least 1"
        for name in ("segments", "max_bytes", "seed", "weight_decay"):
            if getattr(self, name) < 0:
                yield name, f"{getattr(self, name)} is negative"
        for name in ("learning_rate", "network_rate", "settle_rate", "clip"):
            if not 0 < getattr(self, name) < math.inf:
                yield name, f"{getattr(self, name)} is not positive"
        if not 0 <= self.warmup <= 1:
            yield "warmup", f"{self.warmup} is not between 0 and 1"
