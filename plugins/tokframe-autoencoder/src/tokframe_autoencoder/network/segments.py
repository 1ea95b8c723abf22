"""SegmentTable: segments as padded tensors, the network's inputs and targets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from attrs import frozen
from torch import Tensor

__all__ = ["END", "SegmentTable", "batches", "segments_of"]

#: The symbol after the last byte of a segment.
END = 256


@frozen(kw_only=True, eq=False)
class SegmentTable:
    """`data` (segments, max_length) int64, zero padded; `lengths` (segments,) int64.

    `targets` (segments, max_length + 1) holds the bytes, then END, then -1 where nothing is expected.
    """

    data: Tensor
    lengths: Tensor
    targets: Tensor

    def __len__(self) -> int:
        return len(self.lengths)

    def symbols(self, chosen: Tensor) -> Tensor:
        """Return how many symbols, bytes and ends, are expected of segments (n,), counted with repetition: scalar."""
        return self.lengths[chosen].sum() + len(chosen)

    @classmethod
    def of(cls, segments: Sequence[bytes], max_length: int, device: str | torch.device = "cpu") -> SegmentTable:
        """Build from bytes. Raises: ValueError for an empty segment or one longer than `max_length`."""
        sizes = np.fromiter((len(segment) for segment in segments), np.int64, len(segments))
        if len(sizes) and (sizes.min() < 1 or sizes.max() > max_length):
            bad = int(np.flatnonzero((sizes < 1) | (sizes > max_length))[0])
            raise ValueError(f"segment {bad} has {sizes[bad]} bytes; the network reads 1 to {max_length}")
        columns = np.arange(max_length + 1)
        inside = columns < sizes[:, None]
        targets = np.full((len(sizes), max_length + 1), -1, np.int64)
        targets[inside] = np.frombuffer(b"".join(segments), np.uint8)
        data = np.where(inside, targets, 0)[:, :max_length]
        targets[columns == sizes[:, None]] = END
        return cls(
            data=torch.from_numpy(np.ascontiguousarray(data)).to(device),
            lengths=torch.from_numpy(sizes).to(device),
            targets=torch.from_numpy(targets).to(device),
        )


def batches(tensors: Sequence[Tensor], size: int = 2048) -> Iterator[tuple[Tensor, ...]]:
    """Yield consecutive rows of tensors of equal length, `size` at a time, so that memory stays bounded."""
    for start in range(0, len(tensors[0]), size):
        yield tuple(tensor[start : start + size] for tensor in tensors)


def segments_of(logits: Tensor) -> list[bytes]:
    """Return the likeliest bytes before the first end: (batch, max_length + 1, 257) -> one segment for each row."""
    rows = logits.argmax(-1).tolist()
    return [bytes(row[: row.index(END)] if END in row else row) for row in rows]
