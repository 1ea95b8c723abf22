"""Compression: unpacks .gz, .xz, .bz2 and .zst files as they are read. The text inside is left to its format."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tokframe.errors import CorpusError
from tokframe.storage.advice import install_command
from tokframe.storage.paths import shown

__all__ = ["SUFFIXES", "compressed", "optional_module", "unpacked"]

_MODULES = {".gz": "gzip", ".xz": "lzma", ".bz2": "bz2", ".zst": "zstandard"}
_BEGINNINGS = {b"\x1f\x8b\x08": ".gz", b"\xfd7zXZ\0": ".xz", b"BZh91AY&SY": ".bz2", b"\x28\xb5\x2f\xfd": ".zst"}

_MAX_WINDOW_BYTES = 1 << 31  # zstd's largest, of `zstd --ultra --long=31`; memory is used only as text fills it
_ZSTD_READ_BYTES = 4096  # of which zstd can make 134 MB at once, where a file means harm

#: File name suffixes of what can be unpacked.
SUFFIXES = tuple(_MODULES)


def unpacked(path: Path, suffix: str, chunk_bytes: int) -> Iterator[bytes]:
    """Yield the unpacked bytes of a file; `suffix` is one of `SUFFIXES`.

    Raises: CorpusError without zstandard; whatever the unpacking module raises for a damaged file.
    """
    if suffix == ".zst":
        yield from _zstd_chunks(path, chunk_bytes)
        return
    with importlib.import_module(_MODULES[suffix]).open(path, "rb") as stream:
        while chunk := stream.read(chunk_bytes):
            yield chunk


def compressed(head: bytes) -> str:
    """Return the suffix of compressed data by its beginning, "" for other data. Source: magic(5)."""
    return next((suffix for beginning, suffix in _BEGINNINGS.items() if head.startswith(beginning)), "")


def optional_module(name: str, path: Path, extra: str) -> Any:
    """Import a module that an extra of tokframe installs. Raises: CorpusError with the command to install it."""
    try:
        return importlib.import_module(name)
    except ImportError as cause:
        package = name.partition(".")[0]
        text = f"reading {shown(path)} needs {package}: {install_command('tokframe', extra)}"
        raise CorpusError(text, path=path) from cause


def _zstd_chunks(path: Path, chunk_bytes: int) -> Iterator[bytes]:
    """Yield unpacked bytes of all frames; unlike the package's own reader, notice a truncated file."""
    zstandard = optional_module("zstandard", path, "zstd")
    with path.open("rb") as stream:
        unpacker = zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW_BYTES)
        unpack = unpacker.decompressobj()
        inside_frame = False
        while block := stream.read(_ZSTD_READ_BYTES):
            while block:
                inside_frame = True
                data = unpack.decompress(block)
                yield from (data[start : start + chunk_bytes] for start in range(0, len(data), chunk_bytes))
                block = unpack.unused_data if unpack.eof else b""
                if unpack.eof:
                    unpack, inside_frame = unpacker.decompressobj(), False
        if inside_frame:
            raise EOFError("the compressed stream ends before its end mark")
