"""Sound parts of an autoencoder and one subclass for each way to be wrong."""

from __future__ import annotations

import torch
from attrs import define, evolve, frozen
from torch import nn

from tokframe.plugins.protocols import Quantized

BITS = 9


@frozen(kw_only=True)
class Config:
    width: int = 16


@define(kw_only=True)
class Loose:
    """Not frozen: one run could change another's settings."""

    width: int = 16


class SoundEncoder(nn.Module):
    def __init__(self, config, *, d_latent, max_length):
        super().__init__()
        self.max_length = max_length
        self.embedding = nn.Embedding(257, config.width)
        self.out = nn.Sequential(nn.Linear(config.width * max_length, 64), nn.GELU(), nn.Linear(64, d_latent))

    def symbols(self, data, lengths):
        data = nn.functional.pad(data, (0, self.max_length - data.shape[1]))
        return torch.where(torch.arange(self.max_length) < lengths[:, None], data, 256)

    def forward(self, data, lengths):
        return self.out(self.embedding(self.symbols(data, lengths)).flatten(1))


class CountsPadding(SoundEncoder):
    def symbols(self, data, lengths):
        return nn.functional.pad(data, (0, self.max_length - data.shape[1]))

    def forward(self, data, lengths):
        # Whatever the length is: told apart by it, as the sound one does, but reads on behind the end.
        return super().forward(data, lengths) + lengths[:, None]


class ForgetsOrder(SoundEncoder):
    def forward(self, data, lengths):
        symbols = self.embedding(self.symbols(data, lengths))
        return self.out(symbols.mean(1, keepdim=True).expand_as(symbols).flatten(1))


class LooksAtTheBatch(SoundEncoder):
    def forward(self, data, lengths):
        latents = super().forward(data, lengths)
        return latents if len(latents) < 16 else latents + latents[:1]


class TooWide(SoundEncoder):
    def __init__(self, config, *, d_latent, max_length):
        super().__init__(config, d_latent=d_latent + 1, max_length=max_length)


def in_fp32(layer, x):
    return nn.functional.linear(x.float(), layer.weight.float(), layer.bias.float())


class SoundQuantizer(nn.Module):
    """The sign of a few projected numbers."""

    def __init__(self, config, *, d_latent, max_length):
        super().__init__()
        self.codebook_size = 2**BITS
        self.down = nn.Linear(d_latent, BITS)
        self.up = nn.Linear(BITS, d_latent)
        self.register_buffer("basis", 2 ** torch.arange(BITS), persistent=False)

    def forward(self, latents):
        with torch.autocast("cpu", enabled=False):
            soft = torch.tanh(in_fp32(self.down, latents))
            bits = soft >= 0
            hard = soft + (bits.float() * 2 - 1 - soft).detach()
            return Quantized(
                latents=in_fp32(self.up, hard).to(latents.dtype),
                indices=(bits.long() * self.basis).sum(-1),
                loss=soft.square().mean(),
                margin=soft.detach().abs().amin(-1) / 2,
            )

    def decode_indices(self, indices):
        bits = (indices[:, None] // self.basis) % 2
        return in_fp32(self.up, bits * 2 - 1).to(self.up.weight.dtype)


class ReturnsATuple(SoundQuantizer):
    """The right attributes on the wrong thing."""

    def forward(self, latents):
        import types

        found = super().forward(latents)
        return types.SimpleNamespace(latents=found.latents, indices=found.indices, loss=found.loss, margin=None)


class DecodesBackwards(SoundQuantizer):
    def decode_indices(self, indices):
        return super().decode_indices(self.codebook_size - 1 - indices)


class TwoCodesOneLatent(SoundQuantizer):
    """A code that no latent gets is decoded as its neighbor is."""

    def __init__(self, config, *, d_latent, max_length):
        super().__init__(config, d_latent=d_latent, max_length=max_length)
        self.codebook_size += 1

    def decode_indices(self, indices):
        return super().decode_indices(indices.clamp(max=self.codebook_size - 2))


class OneCode(SoundQuantizer):
    def __init__(self, config, *, d_latent, max_length):
        super().__init__(config, d_latent=d_latent, max_length=max_length)
        with torch.no_grad():
            self.down.weight *= 0.05
            self.down.bias.fill_(1.0)


class NoisyInTraining(SoundQuantizer):
    def forward(self, latents):
        return super().forward(latents + torch.randn_like(latents) if self.training else latents)


class HalfPrecision(SoundQuantizer):
    def forward(self, latents):
        coarse = (latents * 2).round() / 2 if torch.is_autocast_enabled("cpu") else latents
        return super().forward(latents + (coarse - latents).detach())


class FullPrecisionOnly(SoundQuantizer):
    """Casts the latents and not the weights."""

    def decode_indices(self, indices):
        return self.up(((indices[:, None] // self.basis) % 2).float() * 2 - 1)


class NoCodeForNan(SoundQuantizer):
    def forward(self, latents):
        found = super().forward(latents)
        return evolve(found, indices=torch.where(latents.isfinite().all(-1), found.indices, -1))


class NoGradient(SoundQuantizer):
    def forward(self, latents):
        found = super().forward(latents.detach())
        return evolve(found, loss=found.loss.detach())


class UnsavedWeights(SoundQuantizer):
    def __init__(self, config, *, d_latent, max_length):
        super().__init__(config, d_latent=d_latent, max_length=max_length)
        self.turn = torch.randn(d_latent)  # neither parameter nor buffer

    def forward(self, latents):
        found = super().forward(latents * self.turn)
        return evolve(found, latents=found.latents.to(latents.dtype))


class CannotBePickled(SoundQuantizer):
    def __init__(self, config, *, d_latent, max_length):
        super().__init__(config, d_latent=d_latent, max_length=max_length)
        self.activation = lambda x: x


class SoundDigits(SoundQuantizer):
    """The same as digits of two bins, between which lies 0."""

    def __init__(self, config, *, d_latent, max_length):
        super().__init__(config, d_latent=d_latent, max_length=max_length)
        self.shape = (2,) * BITS

    def input_parameters(self):
        return self.down.parameters()

    def digits(self, indices):
        return (indices[:, None] // self.basis) % 2

    def indices_of(self, digits):
        return (digits * self.basis).sum(-1)

    def preactivations(self, latents):
        return in_fp32(self.down, latents)

    def bins(self, latents):
        return torch.tanh(self.preactivations(latents)) + 1

    def targets(self, digits, margin):
        far = torch.full(digits.shape, 9.0)
        border = torch.full(digits.shape, margin).atanh()
        return torch.where(digits == 0, -far, border), torch.where(digits == 0, -border, far), torch.ones_like(far)


class InputSideDecodes(SoundDigits):
    def input_parameters(self):
        return self.parameters()


class DigitsBackwards(SoundDigits):
    def digits(self, indices):
        return super().digits(indices).flip(-1)

    def indices_of(self, digits):
        return super().indices_of(digits.flip(-1))


class TargetsWithoutMargin(SoundDigits):
    def targets(self, digits, margin):
        return super().targets(digits, 0.01)


class SoundCodebook(nn.Module):
    """The nearest of a list of vectors, which can be moved onto latents."""

    def __init__(self, config, *, d_latent, max_length):
        super().__init__()
        self.codebook_size = 200
        self.down = nn.Linear(d_latent, d_latent)
        self.register_buffer("codebook", torch.randn(self.codebook_size, d_latent))

    def forward(self, latents):
        with torch.autocast("cpu", enabled=False):
            points = in_fp32(self.down, latents)
            indices = (points.detach()[:, None] - self.codebook).square().sum(-1).argmin(1)
            chosen = self.codebook[indices]
            return Quantized(
                latents=(points + (chosen - points).detach()).to(latents.dtype),
                indices=indices,
                loss=(points - chosen).square().mean(),
            )

    def decode_indices(self, indices):
        return self.codebook[indices]

    def separate(self, latents):
        self.codebook[: len(latents)] = self.down(latents)
        return len(latents) - len(self(latents).indices.unique())


class MiscountsWhatShares(SoundCodebook):
    def separate(self, latents):
        return super().separate(latents) + 1


class Network(nn.Module):
    """Encoder, quantizer and decoder of a tokenizer whose code of a piece is its place in a list."""

    def __init__(self, pieces):
        super().__init__()
        keys = [piece[0] + 256 * (piece[1] + 1 if len(piece) > 1 else 0) for piece in pieces]
        self.register_buffer("keys", torch.tensor(keys))
        self.decoder = nn.Identity()

    def encoder(self, data, lengths):
        second = data[:, 1] if data.shape[1] > 1 else torch.zeros_like(lengths)
        keys = data[:, 0] + 256 * torch.where(lengths > 1, second + 1, 0)
        return (keys[:, None] == self.keys).float().argmax(1, keepdim=True).float()

    def quantizer(self, latents):
        return Quantized(latents=latents, indices=latents[:, 0].long(), loss=latents.new_zeros(()))


class SoundDecoder(nn.Module):
    def __init__(self, config, *, d_latent, max_length):
        super().__init__()
        self.positions = max_length + 1
        self.out = nn.Sequential(nn.Linear(d_latent, 32), nn.GELU(), nn.Linear(32, self.positions * 257))

    def forward(self, latents):
        return self.out(latents).view(len(latents), self.positions, 257)


class NoEnd(SoundDecoder):
    def forward(self, latents):
        return super().forward(latents)[..., :256]


class IgnoresTheLatentOnce(SoundDecoder):
    def forward(self, latents):
        scores = super().forward(latents)
        return torch.cat([scores[:, :1] * 0, scores[:, 1:]], 1)


class SoundPositions(SoundDecoder):
    """The same, in two steps: every position has features of its own."""

    def __init__(self, config, *, d_latent, max_length):
        super().__init__(config, d_latent=d_latent, max_length=max_length)
        self.out = nn.Linear(d_latent, self.positions * 8)
        self.last = nn.Linear(8, 257)

    def forward(self, latents):
        return self.last(self.features(latents))

    def features(self, latents):
        return nn.functional.gelu(self.out(latents)).view(len(latents), self.positions, 8)

    def logits(self, features):
        return self.last(features)


class LogitsOfAnotherScale(SoundPositions):
    def logits(self, features):
        return super().logits(features) * 2
