"""The config sections of the network's parts."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from attrs import frozen

from tokframe import setting
from tokframe.storage.strictjson import shortened

__all__ = ["DecoderConfig", "EncoderConfig", "FSQConfig", "VQConfig"]


MAX_WIDTH = 1 << 16  # of any layer; the shipped networks have a thousandth of it
MAX_LAYERS = 64
_MAX_PAIRS = 1 << 16  # each a row as wide as the latent


@frozen(kw_only=True)
class EncoderConfig:
    """Section `encoder` of the component "conv"."""

    d_char: int = setting(64, above=0, at_most=MAX_WIDTH)  #: width of a byte's vector
    d_latent: int = setting(256, above=0, at_most=MAX_WIDTH)  #: width of the latent; the decoder has the same
    #: channels of each convolution
    conv_channels: tuple[int, ...] = setting((96, 128, 256), at_least=1, at_most=MAX_WIDTH)
    kernel_sizes: tuple[int, ...] = setting((3, 3, 3), at_least=1, at_most=255)  #: bytes that each reads; odd
    strides: tuple[int, ...] = setting((1, 1, 1), at_least=1, at_most=255)  #: bytes from one place to the next
    max_chunk_size: int = setting(16, above=0)  #: most bytes of a segment
    #: of the last feature map: "mean-max" takes mean and maximum over the segment, so that a part of a word counts
    #: alike wherever it stands; "flatten" keeps the order; "mean" averages, over padding too
    pooling: str = setting("mean-max", one_of=("mean-max", "flatten", "mean"))
    position: bool = True  #: add a learned signal per position to the bytes
    hidden_blocks: int = setting(2, at_least=0, at_most=MAX_LAYERS)  #: residual blocks on what was pooled
    hidden_width: int = setting(768, above=0, at_most=MAX_WIDTH)  #: width inside these blocks

    def issues(self) -> Iterator[tuple[str, str]]:
        """Yield `(field, text)` for what the bounds do not say."""
        yield from stack("conv_channels", self.conv_channels, self.kernel_sizes, self.strides)


@frozen(kw_only=True)
class DecoderConfig:
    """Section `decoder` of the component "deconv"."""

    d_latent: int = setting(256, above=0, at_most=MAX_WIDTH)  #: width of the latent, that of the encoder
    #: channels of each deconvolution
    deconv_channels: tuple[int, ...] = setting((256, 128, 64), at_least=1, at_most=MAX_WIDTH)
    kernel_sizes: tuple[int, ...] = setting((3, 3, 3), at_least=1, at_most=255)  #: places that each writes; odd
    strides: tuple[int, ...] = setting((2, 2, 1), at_least=1, at_most=255)  #: by how much each lengthens
    output_vocab_size: int = 256  #: values of a byte, always 256; the end of a segment is one more, added inside
    start_channels: int = setting(
        128, above=0, at_most=MAX_WIDTH
    )  #: width of the short feature map that the deconvolutions lengthen
    hidden_blocks: int = setting(
        2, at_least=0, at_most=MAX_LAYERS
    )  #: residual blocks on the latent before it becomes a feature map
    hidden_width: int = setting(512, above=0, at_most=MAX_WIDTH)  #: width inside these blocks

    def issues(self) -> Iterator[tuple[str, str]]:
        """Yield `(field, text)` for what the bounds do not say."""
        yield from stack("deconv_channels", self.deconv_channels, self.kernel_sizes, self.strides)
        if self.output_vocab_size != 256:
            yield "output_vocab_size", f"is {self.output_vocab_size}; a byte has 256 values (the end is added inside)"


@frozen(kw_only=True)
class FSQConfig:
    """Section `fsq` of the component "fsq"."""

    #: numbers of bins; more than 256 could not be told apart near the ends, where the bounding is steep
    levels: tuple[int, ...] = setting((8, 8, 8, 8, 8, 5, 5, 5), at_least=2, at_most=256)
    vocab_size: int = setting(32768, above=0)  #: ids to compile; the key outside of the sections
    temperature: float = setting(1.0, above=0)  #: what pre-activations are divided by
    #: "sigmoid" has bins of equal width, "tanh" is the reference formula
    bound: str = setting("sigmoid", one_of=("sigmoid", "tanh"))
    digit_embeddings: bool = True  #: let the decoder see each digit as a learned vector beside its value
    pair_embeddings: bool = True  #: and each pair of digits
    #: and neighboring digits together, as many as have this many combinations; 0 is none
    group_rows: int = setting(8192, at_least=0, at_most=1 << 16)

    def issues(self) -> Iterator[tuple[str, str]]:
        """Yield `(field, text)` for what the bounds do not say."""
        size = math.prod(self.levels)
        if size < self.vocab_size:
            yield "vocab_size", f"is {self.vocab_size}, but the levels span only {size} codes"
        if size >= 2**62:
            yield "levels", f"span {shortened(size)} codes, more than an int64 index holds"
        elif self.pair_embeddings and (sum(self.levels) ** 2 - sum(n * n for n in self.levels)) // 2 > _MAX_PAIRS:
            yield "levels", f"have more than {_MAX_PAIRS} pairs of digits; use smaller ones, or no pair_embeddings"


@frozen(kw_only=True)
class VQConfig:
    """Section `vq` of the component "vq"."""

    codebook_size: int = setting(65536, above=0, at_most=2**20)  #: codes to choose from
    vocab_size: int = setting(32768, above=0)  #: ids to compile; the key outside of the sections
    d_code: int = setting(16, above=0, at_most=4096)  #: width in which codes are compared
    decay: float = setting(0.99, above=0, below=1)  #: how much of a code's running mean stays at each step
    commitment: float = setting(0.25, at_least=0)  #: weight of the pull on latents towards their code
    revive_after: int = setting(200, above=0)  #: steps without a use after which a code is moved onto a latent

    def issues(self) -> Iterator[tuple[str, str]]:
        """Yield `(field, text)` for what the bounds do not say."""
        if self.codebook_size < self.vocab_size:
            yield "vocab_size", f"is {self.vocab_size}, but the codebook has only {self.codebook_size} codes"


def stack(
    name: str, channels: Sequence[int], kernels: Sequence[int], strides: Sequence[int]
) -> Iterator[tuple[str, str]]:
    """Yield the problems of a stack of convolutions: lists of unequal length, kernels and strides that do not fit."""
    for other, values in (("kernel_sizes", kernels), ("strides", strides)):
        if len(values) != len(channels):
            yield other, f"has {len(values)} entries, but {name} has {len(channels)}"
    if len(channels) > MAX_LAYERS:
        yield name, f"has {len(channels)} layers, more than {MAX_LAYERS}"
    if any(kernel % 2 == 0 for kernel in kernels):
        yield "kernel_sizes", f"is {list(kernels)}; kernels must be odd to be centered"
    for kernel, stride in zip(kernels, strides, strict=False):
        if stride > kernel > 0:
            yield "strides", f"has {stride} over a kernel of {kernel}, which skips bytes"
