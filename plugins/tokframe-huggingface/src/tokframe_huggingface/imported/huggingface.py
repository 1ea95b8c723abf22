"""HuggingFaceTokenizer: a `tokenizer.json`, run by Hugging Face `tokenizers`.

Special tokens are never searched for in text, as everywhere in tokframe: `<s>` in a text is three characters.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Self

import numpy as np
from tokenizers import Tokenizer

from tokframe.errors import EncodingError
from tokframe.storage.state import State
from tokframe.tokenizer.base import decode_text, utf8
from tokframe.tokenizer.results import Capabilities, Encoding, IntArray, TokenizerModel
from tokframe.tokenizer.streams import StreamDecoder
from tokframe.tokenizer.table import ALPHABET, TableTokenizer, encode_mixed, from_alphabet
from tokframe_huggingface.imported.common import content_of, corrupt, is_lossless, spans, table_of
from tokframe_huggingface.imported.decoding import held_ids, settled_by

__all__ = ["FILE", "HuggingFaceTokenizer"]

FILE = "tokenizer.json"
_BYTE = re.compile(r"<0x([0-9A-Fa-f]{2})>")


class HuggingFaceTokenizer(TableTokenizer):
    """Any `tokenizer.json`. `capabilities` are those of the file: lossless only if nothing in it changes text.

    Ids missing from the file are special tokens `<unused N>`. Where the tokenizer is lossy, `token_bytes` is an
    approximation.
    """

    capabilities = Capabilities(lossless=False, bytes_input=False, streaming=False)

    def __init__(self, content: bytes) -> None:
        """Build from the content of a `tokenizer.json`. Raises: ArtifactCorruptError."""
        self._content = content
        try:
            data = json.loads(content)
            if data["model"].get("dropout"):
                data["model"]["dropout"] = None  # for training only: it makes ids random
            self._tokenizer = Tokenizer.from_str(json.dumps(data))
        except KeyError as cause:
            raise corrupt(FILE, f"has no {cause}") from cause
        except Exception as cause:  # the binding raises plain Exception for a file it cannot read
            raise corrupt(FILE, f"cannot be read by Hugging Face tokenizers ({cause})") from cause
        self._algorithm = str(data["model"].get("type")).lower()
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._tokenizer.encode_special_tokens = True
        added = data.get("added_tokens") or []
        special = {entry["content"]: int(entry["id"]) for entry in added if entry.get("special")}
        kinds = set(_types(data.get("pre_tokenizer"))) | set(_types(data.get("normalizer")))
        self._byte_level = "ByteLevel" in kinds
        vocab = self._tokenizer.get_vocab(with_added_tokens=True)
        verbatim = {entry["content"] for entry in added}
        known = {n: name.encode() if name in verbatim else self._spelling(name, data) for name, n in vocab.items()}
        super().__init__(table_of(known, special, FILE), special)
        self._byte_ids = np.asarray([vocab.get(name, -1) for name in ALPHABET], np.int32)
        self._exact = self._byte_level and _keeps_text(data) and int(self._byte_ids.min()) >= 0
        self._exact = self._exact and is_lossless(self.encode_raw, self.decode_raw)
        self.capabilities = Capabilities(  # type: ignore[misc]  # of this file, not of the class
            lossless=self._exact, bytes_input=self._exact, streaming=False
        )

    def encode_raw(self, data: bytes) -> IntArray:
        """Return the ids of text, or of any bytes where `capabilities.bytes_input`. Raises: UnsupportedError."""
        if self._exact:
            return encode_mixed(data, lambda texts: map(self._ids, texts), self._byte_ids)
        return np.asarray(self._ids(decode_text(data, self.name or "this tokenizer")), np.int32)

    def decode_raw(self, ids: IntArray) -> bytes:
        """Return the bytes of ids; where the file's decoder works on text, of its output. Raises: InvalidTokenError."""
        if self._byte_level:
            return super().decode_raw(ids)
        text: str = self._tokenizer.decode(self.as_ids(ids).tolist(), skip_special_tokens=False)
        return text.encode()

    def stream_decoder(self, skip_special: bool = True) -> StreamDecoder:
        """Return an incremental decoder, exact for every decoder; where one looks ahead, all text comes at the end."""
        if self._byte_level:
            return super().stream_decoder(skip_special)
        part = self._tokenizer.decoder
        held = held_ids(part and json.loads(part.__getstate__()), self._tokenizer.get_vocab(with_added_tokens=True))
        return StreamDecoder(self, skip_special, settled_by(held, self.special_tokens if skip_special else {}))

    def template(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Return the ids that the file adds before and after a text."""
        plain = self._encoding("a").ids
        whole = self._encoding("a", special=True).ids
        for start in range(len(whole) - len(plain) + 1):
            if whole[start : start + len(plain)] == plain:
                return tuple(whole[:start]), tuple(whole[start + len(plain) :])
        return (), ()

    def offsets(self, text: str) -> Encoding:
        """Return ids with the byte and character span of each, special tokens not added."""
        if self._exact:
            return super().offsets(text)
        utf8(text)
        found = self._encoding(text)
        return spans(text, found.ids, found.offsets)

    def model(self) -> TokenizerModel:
        """Return the bytes of ids, and the file, which alone defines how text is normalized and cut."""
        return TokenizerModel(
            algorithm=self._algorithm,
            pieces=self._table,
            special=self.special_tokens,
            files={FILE: self._content},
        )

    def state(self) -> State:
        """Return the file, byte for byte as it was read."""
        return State(files={FILE: self._content})

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Build from a state. Raises: ArtifactCorruptError."""
        return cls(content_of(state, FILE))

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self._encoding(text).ids
        return ids

    def _encoding(self, text: str, special: bool = False) -> Any:
        """Return Hugging Face's encoding of a text. Raises: EncodingError where the file has no token for it."""
        try:
            return self._tokenizer.encode(text, add_special_tokens=special)
        except Exception as cause:  # the binding raises plain Exception, e.g. where there is no token for the unknown
            raise EncodingError(f"{self.name or 'this tokenizer'} cannot encode {text!r:.60}: {cause}") from cause

    def _spelling(self, name: str, data: Mapping[str, Any]) -> bytes:
        if self._byte_level:
            try:
                return from_alphabet(name)
            except KeyError:
                return name.encode()
        byte = _BYTE.fullmatch(name)
        if byte and data["model"].get("byte_fallback"):
            return bytes([int(byte[1], 16)])
        if data["model"].get("type") == "WordPiece":
            name = name.removeprefix(data["model"].get("continuing_subword_prefix") or "##")
        return name.replace("▁", " ").encode()


def _types(part: Any) -> Iterator[str]:
    """Yield the types of a part and of the parts it is a sequence of."""
    if isinstance(part, dict):
        yield str(part.get("type"))
        for key in ("pretokenizers", "normalizers"):
            for inner in part.get(key) or ():
                yield from _types(inner)


def _keeps_text(data: Mapping[str, Any]) -> bool:
    """Return whether nothing in the file removes, adds or changes text."""
    steps = data.get("pre_tokenizer") or {}
    steps = steps.get("pretokenizers", [steps])
    return (
        data["model"].get("type") in ("BPE", "Unigram")
        and set(_types(data.get("normalizer"))) <= {"ByteLevel", "Sequence"}
        and all(step.get("type") in ("ByteLevel", "Split", "Digits", "Punctuation") for step in steps)
        and not any(step.get("add_prefix_space") for step in steps)
        and not any(step.get("behavior") == "Removed" for step in steps)
        and not any(entry.get("lstrip") or entry.get("rstrip") for entry in data.get("added_tokens") or ())
    )
