"""What a config may say about the quantizer "acme-sign"."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import frozen


@frozen(kw_only=True)
class SignConfig:
    """`bits` dimensions give `2**bits` codes; `spread` weighs how evenly they are used."""

    bits: int = 12
    vocab_size: int = 512
    spread: float = 0.5

    def issues(self) -> Iterator[tuple[str, str]]:
        if not 1 <= self.bits <= 24:
            yield "bits", f"is {self.bits}; 1 to 24"
