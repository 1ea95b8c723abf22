"""The network of a learned tokenizer small enough to be trained in seconds."""

from __future__ import annotations

from typing import Any

__all__ = ["SMALL_NETWORK"]

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
