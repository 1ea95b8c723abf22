"""AutoencoderTokenizer: a dictionary whose segments have codes in a network, which is loaded only when asked for.

Encoding and decoding never import torch. Training, verification and recompilation are in `pipeline`.
"""

from __future__ import annotations

import math
import threading
from collections import ChainMap
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
from tokframe_dictionary.tokenizer import DictionaryTokenizer
from tokframe_dictionary.vocabulary.table import corrupt

from tokframe.errors import UnsupportedError
from tokframe.plugins.discovery import host
from tokframe.plugins.registry import normal_name
from tokframe.storage.advice import FIRST_PARTY
from tokframe.storage.manifest import is_count
from tokframe.storage.state import ComponentUse, State
from tokframe.storage.strictjson import canonical_json
from tokframe.tokenizer.base import ITokenizer
from tokframe.tokenizer.results import IntArray
from tokframe_autoencoder.codebook import Codebook
from tokframe_autoencoder.vectors.table import GROUP as VECTORS
from tokframe_autoencoder.vectors.table import VectorTable

if TYPE_CHECKING:
    from tokframe.plugins.protocols import Check
    from tokframe.plugins.registry import Registry
    from tokframe.training.job import TrainJob
    from tokframe.training.progress import Reporter
    from tokframe_autoencoder.config import Parts
    from tokframe_autoencoder.inference.neural_path import NeuralPath
    from tokframe_autoencoder.network.autoencoder import Autoencoder
    from tokframe_autoencoder.pipeline.recompile import Recompiled

__all__ = ["AutoencoderTokenizer"]

MAX_DIGITS = 61  # of two levels each


class AutoencoderTokenizer(DictionaryTokenizer):
    """A learned vocabulary of byte segments, searched for the fewest tokens; lossless for any bytes."""

    trains_in_processes: ClassVar[bool] = True
    group: ClassVar[str] = "codebook"
    vocabulary: Codebook

    def __init__(
        self,
        codebook: Codebook,
        *,
        config: Mapping[str, Any],
        components: tuple[ComponentUse, ...] = (),
        groups: Mapping[str, Any] | None = None,
        files: Mapping[str, bytes] | None = None,
    ) -> None:
        super().__init__(codebook, config=config, files=files)
        self._components = components
        self._groups: Mapping[str, Any] = groups or {}
        self._network: Autoencoder | None = None
        self._table: VectorTable | None = None
        self._lock = threading.Lock()

    def state(self) -> State:
        """Return codebook, weights, vectors, config and training record."""
        tensors = {name: self._groups[name] for name in self._groups if name != self.group}
        return State(
            config=self.config,
            tensors={**tensors, self.group: self.vocabulary.tensors()},
            files=self._files,
            components=self._components,
        )

    def _with(self, vocabulary: Codebook, origins: npt.NDArray[np.int64], files: Mapping[str, bytes]) -> Self:
        return self._made(vocabulary, origins, {}, files)

    def _made(
        self,
        vocabulary: Codebook,
        origins: npt.NDArray[np.int64],
        groups: Mapping[str, Any],
        files: Mapping[str, bytes],
    ) -> Self:
        """Return the tokenizer of other ids, each with the vector of its origin (-1: none), with new `groups`."""
        if VECTORS in self._groups:
            groups = {VECTORS: self.vectors().taken(origins).tensors(), **groups}
        return type(self)(
            vocabulary,
            config=self.config,
            components=self._components,
            groups=ChainMap(dict(groups), self._groups),  # type: ignore[arg-type]  # only read
            files=files,
        )

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Build from a state; weights and vectors stay on disk until they are used. Raises: ArtifactCorruptError."""
        return cls(
            Codebook.from_tensors(cls.tables(state)),
            config=state.config,
            components=state.components,
            groups=state.tensors,
            files=state.files,
        )

    @classmethod
    def train(cls, job: TrainJob) -> Self:
        """Mine, train, select and compile. Raises: ConfigError; TrainingError; TrainingInterrupted."""
        from tokframe_autoencoder.pipeline.pipeline import train

        done = train(job)
        return cls(
            done.codebook,
            config=done.parts.to_json(),
            components=done.parts.uses,
            groups=done.groups,
            files={"training.json": done.record},
        )

    @classmethod
    def sized_config(
        cls, config: Mapping[str, Any], vocab_size: int, registry: Registry, defaults: Mapping[str, str]
    ) -> dict[str, Any]:
        """Return a training config that asks for so many ids."""
        from tokframe_autoencoder.config import sized

        return sized(config, vocab_size, registry, defaults)

    # -- the network ----------------------------------------------------------------------------------------

    @property
    def parts(self) -> Parts:
        """The config with its components resolved. Raises: ConfigError; RegistryError."""
        from tokframe_autoencoder.config import resolve

        defaults = {use.kind: use.name for use in self._components}
        # The distributions it was made with, where others claim their names by now.
        homes = {normal_name(name.rpartition("/")[0]) for name in defaults.values()} | FIRST_PARTY
        return resolve(self.config, host().registry, defaults, source="config.json", homes=homes)

    def network(self) -> Autoencoder:
        """Return the trained network, in evaluation mode, built on first use.

        Raises: ComponentImportError without torch; ArtifactCorruptError if the weights do not fit the config.
        """
        with self._lock:
            if self._network is None:
                if "weights" not in self._groups:
                    raise UnsupportedError("this tokenizer was saved without its network", capability="network")
                self._network = self.parts.trained_network(self._groups["weights"]).eval()
            return self._network

    def neural_path(self, cache: int = 65536) -> NeuralPath:
        """Return the network laid out for use: `codes` of segments and `segments` of codes, codes cached.

        Each call makes one, with a cache of its own of at most `cache` segments (0: none). Ids are made without it.
        Raises: as `network`; ValueError for a negative `cache`.
        """
        network = self.network()  # first, for its error where torch is missing
        from tokframe_autoencoder.inference.neural_path import NeuralPath

        return NeuralPath(network, cache=cache)

    def vectors(self) -> VectorTable:
        """Return the vectors and classes of ids, read on first use; see `embed`, `nearest` and `classes`.

        Raises: UnsupportedError where the tokenizer has none; ArtifactCorruptError where they do not fit its ids.
        """
        if VECTORS not in self._groups:
            raise UnsupportedError(
                f"{self.name or 'this tokenizer'} has no vectors of use: it was trained before tokenizers had them, or "
                'with a guide that needs none. Train it again with training.guide "use", the default: tokframe train '
                "autoencoder-fsq --corpus FILE --out DIR",
                capability="vectors",
            )
        with self._lock:
            if self._table is None:
                self._table = VectorTable.from_tensors(self._groups[VECTORS], self.vocab_size)
            return self._table

    def classes(self) -> npt.NDArray[np.int64]:
        """Return the class of each id by its use, (vocab_size,) int64; -1 where there is none. Raises: as `vectors`."""
        return self.vectors().classes.astype(np.int64)

    def codes(self, ids: IntArray | None = None) -> Any:
        """Return the int64 codes of ids (all by default); -1 where an id has none."""
        codes = self.vocabulary.codes
        return codes.copy() if ids is None else codes[self.as_ids(ids)]

    @property
    def levels(self) -> tuple[int, ...]:
        """Number of levels of each code dimension; empty where the quantizer has none. Raises: ArtifactCorruptError."""
        name = next((use.section for use in self._components if use.kind == "quantizer"), "quantizer")
        section = self.config.get(name, {})
        levels = section.get("levels") or () if isinstance(section, Mapping) else None
        if not isinstance(levels, (list, tuple)) or not all(is_count(level) and level > 1 for level in levels):
            raise corrupt(f"has a section {name!r} whose levels are no list of numbers", "config.json")
        if len(levels) > MAX_DIGITS or math.prod(levels) >= 2**62:
            raise corrupt(f"has a section {name!r} whose levels span more codes than an int64 holds", "config.json")
        return tuple(levels)

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

        return check_against_network(self.vocabulary, self.network(), reporter)

    def recompile(self, network: Autoencoder, **options: Any) -> Recompiled:
        """Return the lossless tokenizer of a network trained further from this one's; see `pipeline.recompile`."""
        from tokframe_autoencoder.pipeline.recompile import RECORD_FILE, recompile

        def assemble(
            codebook: Codebook, kept: npt.NDArray[np.int64], weights: Mapping[str, Any], record: Mapping[str, Any]
        ) -> ITokenizer:
            files = {**self._files, RECORD_FILE: canonical_json(record)}
            tokenizer = self._made(codebook, kept, {"weights": weights}, files)
            tokenizer.name = self.name
            return tokenizer

        return recompile(self.vocabulary, network, self.parts.training, assemble, **options)

    def analysis(self) -> dict[str, Any]:
        """Return what only a learned codebook has to show: use of each level in each dimension."""
        from tokframe_autoencoder.pipeline.level_use import level_use

        return level_use(self.vocabulary.codes, self.levels)
