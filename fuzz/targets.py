"""Fuzz targets: functions of any bytes that raise only for a finding.

Errors of tokframe's own are expected; any other exception, and ids that do not decode to the bytes, are findings.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Callable, Mapping
from functools import cache, partial
from pathlib import Path

import tokframe
from tokframe.errors import TokframeError
from tokframe.loading.building import build
from tokframe.loading.reference import resolve
from tokframe.storage.artifact import CONFIG, FORMAT, read
from tokframe.storage.strictjson import canonical_json, parse_json
from tokframe.tokenizer.base import ITokenizer

__all__ = ["TARGETS", "seeds"]

_NAME = "autoencoder-fsq"
_CODEBOOK = "codebook.safetensors"


@cache
def _folder() -> Path:
    """Return a copy of the shipped artifact without its weights, which nothing here reads."""
    source = resolve(_NAME).folder()
    folder = Path(shutil.copytree(source, Path(tempfile.mkdtemp(prefix="tokframe-fuzz-")) / "copy"))
    (folder / "weights.safetensors").unlink()
    manifest = parse_json((folder / FORMAT.manifest).read_bytes(), FORMAT.manifest)
    manifest["files"].pop("weights.safetensors")
    manifest.pop("sha256", None)
    (folder / FORMAT.manifest).write_bytes(canonical_json(manifest))
    return folder


@cache
def _original(name: str) -> bytes:
    return (_folder() / name).read_bytes()


@cache
def _tokenizer() -> ITokenizer:
    return tokframe.load(_NAME)


def _load_with(name: str, data: bytes) -> None:
    """Load the artifact with one file's contents replaced, its checksum in the manifest updated; then use it."""
    folder, original, manifest = _folder(), _original(name), _original(FORMAT.manifest)
    try:
        (folder / name).write_bytes(data)
        if name != FORMAT.manifest:
            listed = parse_json(manifest, FORMAT.manifest)
            listed["files"][name] = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
            (folder / FORMAT.manifest).write_bytes(canonical_json(listed))
        tokenizer = build(read(folder))
        text = "some text 🙂\n"
        if tokenizer.decode(tokenizer.encode(text)) != text:
            raise AssertionError("a tokenizer that loaded is not lossless")
    except TokframeError:
        pass
    finally:
        (folder / name).write_bytes(original)
        (folder / FORMAT.manifest).write_bytes(manifest)


def text(data: bytes) -> None:
    """Any bytes through encode and decode, whole, in parts and as ids."""
    tokenizer = _tokenizer()
    ids = tokenizer.encode_bytes(data)
    if tokenizer.decode_bytes(ids, skip_special=False) != data:
        raise AssertionError("encode and decode do not give back the bytes")
    if any(token < len(tokenizer.special_tokens) for token in ids):
        raise AssertionError("text became a special id")
    stream = tokenizer.stream_encoder()
    cut = len(data) // 3
    if stream.feed(data[:cut]) + stream.feed(data[cut:]) + stream.finish() != ids:
        raise AssertionError("a stream gives other ids than the whole")
    numbers = [int.from_bytes(data[i : i + 3], "little", signed=True) for i in range(0, len(data), 3)]
    try:
        tokenizer.decode(numbers)
    except TokframeError:
        pass


TARGETS: Mapping[str, Callable[[bytes], None]] = {
    "manifest": partial(_load_with, FORMAT.manifest),
    "config": partial(_load_with, CONFIG),
    "codebook": partial(_load_with, _CODEBOOK),
    "text": text,
}


def seeds(target: str) -> list[bytes]:
    """Return valid inputs to start from."""
    if target == "codebook":
        from safetensors.numpy import save
        from tokframe_autoencoder.codebook import Codebook

        # Small, so that a change is likely to matter: what is checked is the same for any size.
        small = Codebook.build([b"the ", b"ing", b"\n\n"], {b"ing": 3}, {b"the ": 7, b"a": 8})
        return [bytes(save(small.tensors()))]
    if target == "text":
        return [b"", b"plain text, 123\n", "é🙂\u4f60\r\n".encode(), b"<s></s><pad>\x00\xff" * 9]
    return [_original(FORMAT.manifest if target == "manifest" else CONFIG)]
