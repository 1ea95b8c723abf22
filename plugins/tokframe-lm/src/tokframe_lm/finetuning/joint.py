"""JointModel: a language model that embeds segments through the tokenizer's trainable encoder and quantizer.

An id's vector is the language model's row for it plus a learned projection of the quantized latent of its bytes. The
projection is zero at first, so that the model starts unchanged; it passes the gradient of the next-token loss through
the quantizer's straight-through estimator to the encoder. The output uses the same table. Ids of the batch are encoded
again, with gradient; the latents of all others are those of the last `refresh`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from tokframe.errors import UnsupportedError
from tokframe.plugins.protocols import DigitQuantizer, HasCodes
from tokframe.tokenizer.base import ITokenizer
from tokframe_lm.model.model import LanguageModel

__all__ = ["JointModel"]

#: The decoder's symbol for the end of a segment, after the 256 bytes.
_END = 256

_CHUNK_SEGMENTS = 2048  # encoded at once
_MARGIN_BINS = 0.3  # distance from a border at which a digit is safe, as in training a tokenizer


class JointModel(nn.Module):
    """A language model and the network of its tokenizer, for a loss of both.

    Both are trained in place.
    """

    data: Tensor
    lengths: Tensor
    symbols: Tensor
    coded: Tensor
    center: Tensor
    scale: Tensor
    latents: Tensor

    def __init__(self, model: LanguageModel, network: Any, tokenizer: ITokenizer) -> None:
        super().__init__()
        self.model, self.network = model, network
        network.requires_grad_(True)
        longest = int(network.max_length)
        symbols = _symbols_of(tokenizer, longest + 1)
        assert isinstance(tokenizer, HasCodes)  # as every Recompilable
        self.register_buffer("symbols", symbols, persistent=False)
        self.register_buffer("lengths", (symbols >= 0).sum(1) - 1, persistent=False)
        inside = torch.arange(longest) < self.lengths[:, None]
        self.register_buffer("data", torch.where(inside, symbols[:, :-1], 0), persistent=False)
        # special tokens and bytes that the network does not reproduce have only their rows
        self.register_buffer("coded", torch.from_numpy(tokenizer.codes() >= 0), persistent=False)
        latents = self._encode_all()
        used = latents[self.coded]
        # Latents are centered and scaled to length about 1 before the projection, so that a step of the optimizer
        # moves a vector no more than its row.
        self.register_buffer("center", used.mean(0))
        scale = float((used - self.center).norm(dim=1).mean().clamp(min=1e-6))
        self.register_buffer("scale", torch.tensor(scale))
        self.register_buffer("latents", latents)
        self.project = nn.Linear(latents.shape[1], model.config.d_model, bias=False)
        nn.init.zeros_(self.project.weight)

    def losses(self, ids: Tensor, targets: Tensor, drawn: Tensor) -> tuple[Tensor, Tensor]:
        """Return the language model's loss of targets after ids, (batch, tokens) each, and the reconstruction's.

        The segments of the batch and those of the ids `drawn` (n,) are reconstructed: the mean cross-entropy, in nats,
        of bytes and ends, plus the terms that hold a segment at its code: the quantizer's own loss, and for digits the
        distance, in bins, from the safe range of each.
        """
        live = torch.unique(torch.cat([ids.flatten(), targets.flatten(), drawn]))
        live = live[self.coded[live]]
        encoded = self.network.encoder(self.data[live], self.lengths[live])
        quantized = self.network.quantizer(encoded)
        table = self.table(live, quantized.latents)
        symbols = self.symbols[live]
        known = symbols >= 0
        logits = self.network.decoder(quantized.latents)[known]
        reconstruction = functional.cross_entropy(logits.float(), symbols[known]) + quantized.loss
        reconstruction = reconstruction + _margin_loss(self.network.quantizer, encoded, quantized.indices)
        return self.model.loss(ids, targets, table), reconstruction

    def table(self, live: Tensor | None = None, latents: Tensor | None = None) -> Tensor:
        """Return the vectors of all ids (ids, d_model), those of `live` (n,) from the given latents (n, d_latent)."""
        added = self.project(self._normalized(self.latents)) * self.coded[:, None]
        if live is not None and latents is not None:
            added = added.index_copy(0, live, self.project(self._normalized(latents)))
        found: Tensor = self.model.embedding.table() + added
        return found

    def refresh(self) -> None:
        """Encode all ids with the current network."""
        self.latents.copy_(self._encode_all())

    @torch.no_grad()
    def _encode_all(self) -> Tensor:
        """Return the quantized latents of all ids (ids, d_latent), zero for those without a code."""
        training = self.network.training
        self.network.eval()
        places = self.coded.nonzero()[:, 0]
        parts = [
            self.network.quantizer(self.network.encoder(self.data[part], self.lengths[part])).latents
            for part in torch.split(places, _CHUNK_SEGMENTS)
        ]
        self.network.train(training)
        found = torch.cat(parts)
        return found.new_zeros(len(self.coded), found.shape[1]).index_copy_(0, places, found)

    def _normalized(self, latents: Tensor) -> Tensor:
        return (latents - self.center) / self.scale


def _margin_loss(quantizer: Any, latents: Tensor, indices: Tensor) -> Tensor:
    """Return the mean distance, in bins, of latents (n, d_latent) from the safe ranges of their codes (n,).

    The straight-through gradient alone does not return a segment that has crossed a border: the decoder's gradient
    hardly points back to where it came from. A segment may still cross where the language model pulls for long enough,
    and is then held there. 0 for a quantizer without digits.
    """
    if not isinstance(quantizer, DigitQuantizer):
        return latents.new_zeros(())
    low, high, width = quantizer.targets(quantizer.digits(indices), _MARGIN_BINS)
    values = quantizer.preactivations(latents)
    outside = (functional.relu(low - values) + functional.relu(values - high)) / width
    return functional.smooth_l1_loss(outside, torch.zeros_like(outside), beta=0.5, reduction="none").sum(1).mean()


def _symbols_of(tokenizer: ITokenizer, positions: int) -> Tensor:
    """Return the symbols that the decoder should give for each id: (ids, positions) int64, bytes, end, then -1.

    An id without text has -1 throughout. Raises: UnsupportedError for a segment longer than the decoder's output.
    """
    textless = tokenizer.textless_ids
    symbols = torch.full((tokenizer.vocab_size, positions), -1, dtype=torch.int64)
    for token in range(tokenizer.vocab_size):
        if token in textless:
            continue
        piece = [*tokenizer.token_bytes(token), _END]
        if len(piece) > positions:
            raise UnsupportedError(
                f"id {token} of {tokenizer.name!r} stands for {len(piece) - 1} bytes, and its decoder writes at most "
                f"{positions - 1}. Train the tokenizer with a larger encoder.max_chunk_size",
                capability="network",
            )
        symbols[token, : len(piece)] = torch.tensor(piece)
    return symbols
