"""Arrays in files, written in parts and read memory-mapped: flat little-endian, or with numpy's header."""

from __future__ import annotations

import os
import secrets
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import numpy as np

from tokframe.errors import ShardsError
from tokframe.storage.manifest import file_sha256
from tokframe.storage.regular import open_regular

__all__ = ["ArrayWriter", "bytes_of", "mapped"]

HEADER_BYTES = 128  # of numpy's header for any flat array
BUFFER_BYTES = 1 << 20


class ArrayWriter:
    """Writes a flat array under a temporary name; `finish` flushes it to disk and renames it."""

    def __init__(self, folder: Path, scratch: Path, name: str, dtype: str) -> None:
        self._target = folder / name
        # Two workers may write one shard, if one was wrongly believed lost: each has a file of its own.
        self._path = scratch / f"{name}.tmp-{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
        self._dtype = np.dtype(dtype).newbyteorder("<")
        self._header = HEADER_BYTES if name.endswith(".npy") else 0
        self.length = 0
        self._file = self._path.open("xb", buffering=BUFFER_BYTES)
        self._file.write(bytes(self._header))

    def append(self, values: Any) -> None:
        """Write values after those before. Raises: OSError; ShardsError for one that the array cannot hold."""
        found = np.asarray(values)
        if len(found):
            held, low, high = np.iinfo(self._dtype), found.min(), found.max()
            if low < held.min or high > held.max:
                raise ShardsError(
                    f"{low if low < held.min else high} is outside {held.min} to {held.max}, which is what "
                    f"{self._target.name} holds. The tokenizer gives ids outside its vocabulary: tell its author",
                    path=self._target.parent,
                )
        self._file.write(np.ascontiguousarray(found, self._dtype).data)
        self.length += len(values)

    def finish(self) -> str:
        """Finish the file and return its SHA-256. Raises: OSError."""
        if self._header:
            self._file.seek(0)
            np.lib.format.write_array_header_1_0(
                self._file, {"descr": self._dtype.str, "fortran_order": False, "shape": (self.length,)}
            )
            if self._file.tell() != self._header:
                raise ValueError(f"numpy wrote a header of {self._file.tell()} bytes, expected {self._header}")
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        digest = file_sha256(self._path)
        os.replace(self._path, self._target)
        return digest

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):  # a full disk was reported already
            self._file.close()
        self._path.unlink(missing_ok=True)


def bytes_of(name: str, dtype: str, length: int) -> int:
    """Return the size of the file of an array."""
    return length * np.dtype(dtype).itemsize + (HEADER_BYTES if name.endswith(".npy") else 0)


def mapped(path: Path, dtype: str, length: int) -> Any:
    """Return a file's array, read-only and memory-mapped. Raises: OSError; ValueError for a file of another size."""
    with open_regular(path) as file:
        found, expected = os.fstat(file.fileno()).st_size, bytes_of(path.name, dtype, length)
        if found != expected:
            raise ValueError(f"has {found} bytes, expected {expected}")
        kind = np.dtype(dtype).newbyteorder("<")
        if not length:  # which cannot be mapped
            return np.empty(0, kind)
        return np.memmap(file, kind, mode="r", offset=HEADER_BYTES if path.suffix == ".npy" else 0, shape=(length,))
