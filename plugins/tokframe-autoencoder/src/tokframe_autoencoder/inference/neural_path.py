"""NeuralPath: a trained autoencoder laid out for few, small inputs on a CPU, with a cache of codes.

Codes are always those of the autoencoder itself, which decides where a value is so near to a border between digits that
the order of a sum could matter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from tokframe_autoencoder.inference.cache import CacheInfo, CodeCache
from tokframe_autoencoder.inference.convolutions import Windows
from tokframe_autoencoder.inference.fused_fsq import FusedFSQ
from tokframe_autoencoder.network.autoencoder import Autoencoder
from tokframe_autoencoder.network.decoder import DeconvDecoder
from tokframe_autoencoder.network.encoder import ConvEncoder
from tokframe_autoencoder.network.fsq import FSQ
from tokframe_autoencoder.network.layers import SequenceDeconv
from tokframe_autoencoder.network.segments import batches, segments_of

__all__ = ["NeuralPath"]

#: Bins to a border below which the autoencoder decides: some 100 times the rounding error of a latent.
MIN_MARGIN_BINS = 1e-3
#: Rows at once, so that memory stays bounded and feature maps stay in the processor's cache.
MAX_ROWS = 256

Codes = npt.NDArray[np.int64]


class NeuralPath:
    """Bytes to codes and codes to bytes through the network; the weights are those of the moment it is made.

    Parts other than this package's are run as they are, only the cache is the same. Threads may share one.
    """

    def __init__(self, autoencoder: Autoencoder, *, cache: int = 65536) -> None:
        self._autoencoder = autoencoder
        self._cache = CodeCache(cache)
        quantizer, decoder = autoencoder.quantizer, autoencoder.decoder
        fused = FusedFSQ(quantizer) if type(quantizer) is FSQ else None
        self._encode: _Encoder | None = None
        if fused is not None and type(autoencoder.encoder) is ConvEncoder and _is_fp32(autoencoder):
            self._encode = _Encoder(autoencoder.encoder, fused)
        self._latents: Callable[[Tensor], Tensor] = quantizer.decode_indices if fused is None else fused.latents
        self._logits: Callable[[Tensor], Tensor] = decoder
        if type(decoder) is DeconvDecoder:
            windows = [Windows.of_deconv(layer) for layer in cast("list[SequenceDeconv]", list(decoder.layers))]
            self._logits = lambda latents: decoder.logits(decoder.features(latents, windows))

    def codes(self, segments: Iterable[bytes]) -> Codes:
        """Return the code of each segment, from the cache where it is known: (segments,) int64.

        Raises: ValueError for a segment that is empty or longer than the network reads; TypeError for no bytes.
        """
        segments = list(segments)
        found = self._cache.find(segments)
        if len(found) < len(segments):
            new = list(dict.fromkeys(segment for segment in segments if segment not in found))
            known = dict(zip(new, self._computed(new), strict=True))
            self._cache.add(known)
            found.update(known)
        return np.fromiter((found[segment] for segment in segments), np.int64, len(segments))

    def segments(self, codes: Codes | Sequence[int]) -> list[bytes]:
        """Return the bytes the decoder makes of each code. Raises: ValueError for a code outside the codebook."""
        with torch.inference_mode():
            parts = batches([self._autoencoder.checked(codes)], MAX_ROWS)
            return [segment for (part,) in parts for segment in segments_of(self._logits(self._latents(part)))]

    def cache_info(self) -> CacheInfo:
        """Return how often the cache knew a segment, and how full it is."""
        return self._cache.info()

    def cache_clear(self) -> None:
        """Empty the cache and set its counts to 0."""
        self._cache.clear()

    def _computed(self, segments: list[bytes]) -> list[int]:
        longest = self._autoencoder.max_length
        for number, segment in enumerate(segments):
            if not isinstance(segment, bytes):
                raise TypeError(f"segment {number} is {segment!r}; give a list of bytes")
            if not 1 <= len(segment) <= longest:
                raise ValueError(f"segment {number} has {len(segment)} bytes; the network reads 1 to {longest}")
        if self._encode is None:
            return list(self._autoencoder.encode(segments).codes.tolist())
        found: list[int] = []
        for start in range(0, len(segments), MAX_ROWS):
            part = segments[start : start + MAX_ROWS]
            codes, margins = (values.tolist() for values in self._encode(part))
            doubtful = [row for row, margin in enumerate(margins) if margin < MIN_MARGIN_BINS]
            if doubtful:
                again = self._autoencoder.encode([part[row] for row in doubtful]).codes.tolist()
                for row, code in zip(doubtful, again, strict=True):
                    codes[row] = code
            found += codes
        return found


def _is_fp32(network: Autoencoder) -> bool:
    """Return whether rounding is so fine that margins show which codes another order of summing could change."""
    return all(p.dtype == torch.float32 for p in network.encoder.parameters())


class _Encoder:
    """Segments to codes. The first convolution is a sum of rows of tables: one per byte and tap, one per place."""

    @torch.no_grad()
    def __init__(self, encoder: ConvEncoder, fused: FusedFSQ) -> None:
        self._fused, self._encoder = fused, encoder
        layers: list[Any] = list(encoder.layers)
        first, length = layers[0], encoder.max_length
        self._kernel, self._stride = int(first.kernel), int(first.stride)
        width = encoder.embedding.shape[1]
        self._device = encoder.embedding.device
        taps = first.weight.view(-1, first.kernel, width)
        rows = torch.einsum("bi,oki->kbo", encoder.embedding, taps)
        silent = rows.new_zeros(first.kernel, 1, rows.shape[2])  # padding adds nothing
        self._table = torch.cat([rows, silent], dim=1).flatten(0, 1).contiguous()
        self._taps = torch.arange(0, 257 * first.kernel, 257, device=self._device)
        # What places add does not depend on the bytes there, only on how many there are.
        inside = rows.new_ones(length + 1, length).tril(-1)[..., None]
        places = inside * (inside.new_zeros(width) if encoder.position is None else encoder.position)
        self._places: Tensor = first(places).detach()
        self._layers = [Windows.of_conv(layer) for layer in layers[1:]]

    @torch.inference_mode()
    def __call__(self, segments: list[bytes]) -> tuple[Tensor, Tensor]:
        """Return codes and margins, each (segments,)."""
        before, count = self._kernel // 2, self._places.shape[1]
        padded = np.full((len(segments), (count - 1) * self._stride + self._kernel), 256, np.int64)
        lengths = []
        for row, segment in zip(padded, segments, strict=True):
            lengths.append(len(segment))
            row[before : before + len(segment)] = np.frombuffer(segment, np.uint8)[: len(row) - before]
        table = torch.from_numpy(padded).to(self._device)
        windows = table.unfold(1, self._kernel, self._stride).reshape(-1, self._kernel)
        rows = windows + self._taps
        hidden = functional.embedding_bag(rows, self._table, mode="sum").view(len(segments), count, -1)
        hidden.add_(self._places[lengths[0] if len(lengths) == 1 else lengths])
        sizes = torch.tensor(lengths, device=self._device)
        return self._fused.codes_and_margins(self._encoder.latents(hidden, sizes, self._layers))
