"""SentencePieceTokenizer: a sentencepiece model, run by sentencepiece. Lossy, as it normalizes text."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, Self

import numpy as np
import sentencepiece

from tokframe.storage.state import State
from tokframe.tokenizer.base import decode_text, utf8
from tokframe.tokenizer.results import Capabilities, Encoding, IntArray
from tokframe.tokenizer.streams import StreamDecoder
from tokframe.tokenizer.table import TableTokenizer
from tokframe_huggingface.imported.common import check_reach, content_of, corrupt, spans, unencodable
from tokframe_huggingface.imported.decoding import denormalizes, settled_by

__all__ = ["FILE", "SentencePieceTokenizer"]

FILE = "sentencepiece.model"


class SentencePieceTokenizer(TableTokenizer):
    """A sentencepiece model. It does not distinguish a space from U+2581, so none is lossless.

    Special tokens are its control pieces and its unknown piece; U+2581 in other pieces is a space.
    """

    capabilities = Capabilities(lossless=False, bytes_input=False, streaming=False)

    def __init__(self, content: bytes) -> None:
        """Build from the content of the model file. Raises: ArtifactCorruptError."""
        self._content = content
        try:
            self._model: Any = sentencepiece.SentencePieceProcessor(model_proto=content)
            size = self._model.get_piece_size()
        except Exception as cause:  # the binding raises RuntimeError and others
            raise corrupt(FILE, f"cannot be read by sentencepiece ({cause})") from cause
        if not size:
            raise corrupt(FILE, "has no pieces")
        names = [self._model.id_to_piece(number) for number in range(size)]
        special = {name: n for n, name in enumerate(names) if self._model.is_control(n) or self._model.is_unknown(n)}
        table = [
            bytes([int(name[3:5], 16)]) if self._model.is_byte(n) else name.replace("▁", " ").encode()
            for n, name in enumerate(names)
        ]
        for name, number in special.items():
            table[number] = name.encode()
        super().__init__(table, special)
        check_reach(self, FILE, special)

    @property
    def unknown_id(self) -> int | None:
        """The id of the model's unknown piece, whatever its text."""
        number: int = self._model.unk_id()
        return number if number >= 0 else None

    def encode_raw(self, data: bytes) -> IntArray:
        """Return the ids of text. Raises: UnsupportedError if it is not UTF-8."""
        text = decode_text(data, self.name or "this tokenizer")
        return np.asarray(self._call(self._model.encode, text), np.int32)

    def decode_raw(self, ids: IntArray) -> bytes:
        """Return the text that sentencepiece decodes, special tokens as their own text. Raises: InvalidTokenError."""
        control = {*self._special.values()}
        parts = []
        for special, run in itertools.groupby(self.as_ids(ids).tolist(), control.__contains__):
            found = list(run)
            parts.append(b"".join(self._table[n] for n in found) if special else self._model.decode(found).encode())
        return b"".join(parts)

    def stream_decoder(self, skip_special: bool = True) -> StreamDecoder:
        """Return an incremental decoder, exact for every model; where one denormalizes, all text comes at the end."""
        held = None if denormalizes(self._content) else {n for n in range(self.vocab_size) if self._model.is_byte(n)}
        return StreamDecoder(self, skip_special, settled_by(held, self._special if skip_special else {}))

    def offsets(self, text: str) -> Encoding:
        """Return ids with the byte and character span of each, special tokens not added."""
        utf8(text)
        found = self._call(self._model.encode, text, return_type="offset_mapping")
        return spans(text, found["ids"], found["offsets"])

    def state(self) -> State:
        """Return the model file, byte for byte as it was read."""
        return State(files={FILE: self._content})

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Build from a state. Raises: ArtifactCorruptError."""
        return cls(content_of(state, FILE))

    def _call(self, encode: Callable[..., Any], text: str, **options: Any) -> Any:
        """Return the library's answer for a text. Raises: EncodingError where it fails."""
        try:
            return encode(text, **options)
        except Exception as cause:  # the binding raises RuntimeError and others
            raise unencodable(self, text, cause) from cause
