"""The config sections of the network's parts: frozen data that can name its own problems."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from attrs import frozen

__all__ = ["DecoderConfig", "EncoderConfig", "FSQConfig", "VQConfig"]

Issue = tuple[str, str]


@frozen(kw_only=True)
class EncoderConfig:
    """Section `encoder` of the component "conv"."""

    d_char: int = 64
    d_latent: int = 256
    conv_channels: tuple[int, ...] = (128, 256, 256)
    kernel_sizes: tuple[int, ...] = (3, 3, 3)
    strides: tuple[int, ...] = (1, 2, 2)
    max_chunk_size: int = 16
    pooling: str = "flatten"  #: "flatten" keeps the order of the last feature map, "mean" averages it away
    position: bool = True  #: add a learned signal per position to the bytes

    def issues(self) -> Iterator[Issue]:
        """Yield `(field, text)` for everything wrong."""
        yield from positive(self, "d_char", "d_latent", "max_chunk_size")
        yield from stack("conv_channels", self.conv_channels, self.kernel_sizes, self.strides)
        yield from one_of(self, "pooling", ("flatten", "mean"))


@frozen(kw_only=True)
class DecoderConfig:
    """Section `decoder` of the component "deconv"."""

    d_latent: int = 256
    deconv_channels: tuple[int, ...] = (256, 128, 64)
    kernel_sizes: tuple[int, ...] = (3, 3, 3)
    strides: tuple[int, ...] = (2, 2, 1)
    output_vocab_size: int = 256
    start_channels: int = 128  #: width of the short feature map that the deconvolutions lengthen
    hidden_blocks: int = 2  #: residual blocks on the latent before it becomes a feature map
    hidden_width: int = 1024  #: width inside these blocks

    def issues(self) -> Iterator[Issue]:
        """Yield `(field, text)` for everything wrong."""
        yield from positive(self, "d_latent", "start_channels", "hidden_width")
        yield from stack("deconv_channels", self.deconv_channels, self.kernel_sizes, self.strides)
        if self.output_vocab_size != 256:
            yield "output_vocab_size", f"is {self.output_vocab_size}; a byte has 256 values (the end is added inside)"
        if self.hidden_blocks < 0:
            yield "hidden_blocks", f"is {self.hidden_blocks}, must not be negative"


@frozen(kw_only=True)
class FSQConfig:
    """Section `fsq` of the component "fsq"."""

    levels: tuple[int, ...] = (8, 8, 8, 8, 8, 5, 5, 5)
    vocab_size: int = 32768
    temperature: float = 1.0
    bound: str = "sigmoid"  #: "sigmoid" has bins of equal width, "tanh" is the reference formula
    digit_embeddings: bool = True  #: let the decoder see each digit as a learned vector beside its value
    pair_embeddings: bool = True  #: and each pair of digits

    def issues(self) -> Iterator[Issue]:
        """Yield `(field, text)` for everything wrong."""
        yield from positive(self, "vocab_size", "temperature")
        yield from one_of(self, "bound", ("sigmoid", "tanh"))
        if not self.levels:
            yield "levels", "is empty; give at least one level, such as [8, 8, 8, 8, 8, 5, 5, 5]"
        for level in self.levels:
            if level < 2:
                yield "levels", f"has {level}; a dimension needs at least 2 levels"
        size = math.prod(self.levels)
        if size < self.vocab_size:
            yield "vocab_size", f"is {self.vocab_size}, but the levels span only {size} codes"
        if size >= 2**62:
            yield "levels", f"span {size} codes, more than an int64 index holds"


@frozen(kw_only=True)
class VQConfig:
    """Section `vq` of the component "vq"."""

    codebook_size: int = 65536
    vocab_size: int = 32768
    d_code: int = 16  #: width in which codes are compared
    decay: float = 0.99  #: how much of a code's running mean stays at each step
    commitment: float = 0.25  #: weight of the pull on latents towards their code
    revive_after: int = 200  #: steps without a use after which a code is moved onto a latent

    def issues(self) -> Iterator[Issue]:
        """Yield `(field, text)` for everything wrong."""
        yield from positive(self, "codebook_size", "vocab_size", "d_code", "revive_after")
        if not 0 < self.decay < 1:
            yield "decay", f"is {self.decay}, must lie between 0 and 1"
        if self.commitment < 0:
            yield "commitment", f"is {self.commitment}, must not be negative"
        if self.codebook_size < self.vocab_size:
            yield "vocab_size", f"is {self.vocab_size}, but the codebook has only {self.codebook_size} codes"


def positive(config: object, *names: str) -> Iterator[Issue]:
    """Yield a problem for each named number that is not above zero."""
    for name in names:
        value = getattr(config, name)
        if not value > 0:
            yield name, f"is {value}, must be above 0"


def one_of(config: object, name: str, known: Sequence[str]) -> Iterator[Issue]:
    """Yield a problem if a named choice is not a known one."""
    value = getattr(config, name)
    if value not in known:
        yield name, f"is {value!r}; known are {', '.join(map(repr, known))}"


def stack(name: str, channels: Sequence[int], kernels: Sequence[int], strides: Sequence[int]) -> Iterator[Issue]:
    """Yield the problems of a stack of convolutions: lists of unequal length, sizes that make no sense."""
    if not channels:
        yield name, "is empty; give at least one layer"
    for other, values in (("kernel_sizes", kernels), ("strides", strides)):
        if len(values) != len(channels):
            yield other, f"has {len(values)} entries, but {name} has {len(channels)}"
    for other, values in ((name, channels), ("kernel_sizes", kernels), ("strides", strides)):
        if any(value < 1 for value in values):
            yield other, f"is {list(values)}; every entry must be at least 1"
    if any(kernel % 2 == 0 for kernel in kernels):
        yield "kernel_sizes", f"is {list(kernels)}; kernels must be odd to be centred"
    for kernel, stride in zip(kernels, strides, strict=False):
        if stride > kernel > 0:
            yield "strides", f"has {stride} over a kernel of {kernel}, which skips bytes"
