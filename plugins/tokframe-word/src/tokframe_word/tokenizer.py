"""WordTokenizer: a piece of text that is in the vocabulary has an id, every other is `<unk>`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import repeat
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from tokframe.errors import ArtifactCorruptError
from tokframe.storage.state import State
from tokframe.tokenizer import streams
from tokframe.tokenizer.base import decode_text, utf8
from tokframe.tokenizer.results import Capabilities, Encoding, IntArray, TokenizerModel
from tokframe.tokenizer.table import SPECIAL_TOKENS, TableTokenizer
from tokframe_word.pattern import pieces, portable_pattern, stable_chars

if TYPE_CHECKING:
    from tokframe.training.job import TrainJob

__all__ = ["WordTokenizer"]

_FILE = "vocab.json"
_UNKNOWN = SPECIAL_TOKENS["<unk>"]


class WordTokenizer(TableTokenizer):
    """Word-level: lossy, as pieces outside the vocabulary cannot be decoded.

    An unknown piece decodes to the text `<unk>`, with `skip_special` too: a lost word is never omitted silently.
    `offsets` gives the true span of every piece, unknown ones included.
    """

    capabilities: ClassVar[Capabilities] = Capabilities(lossless=False, bytes_input=False)

    def __init__(self, words: Sequence[str], config: Mapping[str, Any]) -> None:
        """Build from the words in order of their ids, without special tokens."""
        super().__init__((text.encode() for text in (*SPECIAL_TOKENS, *words)), SPECIAL_TOKENS)
        self._config = dict(config)
        self._ids = {word: number for number, word in enumerate(words, len(SPECIAL_TOKENS))}

    def encode_raw(self, data: bytes) -> IntArray:
        """Return the ids of UTF-8 text. Raises: UnsupportedError if it is not UTF-8."""
        found = [self._lookup(part) for part in pieces(decode_text(data, "a word-level tokenizer"))]
        return np.concatenate(found) if found else np.empty(0, np.int32)

    def decode_bytes(self, tokens: Sequence[int] | IntArray, skip_special: bool = True) -> bytes:
        """Return the text of ids as UTF-8; `skip_special` keeps `<unk>`. Raises: InvalidTokenError."""
        ids = self.as_ids(tokens)
        if skip_special:
            ids = ids[(ids >= len(SPECIAL_TOKENS)) | (ids == _UNKNOWN)]
        return self.decode_raw(ids)

    def offsets(self, text: str) -> Encoding:
        """Return ids with the byte and character span of each, special tokens not added."""
        data = utf8(text)
        found = [piece for part in pieces(text) for piece in part]
        return streams.spans(data, self._lookup(found), [len(piece.encode()) for piece in found])

    def stable_prefix(self, data: bytes) -> int:
        """Return how many leading bytes encode the same whatever follows. Raises: UnsupportedError."""
        text = decode_text(data, "a word-level tokenizer", final=False)
        return len(text[: stable_chars(text)].encode())

    def model(self) -> TokenizerModel:
        """Return the pieces and the pattern that cuts text; computed at each call, in about a second."""
        return TokenizerModel(
            algorithm="wordlevel",
            pieces=self._table,
            special=self.special_tokens,
            unknown=_UNKNOWN,
            pattern=portable_pattern(),
        )

    def state(self) -> State:
        """Return the vocabulary as `vocab.json`: the texts in order of their ids, one a line."""
        listing = json.dumps([token.decode() for token in self._table], ensure_ascii=False, indent=0)
        return State(config=dict(self._config), files={_FILE: listing.encode() + b"\n"})

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Build a tokenizer from its state. Raises: ArtifactCorruptError."""
        try:
            texts = json.loads(state.files[_FILE])
        except KeyError:
            raise _corrupt("is missing") from None
        except (ValueError, RecursionError) as cause:
            raise _corrupt(f"is not UTF-8 JSON ({cause})") from cause
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise _corrupt("is not a list of texts")
        if texts[: len(SPECIAL_TOKENS)] != list(SPECIAL_TOKENS):
            raise _corrupt(f"does not begin with {', '.join(SPECIAL_TOKENS)}")
        if len(set(texts)) != len(texts):
            raise _corrupt("holds a text twice")
        try:
            return cls(texts[len(SPECIAL_TOKENS) :], state.config)
        except UnicodeEncodeError as cause:
            raise _corrupt(f"holds a lone surrogate ({cause})") from cause

    @classmethod
    def train(cls, job: TrainJob) -> Self:
        """Count the pieces of a corpus and keep the most frequent. Raises: as `training.most_frequent`."""
        from tokframe.storage.config import structure, unstructure
        from tokframe_word.config import WordConfig
        from tokframe_word.training import most_frequent

        job.check_cpu()
        config = structure(WordConfig, job.config)
        return cls(most_frequent(job, config.vocab_size - len(SPECIAL_TOKENS), config.weights), unstructure(config))

    def _lookup(self, part: Sequence[str]) -> IntArray:
        return np.fromiter(map(self._ids.get, part, repeat(_UNKNOWN)), np.int32, len(part))


def _corrupt(what: str) -> ArtifactCorruptError:
    return ArtifactCorruptError(
        f"{_FILE} {what}: it was altered or not made by tokframe. Train it again: "
        "tokframe train word --corpus FILE --out DIR",
        file=_FILE,
    )
