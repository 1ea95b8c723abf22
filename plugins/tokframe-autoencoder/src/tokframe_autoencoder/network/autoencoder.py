"""The autoencoder: encoder, quantizer and decoder joined, with batched helpers for bytes and numpy.

Parts are anything that follows tokframe's Encoder, Quantizer and Decoder protocols.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from tokframe.plugins.protocols import Quantized
from tokframe_autoencoder.network.results import EncodedSegments, RoundTrip
from tokframe_autoencoder.network.segments import END, SegmentTable, batches

__all__ = ["Autoencoder"]


class Autoencoder(nn.Module):
    """bytes -> latent -> code -> latent -> bytes."""

    def __init__(self, encoder: Any, quantizer: Any, decoder: Any, *, max_length: int = 16) -> None:
        super().__init__()
        self.encoder = encoder
        self.quantizer = quantizer
        self.decoder = decoder
        self.max_length = max_length

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next((p.device for p in self.parameters()), torch.device("cpu"))

    def forward(self, data: Tensor, lengths: Tensor) -> tuple[Tensor, Quantized]:
        """(batch, bytes) int64, (batch,) int64 -> logits (batch, max_length + 1, 257) and the quantizer's result."""
        quantized: Quantized = self.quantizer(self.encoder(data, lengths))
        return self.decoder(quantized.latents), quantized

    def encode(self, segments: Sequence[bytes]) -> EncodedSegments:
        """Return the code of each segment, computed in fp32 and evaluation mode.

        Raises: ValueError for a segment that is empty or too long.
        """
        table = SegmentTable.of(segments, self.max_length, self.device)
        codes, margins = self.encode_table(table)
        return EncodedSegments(codes=codes.cpu().numpy(), margins=margins.cpu().numpy())

    def decode(self, codes: npt.NDArray[np.int64] | Sequence[int]) -> list[bytes]:
        """Return the bytes of each code. Raises: ValueError for a code outside the codebook."""
        indices = np.asarray(codes, np.int64)
        size = int(self.quantizer.codebook_size)
        if len(indices) and (indices.min() < 0 or indices.max() >= size):
            bad = int(indices[(indices < 0) | (indices >= size)][0])
            raise ValueError(f"code {bad} is outside the codebook of {size} codes")
        pieces: list[bytes] = []
        for (part,) in batches([torch.from_numpy(indices).to(self.device)]):
            symbols = self._logits_of(part).argmax(-1).cpu().numpy()
            ends = np.where((symbols == END).any(1), (symbols == END).argmax(1), symbols.shape[1])
            pieces += [row[:end].astype(np.uint8).tobytes() for row, end in zip(symbols, ends, strict=True)]
        return pieces

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
            margins = torch.full((len(codes),), float("nan"))
        right, losses, leads = [], [], []
        for indices, targets in batches([codes, table.targets]):
            logits = self._logits_of(indices)
            known = targets >= 0
            wanted = targets.clamp(min=0)
            losses.append((functional.cross_entropy(logits.mT, wanted, reduction="none") * known).cpu())
            own = logits.gather(-1, wanted[..., None])[..., 0]
            best = logits.scatter(-1, wanted[..., None], float("-inf")).amax(-1)
            lead = torch.where(known, own - best, torch.full_like(own, float("inf")))
            leads.append(lead.amin(1).cpu())
            right.append(((lead > 0) & known & (wanted != END)).sum(1).cpu())
        return _measure(
            table,
            weights,
            codes=codes,
            margins=margins,
            right=torch.cat(right),
            losses=torch.cat(losses),
            leads=torch.cat(leads),
        )

    @torch.no_grad()
    def encode_table(self, table: SegmentTable) -> tuple[Tensor, Tensor]:
        """Return codes and margins (NaN where there are none), each (segments,)."""
        codes, margins = [], []
        with self._evaluating():
            for data, lengths in batches([table.data, table.lengths]):
                quantized = self.quantizer(self.encoder(data, lengths))
                codes.append(quantized.indices)
                nan = torch.full(quantized.indices.shape, float("nan"), device=data.device)
                margins.append(nan if quantized.margin is None else quantized.margin.float())
        if not codes:
            return torch.zeros(0, dtype=torch.int64), torch.zeros(0)
        return torch.cat(codes), torch.cat(margins)

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return the weights as numpy arrays, for an artifact."""
        return {name: tensor.detach().cpu().numpy() for name, tensor in self.state_dict().items()}

    def load_arrays(self, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """Load weights from numpy arrays. Raises: RuntimeError if names or shapes do not fit."""
        self.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in arrays.items()})

    @torch.no_grad()
    def _logits_of(self, indices: Tensor) -> Tensor:
        with self._evaluating():
            logits: Tensor = self.decoder(self.quantizer.decode_indices(indices)).float()
        return logits

    def _evaluating(self) -> _Evaluating:
        return _Evaluating(self)


class _Evaluating:
    """Evaluation mode for the length of a with block, then the mode of before."""

    def __init__(self, module: nn.Module) -> None:
        self.module, self.before = module, module.training

    def __enter__(self) -> None:
        self.module.eval()

    def __exit__(self, *_: object) -> None:
        self.module.train(self.before)


def _measure(
    table: SegmentTable,
    weights: npt.NDArray[np.float64] | None,
    *,
    codes: Tensor,
    margins: Tensor,
    right: Tensor,
    losses: Tensor,
    leads: Tensor,
) -> RoundTrip:
    """Turn per-segment counts into figures."""
    lengths = table.lengths.cpu().numpy()
    use = np.ones(len(lengths)) if weights is None else np.asarray(weights, np.float64)
    use = use if use.sum() > 0 else np.ones(len(lengths))
    exact = (leads > 0).numpy()
    numbers = codes.cpu().numpy()
    _, place, count = np.unique(numbers, return_inverse=True, return_counts=True)
    hits = right.numpy()
    nats = losses.double().sum(1).numpy()
    return RoundTrip(
        exact=exact,
        own_code=count[place] == 1,
        codes=numbers,
        margins=margins.cpu().numpy(),
        leads=leads.numpy(),
        exact_rate=float(exact.mean()),
        exact_rate_weighted=float(np.average(exact, weights=use)),
        character_accuracy=float(hits.sum() / lengths.sum()),
        character_accuracy_weighted=float((hits * use).sum() / (lengths * use).sum()),
        perplexity=float(np.exp(min(nats.sum() / (lengths + 1).sum(), 700.0))),
        perplexity_weighted=float(np.exp(min((nats * use).sum() / ((lengths + 1) * use).sum(), 700.0))),
        codes_used=len(count),
        collisions=len(numbers) - len(count),
    )
