"""Quantizers of vector-quantize-pytorch keep tokframe's contract, though they were not written for it."""

from __future__ import annotations

from typing import ClassVar

import pytest

from tokframe.testing import PluginContract, QuantizerContract

pytest.importorskip("vector_quantize_pytorch")

pytestmark = pytest.mark.trains


class TestResidualFSQ(QuantizerContract):
    name = "rfsq"
    config: ClassVar = {"levels": [7, 4, 3], "quantizers": 3, "vocab_size": 300}


class TestResidualFSQOfAsManyDimensionsAsTheLatent(QuantizerContract):
    name = "rfsq"
    config: ClassVar = {"levels": [3, 4, 5], "quantizers": 2, "vocab_size": 300}
    d_latent = 3


class TestLookupFree(QuantizerContract):
    name = "lfq"
    config: ClassVar = {"bits": 9, "vocab_size": 300, "entropy_weight": 0.2}


class TestDistribution(PluginContract):
    distribution = "tokframe-vector-quantize"
