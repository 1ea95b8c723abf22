"""Settings: what a comparison trains on and measures, beside the config of the models."""

from __future__ import annotations

from attrs import frozen

from tokframe import setting

__all__ = ["Settings"]


@frozen(kw_only=True)
class Settings:
    """What a comparison trains on and measures."""

    seeds: int = setting(3, at_least=1)  #: runs of each model, from seed 0 on
    #: "bytes": same text for all; "flops", "time" or "all": also train cheaper models on more text, up to equal FLOPs,
    #: equal seconds of training, or once for each
    equal: str = setting("flops", one_of=("bytes", "flops", "time", "all"))
    max_bytes: int = setting(2_000_000, at_least=1)  #: bytes of training text, in equal shares of the corpora
    eval_bytes: int = setting(100_000, at_least=1)  #: bytes of each held-out text
    prompts: int = setting(12, at_least=0)  #: prompts that each model continues; 0: none
    written: int = setting(400, at_least=1)  #: bytes written after each prompt
    scorer_bytes: int = setting(10_000_000, at_least=1)  #: bytes of the corpus that the scorer is trained on
    temperature: float = setting(0.8, at_least=0)  #: sampling temperature
    top_k: int = setting(50, at_least=0)  #: likeliest tokens to sample from; 0: all
