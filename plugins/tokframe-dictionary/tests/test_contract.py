"""The tokenizer "dictionary" and its distribution keep the contracts that any plugin's must."""

from __future__ import annotations

from pathlib import Path

import pytest

import tokframe
from tokframe.testing import PluginContract, TokenizerContract


class TestDictionary(TokenizerContract):
    name = "dictionary"
    max_examples = 50

    @pytest.fixture
    def tokenizer(self, saved: Path) -> tokframe.ITokenizer:
        return tokframe.load(saved)


class TestDictionaryWithPartsOfCharacters(TokenizerContract):
    """Segments that are the beginning of a character are ids like any other: streams, offsets, impossible pairs."""

    name = "dictionary"
    max_examples = 50

    @pytest.fixture
    def tokenizer(self, covered: Path) -> tokframe.ITokenizer:
        return tokframe.load(covered)


class TestDistribution(PluginContract):
    distribution = "tokframe-dictionary"
