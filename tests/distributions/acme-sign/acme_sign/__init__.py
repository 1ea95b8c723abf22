"""The plugin: declares the quantizer "acme-sign" in strings, so that discovering it imports no torch."""

from __future__ import annotations

import tokframe


@tokframe.hookimpl
def tokframe_components():
    return [
        tokframe.ComponentSpec(
            kind="quantizer",
            name="acme-sign",
            target="acme_sign.quantizer:SignQuantizer",
            config="acme_sign.config:SignConfig",
            summary="one bit per dimension: the sign",
        )
    ]
