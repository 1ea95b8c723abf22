"""The plugin tokframe-vector-quantize: declares the quantizers "rfsq" and "lfq" of vector-quantize-pytorch."""

from __future__ import annotations

from tokframe import ComponentSpec, hookimpl

__all__ = ["tokframe_components"]

__version__ = "0.1.0"


@hookimpl
def tokframe_components() -> list[ComponentSpec]:
    """Add quantizers `rfsq` and `lfq`."""
    package = "tokframe_vector_quantize"
    return [
        ComponentSpec(
            kind="quantizer",
            name="rfsq",
            target=f"{package}.residual:ResidualFSQuantizer",
            config=f"{package}.config:ResidualFSQConfig",
            summary="residual finite scalar quantization, of vector-quantize-pytorch",
            extra="train",
        ),
        ComponentSpec(
            kind="quantizer",
            name="lfq",
            target=f"{package}.lookupfree:LookupFreeQuantizer",
            config=f"{package}.config:LookupFreeConfig",
            summary="lookup-free quantization (Yu et al., 2023), of vector-quantize-pytorch",
            extra="train",
        ),
    ]
