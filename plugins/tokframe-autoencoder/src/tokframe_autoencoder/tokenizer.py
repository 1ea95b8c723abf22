"""AutoencoderTokenizer: text to ids by the compiled codebook; the network behind it only when it is asked for.

Encoding and decoding never import torch. Training is in `pipeline`, the check against the network in `codebook`.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from tokframe_dictionary.segmenter import Segmenter
from tokframe_dictionary.vocabulary.table import FIRST_BYTE, SPECIAL_TOKENS, Codebook

from tokframe.errors import ArtifactCorruptError, UnsupportedError
from tokframe.plugins.discovery import host
from tokframe.storage.state import ComponentUse, State
from tokframe.tokenizer.base import ITokenizer, utf8
from tokframe.tokenizer.results import Capabilities, IntArray, TokenizerModel

if TYPE_CHECKING:
    from tokframe.plugins.protocols import Check
    from tokframe.tokenizer.bigrams import ImpossiblePairs
    from tokframe.training.job import TrainJob
    from tokframe.training.progress import Reporter
    from tokframe_autoencoder.config import Parts
    from tokframe_autoencoder.inference.neural_path import NeuralPath
    from tokframe_autoencoder.network.autoencoder import Autoencoder
    from tokframe_autoencoder.pipeline.recompile import Recompiled

__all__ = ["AutoencoderTokenizer"]

_SPECIAL = {text: token for token, text in enumerate(SPECIAL_TOKENS)}


class AutoencoderTokenizer(ITokenizer):
    """A learned vocabulary of byte segments, searched for the fewest tokens; exact for any bytes."""

    capabilities: ClassVar[Capabilities] = Capabilities(lossless=True, bytes_input=True)
    state_version: ClassVar[int] = 1
    trains_in_processes: ClassVar[bool] = True

    def __init__(
        self,
        codebook: Codebook,
        *,
        config: Mapping[str, Any],
        components: tuple[ComponentUse, ...] = (),
        weights: Mapping[str, Any] | None = None,
        files: Mapping[str, bytes] | None = None,
    ) -> None:
        self.codebook = codebook
        self.config = config
        self._components = components
        self._groups: Mapping[str, Any] = weights or {}
        self._files = dict(files or {})
        block = self._block(config)
        try:
            self._segmenter = Segmenter.from_packed(
                codebook.blob,
                codebook.offsets,
                np.arange(FIRST_BYTE, codebook.vocab_size, dtype=np.int32),
                block=block,
            )
        except ValueError as error:  # a segment twice, too long, or with a newline inside
            raise ArtifactCorruptError(
                f"codebook.safetensors holds segments that cannot be searched: {error}", file="codebook.safetensors"
            ) from error
        self._network: Autoencoder | None = None
        self._lock = threading.Lock()

    # -- ITokenizer -----------------------------------------------------------------------------------------

    @property
    def vocab_size(self) -> int:
        """Number of ids."""
        return self.codebook.vocab_size

    @property
    def special_tokens(self) -> Mapping[str, int]:
        """`<pad> <unk> <s> </s>`; `<unk>` is never needed and there so that ids agree with other tokenizers."""
        return _SPECIAL

    def token_bytes(self, token: int) -> bytes:
        """Return the bytes an id stands for. Raises: InvalidTokenError."""
        return self.codebook.token_bytes(self.check_token(token))

    def encode_raw(self, data: bytes) -> IntArray:
        """Return the ids of any bytes: the path of fewest tokens, the longest segment last among equals."""
        return self._segmenter.encode(data)

    def encode_raw_list(self, data: bytes) -> list[int]:
        """Return `encode_raw` as a list, made without an array between."""
        return self._segmenter.encode_list(data)

    def encode_lists(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the ids of each text without special tokens, as lists. Raises: EncodingError."""
        try:
            return self._segmenter.encode_lists(texts)
        except (UnicodeEncodeError, TypeError, AttributeError):  # one by one, for the error that says what is wrong
            return super().encode_lists(texts)

    def decode_raw(self, ids: IntArray) -> bytes:
        """Return the exact bytes of ids."""
        if len(ids) and int(ids.min()) < FIRST_BYTE:
            return b"".join(self.codebook.token_bytes(token) for token in ids.tolist())
        return self._segmenter.decode(ids)

    def decode_bytes(self, tokens: Sequence[int] | IntArray, skip_special: bool = True) -> bytes:
        """Return the exact bytes of ids. Raises: InvalidTokenError."""
        plain = type(tokens) is list or (
            type(tokens) is np.ndarray and tokens.dtype == np.int32 and tokens.ndim == 1 and tokens.flags.c_contiguous
        )
        found = self._segmenter.decode_known(tokens) if plain else None  # type: ignore[arg-type]  # as just checked
        return super().decode_bytes(tokens, skip_special) if found is None else found

    def count(self, text: str) -> int:
        """Return how many ids `text` has."""
        return self._segmenter.count(utf8(text))

    def stable_prefix(self, data: bytes) -> int:
        """Return how many leading bytes are whole lines or blocks, which encode the same whatever follows."""
        return self._segmenter.stable_prefix(data)

    def impossible_pairs(self) -> ImpossiblePairs:
        """Return the pairs of ids that the search never gives; made at each call, in about half a second."""
        from tokframe_dictionary.vocabulary.bigrams import impossible_pairs

        return impossible_pairs(self.codebook)

    def model(self) -> TokenizerModel:
        """Return the search as a unigram model of equally likely pieces, whose best path has the fewest tokens."""
        return TokenizerModel(
            algorithm="unigram",
            pieces=tuple(map(self.codebook.token_bytes, range(self.vocab_size))),
            special=self.special_tokens,
            unknown=_SPECIAL["<unk>"],
            scores=(-1.0,) * self.vocab_size,
            max_line_bytes=self._block(self.config),
        )

    @property
    def files(self) -> Mapping[str, bytes]:
        """Further files of the artifact, such as the record of its training."""
        return dict(self._files)

    def state(self) -> State:
        """Return codebook, weights, config and training record."""
        tensors = {name: self._groups[name] for name in self._groups if name != "codebook"}
        return State(
            config=self.config,
            tensors={**tensors, "codebook": self.codebook.tensors()},
            files=self._files,
            components=self._components,
        )

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Build from a state; weights stay on disk until the network is used. Raises: ArtifactCorruptError."""
        if "codebook" not in state.tensors:
            raise ArtifactCorruptError("the artifact has no codebook.safetensors", file="codebook.safetensors")
        return cls(
            Codebook.from_tensors(state.tensors["codebook"]),
            config=state.config,
            components=state.components,
            weights=state.tensors,
            files=state.files,
        )

    @classmethod
    def train(cls, job: TrainJob) -> Self:
        """Mine, train, select and compile. Raises: ConfigError; TrainingError; TrainingInterrupted."""
        from tokframe_autoencoder.pipeline.pipeline import train

        codebook, parts, weights, files = train(job)
        return cls(codebook, config=parts.to_json(), components=parts.uses, weights={"weights": weights}, files=files)

    # -- the network ----------------------------------------------------------------------------------------

    @property
    def parts(self) -> Parts:
        """The config with its components resolved. Raises: ConfigError; RegistryError."""
        from tokframe_autoencoder.config import resolve

        defaults = {use.kind: use.name for use in self._components}
        return resolve(self.config, host().registry, defaults, source="config.json")

    def network(self) -> Autoencoder:
        """Return the trained network, in evaluation mode, built on first use.

        Raises: ComponentImportError without torch; ArtifactCorruptError if the weights do not fit the config.
        """
        with self._lock:
            if self._network is None:
                if "weights" not in self._groups:
                    raise UnsupportedError("this tokenizer was saved without its network", capability="network")
                network = self.parts.network()
                network.load_arrays(self._groups["weights"])
                self._network = network.eval()
            return self._network

    def neural_path(self, cache: int = 65536) -> NeuralPath:
        """Return the network laid out for use: `codes` of segments and `segments` of codes, codes cached.

        Each call makes one, with a cache of its own of at most `cache` segments (0: none). Ids are made without it.
        Raises: as `network`; ValueError for a negative `cache`.
        """
        network = self.network()  # first, for its error where torch is missing
        from tokframe_autoencoder.inference.neural_path import NeuralPath

        return NeuralPath(network, cache=cache)

    def codes(self, ids: IntArray | None = None) -> Any:
        """Return the int64 codes of ids (all by default); -1 where an id has none."""
        codes = self.codebook.codes
        return codes.copy() if ids is None else codes[self.as_ids(ids)]

    @property
    def levels(self) -> tuple[int, ...]:
        """Number of levels of each code dimension; empty where the quantizer has none."""
        section = next((use.section for use in self._components if use.kind == "quantizer"), "quantizer")
        return tuple(self.config.get(section, {}).get("levels") or ())

    def digits(self, ids: IntArray | None = None) -> Any:
        """Return the FSQ digits of ids as int64 (ids, dimensions); -1 where an id has no code.

        Raises: UnsupportedError where the quantizer has no levels.
        """
        levels = self.levels
        if not levels:
            raise UnsupportedError("this tokenizer's quantizer has no digits", capability="digits")
        codes = self.codes(ids)
        basis = np.concatenate([[1], np.cumprod(np.asarray(levels[:-1], np.int64))])
        digits = (codes[:, None] // basis) % np.asarray(levels, np.int64)
        return np.where(codes[:, None] < 0, -1, digits)

    def verify(self, reporter: Reporter) -> list[Check]:
        """Check the tables against the network: every code decodes to its bytes, all bytes encode to their code."""
        from tokframe_autoencoder.pipeline.verify import check_against_network

        return check_against_network(self.codebook, self.network(), reporter)

    def recompile(self, network: Autoencoder, **options: Any) -> Recompiled:
        """Return the exact tokenizer of a network trained on from this one's; see `codebook.recompilation`."""
        from tokframe_autoencoder.pipeline.recompile import recompile

        return recompile(self, network, **options)

    def analysis(self) -> dict[str, Any]:
        """Return what only a learned codebook has to show: use of each level in each dimension."""
        from tokframe_autoencoder.pipeline.level_use import level_use

        return level_use(self)

    @staticmethod
    def _block(config: Mapping[str, Any]) -> int:
        section = config.get("selection", {})
        block = section.get("block", 4096) if isinstance(section, Mapping) else section
        if isinstance(block, bool) or not isinstance(block, int) or not 64 <= block <= 1 << 20:
            raise ArtifactCorruptError(f"config.json has selection.block {block!r}; 64 to 1048576", file="config.json")
        return block
