"""The heads of this distribution keep the contract for heads, over tokenizers of several kinds."""

from __future__ import annotations

from typing import ClassVar

import pytest
from tokframe_lm.testing import HeadContract

pytestmark = pytest.mark.trains


class Small(HeadContract):
    """The contract over a tokenizer of a few hundred ids."""

    kind = "bpe"

    @pytest.fixture(autouse=True)
    def small_tokenizer(self, small):
        self.tokenizer = small.tokenizers[self.kind]


class TestSoftmax(Small):
    name = "softmax"


class TestDecoder(Small):
    name = "decoder"


class TestDecoderOfWords(Small):
    name = "decoder"
    kind = "word"


class TestFeedForwardDecoder(Small):
    name = "decoder"
    settings: ClassVar = {"core": "mlp", "width": 24, "layers": 2, "table_bits": 10}


@pytest.mark.slow
class TestDecoderOfSegments(HeadContract):
    name = "decoder"
    tokenizer = "autoencoder-fsq"
