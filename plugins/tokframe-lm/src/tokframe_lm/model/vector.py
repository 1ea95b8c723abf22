"""The vector decoder: a transformer's output vector through the tokenizer's own decoder to the bytes of a segment.

Works with any tokenizer that has a network (`network()`): an autoencoder whose decoder turns a latent into bytes.
"""

from __future__ import annotations

import copy
import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from tokframe.errors import UnsupportedError
from tokframe.tokenizer.base import ITokenizer

__all__ = ["END", "VectorHead", "network_of", "symbols_of"]

#: The decoder's symbol for the end of a segment, after the 256 bytes (see `tokframe.tokenizer.base.Decoder`).
END = 256
_PART = 4096  # codes decoded at once


class VectorHead(nn.Module):
    """Projection (d_model -> d_latent), then a copy of the tokenizer's decoder: an independent choice of 257 symbols,
    byte or end, at each position.

    A decoder learnt to be sure of exact codes, and a vector stands for many segments at once: beside its latent each
    vector says how sharply the decoder's scores are to be taken, a factor that begins at a tenth. The probability of
    a segment is the product over its bytes and its end. Special tokens, which are no text, have none. `tuned` lets
    the decoder's copy be trained; the tokenizer's own never changes.

    Raises: UnsupportedError where the tokenizer has no network.
    """

    symbols: Tensor
    places: Tensor

    def __init__(self, tokenizer: ITokenizer, *, d_model: int, tuned: bool = False, seed: int = 0) -> None:
        super().__init__()
        network = network_of(tokenizer)
        self.decoder = copy.deepcopy(network.decoder).requires_grad_(tuned)
        mean, spread = _latents(tokenizer, network)
        # A vector has about unit size per coordinate, so latents begin with the codebook's mean and about its spread.
        generator = torch.Generator().manual_seed(seed)
        self.project = nn.Linear(d_model, len(mean))
        with torch.no_grad():
            self.project.weight.copy_(torch.randn(len(mean), d_model, generator=generator) * d_model**-0.5)
            self.project.weight.mul_(spread[:, None])
            self.project.bias.copy_(mean)
        self.sharpness = nn.Linear(d_model, 1)
        nn.init.zeros_(self.sharpness.weight)
        nn.init.constant_(self.sharpness.bias, math.log(0.1))
        with torch.no_grad():
            self.positions = int(self.decoder(mean[None]).shape[1])
        symbols = symbols_of(tokenizer, self.positions)
        self.register_buffer("symbols", symbols, persistent=False)
        # Where each symbol stands in flattened scores; the last place, past them all, holds a zero.
        flat = torch.arange(self.positions) * (END + 1) + symbols
        places = torch.where(symbols < 0, self.positions * (END + 1), flat)
        self.register_buffer("places", places, persistent=False)

    def forward(self, vectors: Tensor) -> Tensor:
        """Return ln p of each symbol at each position: (n, d_model) -> (n, positions, 257), float32."""
        with torch.autocast(vectors.device.type, enabled=False):
            vectors = vectors.float()
            scores = self.decoder(self.project(vectors)).float()
            return functional.log_softmax(scores * self.sharpness(vectors).exp()[..., None], -1)

    def loss(self, vectors: Tensor, targets: Tensor) -> Tensor:
        """Return the mean of -ln p(segment) in nats: (..., d_model), (...) ids; special tokens do not count."""
        found, known = self.target_scores(vectors.flatten(0, -2), targets.flatten())
        return -found.sum() / known.sum().clamp(min=1)

    def target_scores(self, vectors: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Return ln p of the segments of ids, 0 for none, and which ids have one: (n, d_model), (n,) -> (n,), (n,)."""
        symbols = self.symbols[targets]
        scores = self(vectors).gather(-1, symbols.clamp(min=0)[..., None])[..., 0]
        return (scores * (symbols >= 0)).sum(-1), symbols[:, 0] >= 0

    def scores(self, vectors: Tensor, logs: Tensor | None = None) -> Tensor:
        """Return ln p of every id's segment, -inf for special tokens: (n, d_model) -> (n, ids).

        The highest is the segment of the vocabulary nearest to what the decoder says. `logs` is `self(vectors)` where
        it is at hand.
        """
        logs = self(vectors) if logs is None else logs
        padded = functional.pad(logs.flatten(1), (0, 1)).T.contiguous()
        found = functional.embedding_bag(self.places, padded, mode="sum").T
        return found.masked_fill(self.symbols[:, 0] < 0, float("-inf"))


def network_of(tokenizer: ITokenizer) -> Any:
    """Return the trained autoencoder behind a tokenizer. Raises: UnsupportedError where there is none."""
    find = getattr(tokenizer, "network", None)
    if find is None:
        raise UnsupportedError(
            f"{tokenizer.name or type(tokenizer).__name__!r} has no network: no decoder to give a vector to, and no "
            "encoder to train. That needs a model on a tokenizer that has one: tokframe lm train --tokenizer "
            "autoencoder-fsq --corpus FILE --out DIR",
            capability="network",
        )
    return find()


def symbols_of(tokenizer: ITokenizer, positions: int) -> Tensor:
    """Return what a decoder should say of each id: (ids, positions) int64, bytes, then END, then -1.

    A special token's row is -1 throughout.
    """
    special = set(tokenizer.special_tokens.values())
    symbols = torch.full((tokenizer.vocab_size, positions), -1, dtype=torch.int64)
    for token in range(tokenizer.vocab_size):
        if token in special:
            continue
        piece = [*tokenizer.token_bytes(token), END]
        if len(piece) > positions:
            raise UnsupportedError(
                f"id {token} of {tokenizer.name!r} stands for {len(piece) - 1} bytes, and its decoder writes at most "
                f"{positions - 1}. Train the tokenizer with a larger encoder.max_chunk_size",
                capability="network",
            )
        symbols[token, : len(piece)] = torch.tensor(piece)
    return symbols


@torch.no_grad()
def _latents(tokenizer: ITokenizer, network: Any) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation of the codebook's latents, each (d_latent,)."""
    source: Any = tokenizer
    codes = torch.from_numpy(source.codes())
    codes = codes[codes >= 0]
    latents = torch.cat([network.quantizer.decode_indices(part) for part in torch.split(codes, _PART)])
    return latents.mean(0), latents.std(0, unbiased=False)
