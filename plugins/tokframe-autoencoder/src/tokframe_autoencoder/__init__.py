"""Plugin tokframe-autoencoder: the learned tokenizer and the parts of its network. Imports nothing heavy."""

from __future__ import annotations

from tokframe import ComponentSpec, TokenizerSpec, hookimpl

__all__ = ["tokframe_components", "tokframe_tokenizers"]

__version__ = "0.1.0"


@hookimpl
def tokframe_components() -> list[ComponentSpec]:
    """Add encoder `conv`, quantizers `fsq` and `vq`, decoder `deconv`."""
    config = "tokframe_autoencoder.network.config"
    network = "tokframe_autoencoder.network"
    return [
        ComponentSpec(
            kind="encoder",
            name="conv",
            target=f"{network}.encoder:ConvEncoder",
            config=f"{config}:EncoderConfig",
            summary="strided 1-d convolutions over the bytes of a segment",
            extra="train",
        ),
        ComponentSpec(
            kind="quantizer",
            name="fsq",
            target=f"{network}.fsq:FSQ",
            config=f"{config}:FSQConfig",
            summary="finite scalar quantization (Mentzer et al., 2023)",
            extra="train",
        ),
        ComponentSpec(
            kind="quantizer",
            name="vq",
            target=f"{network}.vq:VQ",
            config=f"{config}:VQConfig",
            summary="vector quantization with an EMA codebook (van den Oord et al., 2017)",
            extra="train",
        ),
        ComponentSpec(
            kind="decoder",
            name="deconv",
            target=f"{network}.decoder:DeconvDecoder",
            config=f"{config}:DecoderConfig",
            summary="transposed 1-d convolutions from a latent to bytes and an end",
            extra="train",
        ),
    ]


@hookimpl
def tokframe_tokenizers() -> list[TokenizerSpec]:
    """Add `autoencoder-fsq`, which ships trained, and `autoencoder-vq`, which does not."""
    parts = {"encoder": "conv", "decoder": "deconv"}
    target = "tokframe_autoencoder.tokenizer"
    return [
        TokenizerSpec(
            name="autoencoder-fsq",
            target=f"{target}:AutoencoderTokenizer",
            artifact="tokframe_autoencoder:artifact/autoencoder-fsq",
            defaults={**parts, "quantizer": "fsq"},
            summary="learned segments, finite scalar quantization, lossless for any bytes",
            extra="train",
        ),
        TokenizerSpec(
            name="autoencoder-vq",
            target=f"{target}:AutoencoderTokenizer",
            defaults={**parts, "quantizer": "vq"},
            summary="learned segments, vector quantization, lossless for any bytes",
            extra="train",
        ),
    ]
