"""CodedTokenizer: what a network adds to the ids of a tokenizer: codes, vectors of use, classes, neighbors.

How text becomes ids is left to subclasses. The network is loaded only when asked for, the vectors too.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from tokframe_dictionary.vocabulary.table import corrupt

from tokframe.errors import EncodingError, UnsupportedError
from tokframe.plugins.discovery import host
from tokframe.plugins.registry import normal_name
from tokframe.storage.advice import FIRST_PARTY
from tokframe.storage.manifest import is_count
from tokframe.storage.state import ComponentUse
from tokframe.storage.strictjson import parse_json, shortened
from tokframe.tokenizer.base import ITokenizer, utf8
from tokframe.tokenizer.inputs import bytes_of, in_order, whole_number
from tokframe.tokenizer.results import IntArray
from tokframe_autoencoder.vectors.ngrams import SpellingIndex
from tokframe_autoencoder.vectors.table import GROUP as VECTORS
from tokframe_autoencoder.vectors.table import VectorTable

if TYPE_CHECKING:
    from tokframe.plugins.protocols import Check
    from tokframe_autoencoder.config import Parts
    from tokframe_autoencoder.inference.neural_path import NeuralPath
    from tokframe_autoencoder.network.autoencoder import Autoencoder

__all__ = ["BASE_FILE", "CodedTokenizer"]

#: The file of an artifact that names another tokenizer, whose ids have the codes (see `overlay`).
BASE_FILE = "base.json"
MAX_DIGITS = 61  # of two levels each
#: Similarities are compared and returned with so many decimals: what is equal is so in any order of summing.
_DECIMALS = 6
_MEASURES = ("use", "spelling")
#: Settings of parts that older artifacts do not have, and which they were trained without.
_ADDED: Mapping[str, Mapping[str, int]] = {"conv": {"hidden_blocks": 0}, "fsq": {"group_rows": 0}}
_TEXTS = (str, bytes, bytearray, memoryview)


class CodedTokenizer(ITokenizer):
    """A tokenizer whose ids have codes in a network, and vectors that say how they are used."""

    config: Mapping[str, Any]
    _components: tuple[ComponentUse, ...]
    _groups: Mapping[str, Any]
    _files: dict[str, bytes]
    _all_codes: npt.NDArray[np.int64]  #: (vocab_size,), -1 where an id has none

    def _hold(
        self, config: Mapping[str, Any], components: tuple[ComponentUse, ...], groups: Mapping[str, Any] | None
    ) -> None:
        """Keep config, parts and groups of tensors, from which the rest is built when asked for."""
        self.config, self._components, self._groups = config, components, groups or {}
        self._network: Autoencoder | None = None
        self._table: VectorTable | None = None
        self._lock = threading.Lock()

    @property
    def components(self) -> Mapping[str, str]:
        """Encoder, quantizer and decoder, by kind."""
        return {use.kind: use.name for use in self._components}

    # -- the network ----------------------------------------------------------------------------------------

    @property
    def parts(self) -> Parts:
        """The config with its components resolved. Raises: ConfigError; RegistryError."""
        from tokframe_autoencoder.config import resolve

        defaults = {use.kind: use.name for use in self._components}
        # The distributions it was made with, where others claim their names by now.
        homes = {normal_name(name.rpartition("/")[0]) for name in defaults.values()} | FIRST_PARTY
        config = dict(self.config)
        for use in self._components:
            given = config.get(use.section)
            if isinstance(given, Mapping):
                config[use.section] = {**_ADDED.get(use.name.removeprefix("tokframe-autoencoder/"), {}), **given}
        return resolve(config, host().registry, defaults, source="config.json", homes=homes)

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

    # -- codes ----------------------------------------------------------------------------------------------

    def codes(self, ids: IntArray | None = None) -> Any:
        """Return the int64 codes of ids (all by default); -1 where an id has none."""
        return self._all_codes.copy() if ids is None else self._all_codes[self.as_ids(ids)]

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

    # -- use and spelling -----------------------------------------------------------------------------------

    def vectors(self) -> VectorTable:
        """Return the table of vectors and classes, read on first use.

        Raises: UnsupportedError where the tokenizer has none; ArtifactCorruptError where it does not fit the ids.
        """
        if VECTORS not in self._groups:
            raise UnsupportedError(
                f"{self.name or 'this tokenizer'} has no vectors of use: it was trained by an older tokframe, or with "
                'a training.guide other than "use", the default. Train it again: tokframe train autoencoder-fsq '
                "--corpus FILE --out DIR",
                capability="vectors",
            )
        with self._lock:
            if self._table is None:
                self._table = VectorTable.from_tensors(self._groups[VECTORS], self.vocab_size)
            return self._table

    def _vector_checks(self, file: str) -> list[Check]:
        """Check stored vectors against the network, by the record in one of the artifact's files.

        None where there are no vectors or no record. Raises: ArtifactCorruptError for a record without the figure.
        """
        from tokframe_autoencoder.pipeline.verify import check_vectors, vector_cosines

        network = self.network()
        if VECTORS not in self._groups or network.use_head is None or file not in self._files:
            return []
        recorded = parse_json(self._files[file], file).get("vectors_cosine")
        if not isinstance(recorded, int | float):
            raise corrupt("has no number vectors_cosine", file)
        return [check_vectors(vector_cosines(self._segments, self.vectors(), network), recorded)]

    def classes(self) -> npt.NDArray[np.int64]:
        """Return the class of each id by its use, (vocab_size,) int64; -1 where there is none. Raises: as `vectors`."""
        return self.vectors().classes.astype(np.int64)

    def embed(self, items: Any) -> npt.NDArray[np.float32]:
        """Return the vectors of use of one item or a sequence of them, ids, str or bytes: (items, d), of length one.

        An id has its stored vector, zeros where nothing is known of its use, and so has a text that is one id. Any
        other text, of at most 16 bytes, is embedded by the network's encoder, which needs torch.
        Raises: UnsupportedError as `vectors`; InvalidTokenError; EncodingError for what is no item, an empty one, or
        one that is too long; ComponentImportError without torch.
        """
        table = self.vectors()
        ids, texts = self._items(items)
        rows: npt.NDArray[np.float32] = table.unit[ids]
        if texts:
            rows[list(texts)] = self._embedded(texts)
        return rows

    def nearest(self, item: Any, k: int = 5, by: str = "use") -> list[tuple[int, float]]:
        """Return the `k` ids most like an item (an id, str or bytes) with their similarity, the most similar first.

        `by` "use" compares vectors by their cosine, -1 to 1; "spelling" the n-grams of 1 to 3 bytes that two segments
        share, 0 to 1 (see `SpellingIndex`). The item itself is left out, and so are ids that have nothing to compare:
        special tokens, and by use those without a vector; an item without one has no neighbors. Of equally similar
        ids the lower comes first. Raises: as `embed`; by spelling no vectors are needed.
        """
        k = whole_number(k, "k", at_least=1)
        if by not in _MEASURES:
            raise EncodingError(f"by is 'use' or 'spelling', got {shortened(by)}")
        if by == "use":
            self.vectors()  # first: whether there are any
        ids, texts = self._items(item, single=True)
        own, text = int(ids[0]), texts.get(0)
        if by == "use":
            table = self.vectors()
            row = table.unit[own] if text is None else self._embedded(texts)[0]
            cosines = np.einsum("nd,d->n", table.unit, row)  # in one thread: those of BLAS cost more on a busy machine
            scores = np.where(table.known & bool(row.any()), cosines, -np.inf).astype(np.float64)
        else:
            segment = self._segments[own] if text is None else text
            scores = np.where(self._spelled, self._spelling.similarities(segment), -np.inf)
        if text is None:
            scores[own] = -np.inf
        return _highest(scores.round(_DECIMALS), k)

    def _items(self, items: Any, *, single: bool = False) -> tuple[npt.NDArray[np.integer], dict[int, bytes]]:
        """Return the id of each item, and by position those that have none, as bytes; their ids are 0."""
        if isinstance(items, _TEXTS) or _is_number(items):
            items = [items]
        elif single:
            raise EncodingError(f"nearest takes one id, str or bytes, got {type(items).__name__}")
        elif not isinstance(items, np.ndarray):
            items = in_order(items, "ids, str or bytes", "")
        elif items.dtype.kind in "iu":
            return self.as_ids(items), {}
        texts = {position: _bytes(item) for position, item in enumerate(items) if isinstance(item, _TEXTS)}
        if not texts:
            return self.as_ids(items), {}
        empty = [position for position, text in texts.items() if not text]
        if empty:
            raise EncodingError(
                f"the text at position {empty[0]} is empty; a segment has at least one byte", position=empty[0]
            )
        known = {position: self._ids[text] for position, text in texts.items() if text in self._ids}
        ids = self.as_ids([known.get(n, 0) if n in texts else item for n, item in enumerate(items)])
        return ids, {position: text for position, text in texts.items() if position not in known}

    def _embedded(self, texts: Mapping[int, bytes]) -> npt.NDArray[np.float32]:
        """Return the vectors that the encoder gives to texts by their position: (texts, d)."""
        longest = self.parts.max_length
        for position, text in texts.items():
            if len(text) > longest:
                raise EncodingError(
                    f"the text at position {position} has {len(text)} bytes, is no id, and the network reads at most "
                    f"{longest}. For a vector of each of its tokens: embed(encode(text))",
                    position=position,
                )
        network: Any = self.network()
        rows: npt.NDArray[np.float32] = network.vectors(list(texts.values()))
        return rows

    @cached_property
    def _segments(self) -> list[bytes]:
        """The bytes of each id, none for special tokens."""
        textless = self.textless_ids
        return [b"" if token in textless else self.token_bytes(token) for token in range(self.vocab_size)]

    @cached_property
    def _ids(self) -> dict[bytes, int]:
        """Segment -> id, the lowest that has it."""
        return {segment: token for token, segment in reversed([*enumerate(self._segments)]) if segment}

    @cached_property
    def _spelled(self) -> npt.NDArray[np.bool_]:
        return np.fromiter(map(bool, self._segments), np.bool_, self.vocab_size)

    @cached_property
    def _spelling(self) -> SpellingIndex:
        return SpellingIndex(self._segments)

    # -- analysis -------------------------------------------------------------------------------------------

    def analysis(self) -> dict[str, Any]:
        """Return what only learned codes have to show: use of each level in each dimension."""
        from tokframe_autoencoder.pipeline.level_use import level_use

        return level_use(self._all_codes, self.levels)


def _is_number(item: Any) -> bool:
    return isinstance(item, int | np.integer | float | np.floating) or item is None


def _bytes(item: Any) -> bytes:
    return utf8(item) if isinstance(item, str) else bytes_of(item)


def _highest(scores: npt.NDArray[np.float64], k: int) -> list[tuple[int, float]]:
    """Return the `k` highest finite scores with their places, the highest first, of equal ones the lower place."""
    k = min(k, len(scores))
    least = np.partition(scores, len(scores) - k)[len(scores) - k]
    found = np.flatnonzero((scores >= least) & np.isfinite(scores))
    found = found[np.argsort(-scores[found], kind="stable")][:k]
    return [(int(place), float(scores[place])) for place in found]
