"""The learned tokenizer, its parts and its distribution keep the contracts that any plugin's must."""

from __future__ import annotations

from typing import ClassVar

import pytest

import tokframe
from tokframe.testing import DecoderContract, EncoderContract, PluginContract, QuantizerContract, TokenizerContract

pytestmark = pytest.mark.trains


class TestTrained(TokenizerContract):
    name = "autoencoder-fsq"
    max_examples = 50

    @pytest.fixture
    def tokenizer(self, small):
        return small


class TestShipped(TokenizerContract):
    name = "autoencoder-fsq"
    max_examples = 50

    # A minute for all its segments; test_shipped.py runs its checks.
    test_its_own_checks_pass = None
    test_recompiling_an_unchanged_network_changes_nothing = None

    def make(self):
        return tokframe.load("autoencoder-fsq")


class TestConv(EncoderContract):
    name = "conv"
    config: ClassVar = {"d_char": 8, "d_latent": 32, "conv_channels": [16], "kernel_sizes": [3], "strides": [2]}


class TestConvThatPoolsByTheMean(EncoderContract):
    name = "conv"
    config: ClassVar = {**TestConv.config, "pooling": "mean"}


class TestSigmoidFSQ(QuantizerContract):
    name = "fsq"
    config: ClassVar = {"levels": [8, 5, 5], "vocab_size": 150, "bound": "sigmoid"}


class TestFSQ(QuantizerContract):
    name = "fsq"
    config: ClassVar = {"levels": [7, 5, 4], "vocab_size": 100, "bound": "tanh", "temperature": 0.5}


class TestVQ(QuantizerContract):
    name = "vq"
    config: ClassVar = {"codebook_size": 300, "vocab_size": 280, "d_code": 8}


class TestDeconv(DecoderContract):
    name = "deconv"
    config: ClassVar = {
        "d_latent": 32,
        "deconv_channels": [16, 8],
        "kernel_sizes": [3, 3],
        "strides": [2, 1],
        "hidden_width": 64,
    }


class TestDistribution(PluginContract):
    distribution = "tokframe-autoencoder"
