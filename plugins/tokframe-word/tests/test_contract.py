"""The tokenizer "word" and its distribution keep the contracts that any plugin's must."""

from __future__ import annotations

from typing import ClassVar

from tokframe.testing import PluginContract, TokenizerContract


class TestWord(TokenizerContract):
    name = "word"
    config: ClassVar = {"vocab_size": 300}


class TestDistribution(PluginContract):
    distribution = "tokframe-word"
