"""The tokenizer "bpe" and its distribution keep the contracts that any plugin's must."""

from __future__ import annotations

from typing import ClassVar

from tokframe.testing import PluginContract, TokenizerContract


class TestBPE(TokenizerContract):
    name = "bpe"
    config: ClassVar = {"vocab_size": 400, "min_frequency": 3}


class TestDistribution(PluginContract):
    distribution = "tokframe-bpe"
