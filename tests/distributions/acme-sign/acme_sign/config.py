"""What a config may say about the quantizer "acme-sign"."""

from __future__ import annotations

from attrs import frozen

from tokframe import setting


@frozen(kw_only=True)
class SignConfig:
    """`bits` dimensions give `2**bits` codes; `spread` weighs how evenly they are used."""

    bits: int = setting(12, at_least=1, at_most=24)
    vocab_size: int = setting(512, at_least=1)
    spread: float = 0.5
