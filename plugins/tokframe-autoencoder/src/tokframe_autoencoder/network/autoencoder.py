"""The autoencoder: encoder, quantizer and decoder joined, with batched helpers for bytes and numpy.

Parts are anything that follows tokframe's Encoder, Quantizer and Decoder protocols.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from tokframe.errors import UnsupportedError
from tokframe.plugins.protocols import Quantized
from tokframe_autoencoder.network.layers import linear_fp32
from tokframe_autoencoder.network.results import EncodedSegments, RoundTrip
from tokframe_autoencoder.network.segments import END, SegmentTable, batches, segments_of

__all__ = ["Autoencoder"]


class Autoencoder(nn.Module):
    """bytes -> latent -> code -> latent -> bytes; `use_head`, where there is one, reads the use from a latent."""

    def __init__(
        self, encoder: Any, quantizer: Any, decoder: Any, *, max_length: int = 16, use_head: nn.Linear | None = None
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.quantizer = quantizer
        self.decoder = decoder
        self.max_length = max_length
        self.use_head = use_head

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next((p.device for p in self.parameters()), torch.device("cpu"))

    def forward(self, data: Tensor, lengths: Tensor) -> tuple[Tensor, Quantized]:
        """(batch, bytes) int64, (batch,) int64 -> logits (batch, max_length + 1, 257) and the quantizer's result."""
        quantized: Quantized = self.quantizer(self.encoder(data, lengths))
        return self.decoder(quantized.latents), quantized

    def encode(self, segments: Sequence[bytes]) -> EncodedSegments:
        """Return the code of each segment, computed without autocast and in evaluation mode.

        Raises: ValueError for a segment that is empty or too long.
        """
        table = SegmentTable.of(segments, self.max_length, self.device)
        codes, margins = self.encode_table(table)
        return EncodedSegments(codes=codes.cpu().numpy(), margins=margins.cpu().numpy())

    def decode(self, codes: npt.NDArray[np.int64] | Sequence[int]) -> list[bytes]:
        """Return the bytes of each code. Raises: ValueError for a code outside the codebook."""
        parts = batches([self.checked(codes)])
        return [segment for (part,) in parts for segment in segments_of(self._logits_of(part))]

    def vectors(self, segments: Sequence[bytes]) -> npt.NDArray[np.float32]:
        """Return what the network takes for the use of each segment, known or not: (segments, d), rows of length one.

        Raises: UnsupportedError for a network without `use_head`; ValueError for a segment that is empty or too long.
        """
        table = SegmentTable.of(segments, self.max_length, self.device)
        return self.vectors_table(table).cpu().numpy()

    @torch.no_grad()
    def vectors_table(self, table: SegmentTable) -> Tensor:
        """Return `vectors` of segments given as a table, (segments, d) fp32. Raises: UnsupportedError."""
        if self.use_head is None:
            raise UnsupportedError(
                'this network has no vectors of use; train one with training.guide "use", the default',
                capability="vectors",
            )
        with _evaluating(self):
            parts = [self.use_of(self.encoder(*part)) for part in batches([table.data, table.lengths])]
        return torch.cat(parts) if parts else torch.zeros(0, self.use_head.out_features)

    def use_of(self, latents: Tensor) -> Tensor:
        """(batch, d_latent) -> (batch, d) fp32, rows of length one, in a network with a `use_head`."""
        assert self.use_head is not None
        return functional.normalize(linear_fp32(self.use_head, latents), dim=1)

    def checked(self, codes: npt.NDArray[np.int64] | Sequence[int]) -> Tensor:
        """Return codes as a tensor on the network's device. Raises: ValueError for a code outside the codebook."""
        given = np.asarray(codes)
        if given.ndim != 1 or (given.size and given.dtype.kind not in "iu"):
            raise ValueError(f"codes are integers in one dimension, got {given.dtype} in {given.ndim}")
        indices = np.ascontiguousarray(given, np.int64)
        size = int(self.quantizer.codebook_size)
        if len(indices) and (int(indices.min()) < 0 or int(indices.max()) >= size):
            bad = int(indices[(indices < 0) | (indices >= size)][0])
            raise ValueError(f"code {bad} is outside the codebook of {size} codes")
        return torch.from_numpy(indices).to(self.device)

    def roundtrip(self, segments: Sequence[bytes], weights: npt.NDArray[np.float64] | None = None) -> RoundTrip:
        """Send segments through encoder, quantizer and decoder and measure how exactly they are reproduced."""
        table = SegmentTable.of(segments, self.max_length, self.device)
        return self.roundtrip_table(table, weights)

    def roundtrip_table(
        self, table: SegmentTable, weights: npt.NDArray[np.float64] | None = None, codes: Tensor | None = None
    ) -> RoundTrip:
        """Measure segments given as a table; with `codes` (segments,) given, of the decoder alone."""
        if codes is None:
            codes, margins = self.encode_table(table)
        else:
            margins = torch.full((len(codes),), float("nan"), dtype=torch.float32)
        parts = batches([codes, table.targets])
        scores = [_scores(self._logits_of(indices), targets) for indices, targets in parts]
        right, nats, leads = (torch.cat(part).cpu().numpy() for part in zip(*scores, strict=True))
        lengths = table.lengths.cpu().numpy()
        use = np.ones(len(lengths)) if weights is None or not np.sum(weights) > 0 else np.asarray(weights, np.float64)
        exact, numbers = leads > 0, codes.cpu().numpy()
        _, place, count = np.unique(numbers, return_inverse=True, return_counts=True)
        return RoundTrip(
            exact=exact,
            own_code=count[place] == 1,
            codes=numbers,
            margins=margins.cpu().numpy(),
            leads=leads,
            exact_rate=float(exact.mean()),
            exact_rate_weighted=float(np.average(exact, weights=use)),
            character_accuracy=float(right.sum() / lengths.sum()),
            character_accuracy_weighted=float((right * use).sum() / (lengths * use).sum()),
            perplexity=float(np.exp(min(nats.sum() / (lengths + 1).sum(), 700.0))),
            perplexity_weighted=float(np.exp(min((nats * use).sum() / ((lengths + 1) * use).sum(), 700.0))),
            codes_used=len(count),
            collisions=len(numbers) - len(count),
        )

    @torch.no_grad()
    def encode_table(self, table: SegmentTable) -> tuple[Tensor, Tensor]:
        """Return codes and margins (NaN where there are none), each (segments,)."""
        codes, margins = [], []
        with _evaluating(self):
            for data, lengths in batches([table.data, table.lengths]):
                quantized = self.quantizer(self.encoder(data, lengths))
                codes.append(quantized.indices)
                nan = torch.full(quantized.indices.shape, float("nan"), dtype=torch.float32, device=data.device)
                margins.append(nan if quantized.margin is None else quantized.margin.float())
        if not codes:
            return torch.zeros(0, dtype=torch.int64), torch.zeros(0, dtype=torch.float32)
        return torch.cat(codes), torch.cat(margins)

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return the weights as numpy arrays, for an artifact; those of a half model as fp32."""
        weights = {name: tensor.detach().cpu() for name, tensor in self.state_dict().items()}
        return {name: (w.float() if w.is_floating_point() else w).numpy() for name, w in weights.items()}

    def load_arrays(self, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """Load weights from numpy arrays. Raises: RuntimeError if names or shapes do not fit."""
        self.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in arrays.items()})

    @torch.no_grad()
    def _logits_of(self, indices: Tensor) -> Tensor:
        with _evaluating(self):
            logits: Tensor = self.decoder(self.quantizer.decode_indices(indices))
        return logits.float()


@contextmanager
def _evaluating(network: Autoencoder) -> Iterator[None]:
    """Set evaluation mode without autocast, and at the end the mode of before."""
    before = network.training
    network.eval()
    try:
        with torch.autocast(network.device.type, enabled=False):
            yield
    finally:
        network.train(before)


def _scores(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return of each segment its right bytes, the nats of its symbols, and its smallest lead, each (batch,)."""
    known, wanted = targets >= 0, targets.clamp(min=0)
    nats = (functional.cross_entropy(logits.mT, wanted, reduction="none") * known).double().sum(1)
    own = logits.gather(-1, wanted[..., None])[..., 0]
    best = logits.scatter(-1, wanted[..., None], float("-inf")).amax(-1)
    lead = torch.where(known, own - best, torch.full_like(own, float("inf")))
    return ((lead > 0) & known & (wanted != END)).sum(1), nats, lead.amin(1)
