"""Networks of learned tokenizers small enough to be trained in seconds."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["SMALL_NETWORK", "assert_same", "tiny_autoencoder"]

SMALL_NETWORK: dict[str, Any] = {
    "encoder": {"d_char": 16, "d_latent": 32, "conv_channels": [32, 32], "kernel_sizes": [3, 3], "strides": [1, 2]},
    "decoder": {
        "d_latent": 32,
        "deconv_channels": [32, 16],
        "kernel_sizes": [3, 3],
        "strides": [2, 1],
        "start_channels": 16,
        "hidden_blocks": 1,
        "hidden_width": 64,
    },
}


def tiny_autoencoder(quantizer: str = "fsq") -> Any:
    """Return a network of a few thousand weights for segments of up to four bytes."""
    from tokframe_autoencoder.network.autoencoder import Autoencoder
    from tokframe_autoencoder.network.config import DecoderConfig, EncoderConfig, FSQConfig, VQConfig
    from tokframe_autoencoder.network.decoder import DeconvDecoder
    from tokframe_autoencoder.network.encoder import ConvEncoder
    from tokframe_autoencoder.network.fsq import FSQ
    from tokframe_autoencoder.network.vq import VQ

    shape = {"d_latent": 16, "max_length": 4}
    encoder = ConvEncoder(EncoderConfig(d_char=8, conv_channels=(16,), kernel_sizes=(3,), strides=(1,)), **shape)
    decoder = DeconvDecoder(
        DecoderConfig(deconv_channels=(16,), kernel_sizes=(3,), strides=(2,), start_channels=16, hidden_width=32),
        **shape,
    )
    if quantizer == "vq":
        middle: Any = VQ(VQConfig(codebook_size=128, vocab_size=300, revive_after=4), **shape)
    else:
        middle = FSQ(FSQConfig(levels=(8, 8, 8)), **shape)
    return Autoencoder(encoder, middle, decoder, max_length=4)


def assert_same(first: dict[str, np.ndarray], second: dict[str, np.ndarray]) -> None:
    """Assert that two sets of weights are the same, bit for bit."""
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert np.array_equal(value, second[name]), name
