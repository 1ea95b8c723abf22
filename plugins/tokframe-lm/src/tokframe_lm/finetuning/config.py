"""FinetuneConfig: how a language model and its tokenizer's network are trained together."""

from __future__ import annotations

from attrs import frozen

from tokframe import setting

__all__ = ["FinetuneConfig"]


@frozen(kw_only=True)
class FinetuneConfig:
    """How a model and its tokenizer are trained together.

    All learning rates rise over the share `warmup` of the steps and fall to a tenth.
    """

    reconstruction: float = setting(1.0, at_least=0)  #: lambda in `loss = LM + lambda * reconstruction`
    steps: int = setting(200, at_least=1)  #: joint steps
    batch: int = setting(4, at_least=1, at_most=1 << 20)  #: windows of the model's context
    #: ids drawn uniformly each step and reconstructed beside those of the batch, so that rare ones are not forgotten
    segments: int = setting(256, at_least=0, at_most=1 << 20)
    learning_rate: float = setting(2e-4, above=0)  #: of the model
    network_rate: float = setting(1e-4, above=0)  #: of encoder, quantizer and decoder
    weight_decay: float = setting(0.01, at_least=0)  #: of matrices, by AdamW
    warmup: float = setting(0.05, at_least=0, at_most=1)  #: share of the steps in which the learning rates rise
    clip: float = setting(1.0, above=0)  #: largest gradient norm
    refresh: int = setting(50, at_least=1)  #: steps after which all ids are encoded again
    settle_steps: int = setting(2000, at_least=1)  #: at most, after training, until the codes are stable
    settle_rate: float = setting(1e-3, above=0)  #: learning rate in these
    max_bytes: int = setting(0, at_least=0)  #: bytes of the corpus that are read; 0: all
    checkpoint_every: int = setting(50, at_least=1)  #: steps
    seed: int = setting(0, at_least=0)  #: of the windows and the drawn ids
