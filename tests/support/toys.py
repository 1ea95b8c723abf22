"""The toy tokenizer with a name, a plugin that claims its name too, and manifests to look at and change."""

from __future__ import annotations

import json

from toy_bytes.tokenizer import ToyTokenizer

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


def toy(**options):
    tokenizer = ToyTokenizer(PIECES, **options)
    tokenizer.name = "toy"
    return tokenizer


def edit(folder, **changes):
    path = folder / "manifest.json"
    manifest = json.loads(path.read_bytes()) | changes
    del manifest["sha256"]  # as an older version wrote it
    path.write_text(json.dumps(manifest), encoding="utf-8")


def manifest_of(folder):
    return json.loads((folder / "manifest.json").read_bytes())
