"""Toy tokenizers with names, a plugin that claims the name of one, and manifests to look at."""

from __future__ import annotations

import json

import numpy as np
from toy_bytes.tokenizer import ToyTokenizer

from tokframe.tokenizer.results import Capabilities

PIECES = [b"th", b"the ", "🙂".encode()]
TEXT = "the thing 🙂\x00 é"


RIVAL = """
@tokframe.hookimpl
def tokframe_tokenizers():
    return [tokframe.TokenizerSpec(name="toy", target="toy_bytes.tokenizer:ToyTokenizer", summary="another")]
@tokframe.hookimpl
def tokframe_components():
    return [tokframe.ComponentSpec(kind="embedding", name="toy-part", target="toy_bytes.tokenizer:ToyPart")]
"""


class LossyToy(ToyTokenizer):
    """Knows ASCII and nothing else."""

    capabilities = Capabilities(lossless=False, bytes_input=False, offsets=False)

    def encode_raw(self, data):
        return np.asarray([byte + 4 if byte < 128 else 1 for byte in data], np.int32)


def named(tokenizer, name="toy"):
    tokenizer.name = name
    return tokenizer


def toy(pieces=PIECES, **options):
    return named(ToyTokenizer(pieces, **options))


def manifest_of(folder):
    return json.loads((folder / "manifest.json").read_bytes())
