"""AutoencoderTokenizer: a dictionary whose segments have codes in a network.

Encoding and decoding never import torch. Training, verification and recompilation are in `pipeline`.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
from tokframe_dictionary.tokenizer import DictionaryTokenizer
from tokframe_dictionary.vocabulary.table import FIRST_BYTE

from tokframe.plugins.registry import load_config
from tokframe.storage.state import ComponentUse, State
from tokframe.storage.strictjson import canonical_json
from tokframe.tokenizer.base import ITokenizer
from tokframe_autoencoder.codebook import Codebook
from tokframe_autoencoder.tokenizer.coded import BASE_FILE, CodedTokenizer
from tokframe_autoencoder.vectors.table import GROUP as VECTORS

if TYPE_CHECKING:
    from tokframe.plugins.protocols import Check
    from tokframe.plugins.registry import Registry, TokenizerSpec
    from tokframe.training.job import TrainJob
    from tokframe.training.progress import Reporter
    from tokframe_autoencoder.network.autoencoder import Autoencoder
    from tokframe_autoencoder.pipeline.recompile import Recompiled

__all__ = ["AutoencoderTokenizer"]


class AutoencoderTokenizer(CodedTokenizer, DictionaryTokenizer):
    """A learned vocabulary of byte segments, searched for the fewest tokens; lossless for any bytes."""

    trains_in_processes: ClassVar[bool] = True
    trains_over_vocabulary: ClassVar[bool] = True
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
        DictionaryTokenizer.__init__(self, codebook, config=config, files=files)
        self._hold(config, components, groups)
        self._all_codes = codebook.codes

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
            groups=ChainMap(dict(groups), self._groups),  # type: ignore[arg-type]  # which is only read
            files=files,
        )

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Build from a state; weights and vectors stay on disk until they are used. Raises: ArtifactCorruptError.

        Where the state holds a base tokenizer, an `OverlayTokenizer` is built.
        """
        if BASE_FILE in state.files:
            from tokframe_autoencoder.tokenizer.overlay import OverlayTokenizer

            return OverlayTokenizer.from_state(state)  # type: ignore[return-value]  # saved under this one's name
        return cls(
            Codebook.from_tensors(cls.tables(state)),
            config=state.config,
            components=state.components,
            groups=state.tensors,
            files=state.files,
        )

    @classmethod
    def train(cls, job: TrainJob) -> Self:
        """Mine, train, select and compile, or train over `job.vocabulary`, which gives an `OverlayTokenizer`.

        Raises: ConfigError; TrainingError; TrainingInterrupted.
        """
        if job.vocabulary is not None:
            from tokframe_autoencoder.tokenizer.overlay import OverlayTokenizer

            return OverlayTokenizer.train(job)  # type: ignore[return-value]  # saved under this one's name
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

        return sized(config, vocab_size)

    @classmethod
    def config_classes(cls, spec: TokenizerSpec, registry: Registry) -> Mapping[str, type[Any]]:
        """Return the config classes of its default parts and of its own sections."""
        from tokframe_autoencoder.config import OWN_SECTIONS, SizeConfig

        parts = [(kind, registry.component(kind, name)) for kind, name in spec.defaults.items()]
        named = {part.name if kind == "quantizer" else kind: load_config(part) for kind, part in parts if part.config}
        return {"": SizeConfig, **named, **OWN_SECTIONS}

    @classmethod
    def full_config(cls, config: Mapping[str, Any], spec: TokenizerSpec, registry: Registry) -> dict[str, Any]:
        """Return a training config with every default written out. Raises: ConfigError."""
        from tokframe_autoencoder.config import resolve

        return resolve(config, registry, spec.defaults).to_json()

    def verify(self, reporter: Reporter) -> list[Check]:
        """Check the tables against the network: codes and bytes in both directions, bytes to the stored vectors."""
        from tokframe_autoencoder.pipeline.recompile import RECORD_FILE
        from tokframe_autoencoder.pipeline.verify import check_against_network

        checks = check_against_network(self.vocabulary, self.network(), reporter, without_code=self.added_ids)
        return [*checks, *self._vector_checks(RECORD_FILE if RECORD_FILE in self._files else "training.json")]

    @property
    def longest_segment(self) -> int:
        """The most bytes that a segment may have: as many as the network reads."""
        return self.parts.max_length

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

        vectors = self.vectors().unit[FIRST_BYTE:] if VECTORS in self._groups else None
        return recompile(self.vocabulary, network, self.parts.training, assemble, vectors=vectors, **options)
