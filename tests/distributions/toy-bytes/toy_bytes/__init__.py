"""The plugin: declares the tokenizer "toy" and one component, in strings."""

from __future__ import annotations

import tokframe
from tokframe.plugins.migrations import Migration


@tokframe.hookimpl
def tokframe_tokenizers():
    return [
        tokframe.TokenizerSpec(
            name="toy", target="toy_bytes.tokenizer:ToyTokenizer", artifact="toy_bytes:artifact", summary="bytes"
        )
    ]


@tokframe.hookimpl
def tokframe_components():
    return [tokframe.ComponentSpec(kind="embedding", name="toy-part", target="toy_bytes.tokenizer:ToyPart")]


@tokframe.hookimpl
def tokframe_migrations():
    return [Migration(tokenizer="toy", from_version=1, target="toy_bytes.tokenizer:from_version_1")]
