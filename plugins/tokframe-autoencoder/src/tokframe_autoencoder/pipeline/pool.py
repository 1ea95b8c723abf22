"""TrainingPool: the segments a network is trained on, stored so that a resumed run has the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from attrs import frozen
from safetensors import SafetensorError
from safetensors.numpy import load, save

from tokframe.errors import TrainingError
from tokframe.storage.atomic import write_atomically
from tokframe.storage.manifest import MAX_TENSORS_BYTES
from tokframe.storage.regular import read_regular

__all__ = ["TrainingPool"]

_FILE = "pool.safetensors"


@frozen(kw_only=True, eq=False)
class TrainingPool:
    """`segments` with the 256 single bytes first, `uses` (segments,) in the training text; `unseen` are others.

    `vectors` (segments, d) say how segments are used, where training is guided by that.
    """

    segments: tuple[bytes, ...]
    uses: npt.NDArray[np.int64]
    unseen: tuple[bytes, ...]
    vectors: npt.NDArray[np.float32] | None = None

    def to_bytes(self) -> bytes:
        """Return the pool as one safetensors file."""
        arrays: dict[str, npt.NDArray[Any]] = {"uses": self.uses}
        if self.vectors is not None:
            arrays["vectors"] = self.vectors
        for name, segments in (("segments", self.segments), ("unseen", self.unseen)):
            arrays[f"{name}.bytes"] = np.frombuffer(b"".join(segments), np.uint8)
            arrays[f"{name}.lengths"] = np.fromiter(map(len, segments), np.int64, len(segments))
        return bytes(save(arrays))

    @classmethod
    def from_bytes(cls, data: bytes) -> TrainingPool:
        """Return what `to_bytes` wrote. Raises: SafetensorError, KeyError or ValueError for anything else."""
        arrays = load(data)
        segments, unseen = (_split(arrays[f"{n}.bytes"], arrays[f"{n}.lengths"]) for n in ("segments", "unseen"))
        return cls(segments=segments, uses=arrays["uses"], unseen=unseen, vectors=arrays.get("vectors"))

    def write(self, folder: Path) -> None:
        """Keep the pool in a run's folder."""
        write_atomically(folder / _FILE, self.to_bytes())

    @classmethod
    def read(cls, folder: Path) -> TrainingPool | None:
        """Return the pool of a run's folder, or None. Raises: TrainingError for a damaged one."""
        path = folder / _FILE
        try:
            return cls.from_bytes(read_regular(path, MAX_TENSORS_BYTES)) if path.is_file() else None
        except (SafetensorError, KeyError, TypeError, ValueError, OSError) as error:
            raise TrainingError(f"{path} is damaged ({error}); remove the folder and train again") from error


def _split(blob: npt.NDArray[Any], lengths: npt.NDArray[Any]) -> tuple[bytes, ...]:
    raw, ends = blob.tobytes(), np.cumsum(lengths).tolist()
    return tuple(raw[end - length : end] for end, length in zip(ends, lengths.tolist(), strict=True))
