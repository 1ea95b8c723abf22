"""Protocols: the parts of a learned tokenizer, and the abilities that tokenizers and parts may offer beyond them.

An ability is declared by having its methods: `isinstance(value, HasCodes)`. What the methods must return is checked by
the contracts of `tokframe.testing`. Nothing here imports torch; tensors are torch's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from attrs import frozen

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import torch

__all__ = [
    "Analyzable",
    "Check",
    "CountsTraining",
    "Creatable",
    "Decoder",
    "DigitQuantizer",
    "Encoder",
    "Extendable",
    "HasCodes",
    "HasInputSide",
    "HasNetwork",
    "HasVectors",
    "PositionwiseDecoder",
    "Prunable",
    "Quantized",
    "Quantizer",
    "Recompilable",
    "SeparatesCodes",
    "Verifiable",
]


# -- the parts of a learned tokenizer ---------------------------------------------------------------------------


@frozen(kw_only=True, eq=False)
class Quantized:
    """Result of a quantizer.

    `latents` (batch, d_latent) for the decoder, gradient passing straight through; `indices` (batch,) int64 codes;
    `loss` a scalar to minimize; `margin` (batch,) distance of the nearest digit to the border of its bin, in bins, or
    None for a quantizer without bins.
    """

    latents: torch.Tensor
    indices: torch.Tensor
    loss: torch.Tensor
    margin: torch.Tensor | None = None


class Encoder(Protocol):
    """Bytes to latents: a torch module built as `Class(config, d_latent=..., max_length=...)`."""

    def __call__(self, data: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """(batch, bytes) int64, (batch,) int64 -> (batch, d_latent); bytes past a length do not count."""


class Quantizer(Protocol):
    """Latents to codes and back: a torch module built as `Class(config, d_latent=..., max_length=...)`."""

    codebook_size: int

    def __call__(self, latents: torch.Tensor) -> Quantized:
        """(batch, d_latent) -> Quantized; the same code for a latent in any batch, in training or not.

        A latent that is not finite has a code of the codebook too, which means nothing.
        """

    def decode_indices(self, indices: torch.Tensor) -> torch.Tensor:
        """(batch,) int64 codes -> (batch, d_latent)."""


class Decoder(Protocol):
    """Latents to byte logits: a torch module built as `Class(config, d_latent=..., max_length=...)`."""

    def __call__(self, latents: torch.Tensor) -> torch.Tensor:
        """(batch, d_latent) -> (batch, positions, 257): 256 bytes and the end of the segment."""


# -- abilities of quantizers and decoders, for those who train them ---------------------------------------------


@runtime_checkable
class HasInputSide(Quantizer, Protocol):
    """A quantizer that separates the weights before the codes from those that make latents out of codes."""

    def input_parameters(self) -> Iterable[torch.nn.Parameter]:
        """Return the parameters before the codes, on which `decode_indices` does not depend."""


@runtime_checkable
class DigitQuantizer(HasInputSide, Protocol):
    """A quantizer whose code is a few digits, each the bin in which one number falls (as FSQ has it).

    Training aims the encoder at chosen digits; fine-tuning holds segments inside the bins they have.
    """

    shape: tuple[int, ...]  #: number of bins of each digit; their product is `codebook_size`

    def digits(self, indices: torch.Tensor) -> torch.Tensor:
        """(batch,) int64 codes -> (batch, dims) int64."""

    def indices_of(self, digits: torch.Tensor) -> torch.Tensor:
        """(batch, dims) int64 -> (batch,) int64 codes: the inverse of `digits`."""

    def preactivations(self, latents: torch.Tensor) -> torch.Tensor:
        """(batch, d_latent) -> (batch, dims) fp32: the numbers before they are bounded."""

    def bins(self, latents: torch.Tensor) -> torch.Tensor:
        """(batch, d_latent) -> (batch, dims) fp32: position in units of bins; digit `d` owns (d, d + 1)."""

    def targets(self, digits: torch.Tensor, margin: float) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """(batch, dims) int64, bins -> lowest and highest pre-activation of each digit, and the width of a bin there.

        Each (batch, dims) fp32; between lowest and highest a number lies at least `margin` bins inside its bin.
        """


@runtime_checkable
class SeparatesCodes(Quantizer, Protocol):
    """A quantizer that can move codes so that latents need not share one (as VQ has it)."""

    def separate(self, latents: torch.Tensor) -> int:
        """(segments, d_latent) -> how many of the latents still share their code with another."""


@runtime_checkable
class PositionwiseDecoder(Decoder, Protocol):
    """A decoder whose logits at a position depend on that position's features: training skips padded positions."""

    def features(self, latents: torch.Tensor) -> torch.Tensor:
        """(batch, d_latent) -> (batch, positions, channels)."""

    def logits(self, features: torch.Tensor) -> torch.Tensor:
        """(..., channels) -> (..., 257); of all features, what calling the decoder returns."""


# -- abilities of tokenizers ------------------------------------------------------------------------------------


@runtime_checkable
class Creatable(Protocol):
    """A tokenizer class that needs no training: `tokframe.create` builds it from a config."""

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Any:
        """Build from a config. Raises: ConfigError, also for a setting that does not exist."""


@frozen(kw_only=True)
class Check:
    """One result of a verification; `detail` says what was found.

    One that could not be made here is `skipped`: it is `ok`, and `detail` says what it needs.
    """

    name: str
    ok: bool
    detail: str = ""
    skipped: bool = False


@runtime_checkable
class Verifiable(Protocol):
    """A tokenizer with checks of its own, which `tokframe verify` runs beside those of every tokenizer."""

    def verify(self, reporter: Any) -> list[Check]:
        """Return what was checked; `reporter` is a `tokframe.Reporter` for progress."""


@runtime_checkable
class Analyzable(Protocol):
    """A tokenizer with figures of its own, which `tokframe analyze` shows."""

    def analysis(self) -> Mapping[str, Any]:
        """Return JSON data, numbers finite. `level_use`, a list of counts for each digit, is drawn as bars."""


@runtime_checkable
class CountsTraining(Protocol):
    """A tokenizer that knows how often its training text used each id: `compare` and `analyze` count the rare ones."""

    def training_counts(self) -> npt.NDArray[np.int64]:
        """Return the uses of each id, (vocab_size,) int64: a new array."""


@runtime_checkable
class Prunable(Protocol):
    """A tokenizer that knows which of its ids a smaller vocabulary keeps: `tokframe prune`."""

    def prune(self, vocab_size: int) -> Any:
        """Return the tokenizer with `vocab_size` of its ids, in the same order; larger sizes hold the smaller ones.

        Raises: ConfigError for a size that cannot be; UnsupportedError where it is not known which ids.
        """


@runtime_checkable
class Extendable(Protocol):
    """A tokenizer that can be given more ids for other text: `tokframe extend`."""

    def extend(self, job: Any, vocab_size: int) -> Any:
        """Return the tokenizer with `vocab_size` ids, the new ones behind its own, which stay as they are.

        The corpus of `job`, a `tokframe.TrainJob`, is the text. Raises: ConfigError for a size that is no larger;
        CorpusError; TrainingError; TrainingInterrupted.
        """


@runtime_checkable
class HasCodes(Protocol):
    """A tokenizer whose ids have codes: the playground shows neighbors by them, language models embed ids by digits."""

    @property
    def levels(self) -> tuple[int, ...]:
        """Number of values of each digit of a code; empty where codes have no digits."""

    def codes(self, ids: Any = None) -> npt.NDArray[np.int64]:
        """Return the code of each of `ids`, by default of all: (ids,) int64, -1 where an id has none."""

    def digits(self, ids: Any = None) -> npt.NDArray[np.int64]:
        """Return the digits of the code of each of `ids`, by default of all: (ids, digits) int64, -1 without a code.

        Raises: UnsupportedError where codes have no digits.
        """


@runtime_checkable
class HasVectors(Protocol):
    """A tokenizer that knows how its ids are used: neighbors in the playground, classes in `tokframe analyze`.

    All raise UnsupportedError where it was trained without.
    """

    def embed(self, items: Any) -> npt.NDArray[np.float32]:
        """Return a vector for each of `items`, one or a sequence of ids, str or bytes: (items, d), of length one.

        Zeros where nothing is known of an id. Raises: EncodingError.
        """

    def nearest(self, item: Any, k: int = 5, by: str = "use") -> list[tuple[int, float]]:
        """Return the `k` ids most like `item` by "use" or "spelling", and how alike, the most alike first.

        `item` itself is left out; of ids equally alike the lower is first. Raises: EncodingError.
        """

    def classes(self) -> npt.NDArray[np.int64]:
        """Return the class of each id, (vocab_size,) int64; -1 where there is none."""


@runtime_checkable
class HasNetwork(Protocol):
    """A tokenizer made of a network: language models train it further, or use its decoder."""

    def network(self) -> Any:
        """Return the trained torch module with `encoder`, `quantizer` and `decoder`, in evaluation mode.

        Raises: UnsupportedError where the tokenizer was saved without it; ComponentImportError without torch.
        """


@runtime_checkable
class Recompilable(HasCodes, HasNetwork, Protocol):
    """A tokenizer that can be made anew from its network after that was trained further."""

    def recompile(
        self,
        network: Any,
        *,
        workdir: Path,
        steps: int,
        learning_rate: float,
        seed: int = 0,
        reporter: Any = None,
        should_stop: Callable[[], bool] = ...,
        device: str | None = None,
    ) -> Any:
        """Return an object with the new `tokenizer` and what became of ids; at most `steps` steps of training.

        `kept` (new ids,) int64 holds the old id of each new one, `dropped` the bytes of ids that are gone, `moved`
        the number of ids with another code, `steps` the number of steps it took.
        Raises: TrainingError; TrainingInterrupted when `should_stop` became true.
        """
