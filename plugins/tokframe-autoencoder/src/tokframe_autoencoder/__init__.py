"""Plugin tokframe-autoencoder: the learned tokenizer and the parts of its network. Imports nothing heavy."""

from __future__ import annotations

from tokframe import ComponentSpec, TokenizerSpec, hookimpl

__all__ = ["tokframe_components", "tokframe_tokenizers"]

__version__ = "0.1.0"


@hookimpl
def tokframe_components() -> list[ComponentSpec]:
    """Add encoder `conv`, quantizers `fsq` and `vq`, decoder `deconv`."""
    parts = (
        ("encoder", "conv", "encoder:ConvEncoder", "Encoder", "strided 1-d convolutions over the bytes of a segment"),
        ("quantizer", "fsq", "fsq:FSQ", "FSQ", "finite scalar quantization (Mentzer et al., 2023)"),
        ("quantizer", "vq", "vq:VQ", "VQ", "vector quantization with an EMA codebook (van den Oord et al., 2017)"),
        (
            "decoder",
            "deconv",
            "decoder:DeconvDecoder",
            "Decoder",
            "transposed 1-d convolutions from a latent to bytes and an end",
        ),
    )
    return [
        ComponentSpec(
            kind=kind,
            name=name,
            target=f"tokframe_autoencoder.network.{target}",
            config=f"tokframe_autoencoder.network.config:{config}Config",
            summary=summary,
            extra="train",
        )
        for kind, name, target, config, summary in parts
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
