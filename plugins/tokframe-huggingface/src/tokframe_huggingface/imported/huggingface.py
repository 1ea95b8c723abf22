"""HuggingFaceTokenizer: a `tokenizer.json`, run by Hugging Face `tokenizers`.

Special tokens are never found in text, as everywhere in tokframe: `<s>` in a text is three characters. The library does
not search for them, and `reach` keeps the model from finding them.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any, Self

import numpy as np
from tokenizers import Tokenizer

from tokframe.errors import EncodingError, TokframeError
from tokframe.storage.state import State
from tokframe.tokenizer.base import decode_text, utf8
from tokframe.tokenizer.results import Capabilities, Encoding, IntArray, TokenizerModel
from tokframe.tokenizer.roles import ROLES
from tokframe.tokenizer.streams import StreamDecoder
from tokframe.tokenizer.table import ALPHABET, TableTokenizer, encode_mixed, from_alphabet
from tokframe_huggingface.imported.common import (
    check_reach,
    content_of,
    corrupt,
    from_library,
    is_lossless,
    refused,
    spans,
    table_of,
    unencodable,
)
from tokframe_huggingface.imported.decoding import held_ids, settled_by
from tokframe_huggingface.imported.reach import BYTE, guard

__all__ = ["FILE", "HuggingFaceTokenizer"]

FILE = "tokenizer.json"


class HuggingFaceTokenizer(TableTokenizer):
    """Any `tokenizer.json`. `capabilities` are those of the file: lossless only if nothing in it changes text.

    Ids missing from the file are special tokens `<unused N>`. Where the tokenizer is lossy, `token_bytes` is an
    approximation.
    """

    capabilities = Capabilities(lossless=False, bytes_input=False, streaming=False)

    def __init__(self, content: bytes, roles: Mapping[str, str] | None = None) -> None:
        """Build from the content of a `tokenizer.json`; `roles` of special tokens whose names do not tell them.

        Raises: ArtifactCorruptError for a file that cannot be read, or that contradicts itself.
        """
        self._content, self._roles = content, dict(roles or {})
        try:
            data = json.loads(content)
            if data["model"].get("dropout"):
                data["model"]["dropout"] = None  # for training only: it makes ids random
            _check_merges(data["model"])
            tokenizer = Tokenizer.from_str(json.dumps(data))
            special = _special_ids(tokenizer, data.get("added_tokens") or [])
            self._tokenizer = guard(tokenizer, data, special, FILE)
        except TokframeError:
            raise
        except KeyError as cause:
            raise corrupt(FILE, f"has no {cause}") from cause
        except RecursionError as cause:
            raise corrupt(FILE, "is nested too deep") from cause
        except BaseException as cause:  # the binding raises plain Exception for a file it cannot read
            if not from_library(cause):
                raise
            raise corrupt(FILE, f"cannot be read by Hugging Face tokenizers ({cause})") from cause
        self._guarded = self._tokenizer is not tokenizer
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._tokenizer.encode_special_tokens = True
        model = data["model"]
        self._kind = type(self._tokenizer.model).__name__  # which older files do not say
        normalizer, pre_tokenizer = _part(self._tokenizer.normalizer), _part(self._tokenizer.pre_tokenizer)
        self._byte_level = "ByteLevel" in {*_types(normalizer), *_types(pre_tokenizer)}
        added = {token.content: token for token in self._tokenizer.get_added_tokens_decoder().values()}
        vocab = self._tokenizer.get_vocab(with_added_tokens=True)
        known = {n: name.encode() if name in added else self._spelling(name, model) for name, n in vocab.items()}
        if len(known) < len(vocab):
            raise refused(
                FILE, f"has one id for two tokens: {', '.join(map(repr, _same_id(vocab)))}. Give each its own"
            )
        if not known:
            raise corrupt(FILE, "has no tokens")
        named = dict(special)
        super().__init__(table_of(known, named, FILE), named)
        self._byte_ids = np.asarray([vocab.get(name, -1) for name in ALPHABET], np.int32)
        self._exact = False
        self._unknown = self._unknown_of(model)
        self._template = self._template_of()
        check_reach(self, FILE, special)
        if wrong := {role: text for role, text in self._roles.items() if role not in ROLES or text not in special}:
            raise corrupt(FILE, f"has no special tokens for the roles {wrong}")
        if (
            self._byte_level
            and self._kind in ("BPE", "Unigram")
            and _keeps_text(normalizer, pre_tokenizer)
            and not any((token.lstrip or token.rstrip) and not token.special for token in added.values())
            and int(self._byte_ids.min()) >= 0
        ):
            self._exact = True  # while it is tried
            self._exact = is_lossless(self, [*added, *filter(None, map(_text_of, added))])
        if self._exact:
            self._unknown = None
        self.capabilities = Capabilities(  # type: ignore[misc]  # of this file, not of the class
            lossless=self._exact, bytes_input=self._exact, streaming=False
        )

    @property
    def unknown_id(self) -> int | None:
        """The id that the file's model gives to what it does not know; None where every text is known."""
        return self._unknown

    @property
    def special_roles(self) -> Mapping[str, str]:
        """Role to special token, by their usual names and by what was told when the file was imported."""
        return {**super().special_roles, **self._roles}

    def encode_raw(self, data: bytes) -> IntArray:
        """Return the ids of text, or of any bytes where `capabilities.bytes_input`. Raises: UnsupportedError."""
        if self._exact:
            return encode_mixed(data, lambda texts: map(self._ids, texts), self._byte_ids)
        return np.asarray(self._ids(decode_text(data, self.name or "this tokenizer")), np.int32)

    def decode_raw(self, ids: IntArray) -> bytes:
        """Return the bytes of ids; where the file's decoder works on text, of its output.

        Raises: InvalidTokenError; EncodingError where that decoder fails.
        """
        if self._byte_level:
            return super().decode_raw(ids)
        found = self.as_ids(ids).tolist()
        if not found:
            return b""
        try:
            text: str = self._tokenizer.decode(found, skip_special_tokens=False)
        except BaseException as cause:  # a panic of its decoder, e.g. where it strips more than there is
            if not from_library(cause):
                raise
            name = self.name or "this tokenizer"
            raise EncodingError(f"{name} cannot decode {str(found)[:60]}: {cause}") from cause
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
        return self._template

    def offsets(self, text: str) -> Encoding:
        """Return ids with the byte and character span of each, special tokens not added."""
        if self._exact:
            return super().offsets(text)
        utf8(text)
        found = self._encoding(text)
        return spans(text, found.ids, found.offsets)

    def model(self) -> TokenizerModel:
        """Return the bytes of ids, and the file, which alone defines how text is normalized and cut.

        The file is as it was read, unless that would find special tokens in text.
        """
        return TokenizerModel(
            algorithm=self._kind.lower(),
            pieces=self._table,
            special=self.special_tokens,
            unknown=self._unknown,
            files={FILE: self._guarded_file() if self._guarded else self._content},
        )

    def _guarded_file(self) -> bytes:
        truncation = json.loads(self._content).get("truncation")  # says how many ids its model takes
        return json.dumps(
            {**json.loads(self._tokenizer.to_str()), "truncation": truncation}, ensure_ascii=False
        ).encode()

    def state(self) -> State:
        """Return the file as it was read."""
        return State(config={"roles": dict(self._roles)} if self._roles else {}, files={FILE: self._content})

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Build from a state. Raises: ArtifactCorruptError."""
        roles = state.config.get("roles", {})
        if not isinstance(roles, Mapping) or not all(isinstance(text, str) for text in roles.values()):
            raise corrupt("config.json", "has malformed roles of special tokens")
        return cls(content_of(state, FILE), roles)

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self._encoding(text).ids
        return ids

    def _encoding(self, text: str, special: bool = False) -> Any:
        """Return Hugging Face's encoding of a text. Raises: EncodingError where the file has no token for it."""
        try:
            return self._tokenizer.encode(text, add_special_tokens=special)
        except BaseException as cause:  # plain Exception where there is no unknown token, a panic of its patterns
            if not from_library(cause):
                raise
            raise unencodable(self, text, cause) from cause

    # -- what the file says ---------------------------------------------------------------------------------

    def _unknown_of(self, model: Mapping[str, Any]) -> int | None:
        if self._kind == "Unigram":
            number: int | None = model.get("unk_id")
            return number
        name = self._tokenizer.model.unk_token
        return None if name is None else self._tokenizer.model.token_to_id(name)

    def _template_of(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Return the ids added before and after a text. Raises: ArtifactCorruptError if they are not around it."""
        special = {*self._special.values()}
        pieces = (piece.decode("utf-8", "replace") for n, piece in enumerate(self._table) if n not in special)
        processor, self._tokenizer.post_processor = self._tokenizer.post_processor, None
        text, ids_of_text = next(self._encoded(itertools.chain(("a",), pieces)), ("", []))
        self._tokenizer.post_processor = processor
        try:
            whole, plain = self._encoding(text, special=True), self._encoding(text)
        except EncodingError as cause:
            raise refused(FILE, f"has a post_processor that fails ({cause.__cause__}). Correct it") from cause
        ids, added = whole.ids, whole.special_tokens_mask
        start = added.index(0) if 0 in added else len(ids)
        end = start + len(ids_of_text)
        around = all(added[:start]) and all(added[end:])
        if not ids_of_text == plain.ids == ids[start:end] or not around:
            raise refused(FILE, "has a post_processor that does more than put tokens around a text. Change it")
        for number, name, is_added in zip(ids, whole.tokens, added, strict=True):
            if is_added and self._tokenizer.id_to_token(number) != name:
                raise refused(
                    FILE,
                    f"contradicts itself: its post_processor gives {name!r} the id {number}, and the vocabulary "
                    f"{self._tokenizer.token_to_id(name)}. Correct post_processor",
                )
        return tuple(ids[:start]), tuple(ids[end:])

    def _encoded(self, texts: Iterable[str]) -> Iterator[tuple[str, list[int]]]:
        """Yield those texts that have ids, with them."""
        for text in texts:
            with suppress(EncodingError):
                if ids := self._ids(text):
                    yield text, ids

    def _spelling(self, name: str, model: Mapping[str, Any]) -> bytes:
        if self._byte_level:
            try:
                return from_alphabet(name)
            except KeyError:
                return name.encode()
        byte = BYTE.fullmatch(name)
        if byte and model.get("byte_fallback"):
            return bytes([int(byte[1], 16)])
        if self._kind == "WordPiece":
            name = name.removeprefix(self._tokenizer.model.continuing_subword_prefix) or name
        return name.replace("▁", " ").encode()


def _special_ids(tokenizer: Tokenizer, added: list[dict[str, Any]]) -> dict[str, int]:
    """Return special token text to id. Raises: ArtifactCorruptError where file and library have other ids."""
    texts = set()
    normalizer = tokenizer.normalizer
    for entry in added:
        text, number = entry["content"], tokenizer.token_to_id(entry["content"])
        if text in texts or (text and number != entry["id"]):
            taken = tokenizer.model.id_to_token(entry["id"])
            other = f"which the library makes {number}" if taken is None else f"that of {taken!r} in the vocabulary"
            why = "is listed twice" if text in texts else f"has the id {entry['id']}, {other}"
            raise refused(FILE, f"contradicts itself: in added_tokens {text!r} {why}. Correct added_tokens")
        if text and entry.get("normalized") and normalizer and not normalizer.normalize_str(text):
            # which the library would search for without end
            raise refused(FILE, f"removes the text of its added token {text!r}. Change its normalizer")
        texts.add(text)
    decoder = tokenizer.get_added_tokens_decoder()
    return {token.content: number for number, token in sorted(decoder.items()) if token.special}


def _check_merges(model: Mapping[str, Any]) -> None:
    """Raise ValueError for a merge that continues no word: the library cuts the prefix off unseen, or past its end."""
    if prefix := model.get("continuing_subword_prefix"):
        for merge in model.get("merges") or ():
            right = merge.split(" ")[-1] if isinstance(merge, str) else merge[-1]
            if not right.startswith(prefix):
                raise ValueError(f"the merge {merge!r:.60} has no {prefix!r} before its second part")


def _part(part: Any) -> dict[str, Any]:
    """Return a step of the library as the data of `tokenizer.json`; of none, an empty one."""
    return {} if part is None else dict(json.loads(part.__getstate__()))


def _types(part: Mapping[str, Any]) -> Iterator[str]:
    """Yield the types of a part and of the parts it is a sequence of."""
    if part:
        yield part["type"]
    for key in ("pretokenizers", "normalizers"):
        for inner in part.get(key) or ():
            yield from _types(inner)


def _keeps_text(normalizer: Mapping[str, Any], pre_tokenizer: Mapping[str, Any]) -> bool:
    """Return whether no step removes, adds or changes text."""
    steps = [*_steps(pre_tokenizer)]
    return (
        {*_types(normalizer)} <= {"ByteLevel", "Sequence"}
        and all(step["type"] in ("ByteLevel", "Split", "Digits", "Punctuation") for step in steps)
        and not any(step.get("add_prefix_space") for step in steps)
        and not any(step.get("behavior") == "Removed" for step in steps)
    )


def _steps(part: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for inner in part.get("pretokenizers", [part] if part else []):
        yield from _steps(inner) if "pretokenizers" in inner else (inner,)


def _text_of(name: str) -> str:
    """Return the text that is spelled `name` in the byte-level alphabet; nothing if there is none."""
    try:
        return from_alphabet(name).decode()
    except (KeyError, UnicodeDecodeError):
        return ""


def _same_id(vocab: Mapping[str, int]) -> list[str]:
    """Return two tokens of one id."""
    first: dict[int, str] = {}
    return next([other, name] for name, n in sorted(vocab.items()) if (other := first.setdefault(n, name)) != name)
