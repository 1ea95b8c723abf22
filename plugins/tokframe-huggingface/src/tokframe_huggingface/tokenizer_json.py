"""tokenizer.json: a tokenizer's model in Hugging Face's format. Writing and comparing it is left to `export`."""

from __future__ import annotations

import json
from typing import Any

from tokframe.errors import UnsupportedError
from tokframe.tokenizer.base import ITokenizer
from tokframe.tokenizer.results import TokenizerModel
from tokframe.tokenizer.table import ALPHABET, GPT2_PATTERN, to_alphabet

__all__ = ["FILE", "to_json"]

FILE = "tokenizer.json"
_LOWEST_SCORE = -1e9  # on no best path: special tokens are never found in text
_MAX_REPEAT = 100_000  # of the regular expressions of Hugging Face tokenizers
#: The order in which the library writes these keys.
_KEYS = ("version", "truncation", "padding", "added_tokens", "normalizer", "pre_tokenizer", "post_processor", "decoder")


def to_json(tokenizer: ITokenizer) -> dict[str, Any]:
    """Return a tokenizer as the data of `tokenizer.json`, special tokens included.

    Raises: UnsupportedError where it has no `model()`, or one that `tokenizer.json` cannot represent.
    """
    model = tokenizer.model()
    if FILE in model.files:
        return {**json.loads(model.files[FILE]), "truncation": None, "padding": None}
    build = {"unigram": _unigram, "bpe": _bpe, "wordlevel": _word_level}.get(model.algorithm)
    if build is None:
        raise UnsupportedError(
            f"{tokenizer.name or type(tokenizer).__name__} cannot be exported to {FILE}: its algorithm is "
            f"{model.algorithm!r}. Supported: unigram, bpe, wordlevel",
            capability="export",
        )
    return {**build(model), "added_tokens": _added_tokens(model)}


def _unigram(model: TokenizerModel) -> dict[str, Any]:
    special = {*model.special.values()}
    names = zip(_byte_level_names(model), model.scores, strict=True)
    vocab = [[name, _LOWEST_SCORE if number in special else score] for number, (name, score) in enumerate(names)]
    return _file(
        model={"type": "Unigram", "unk_id": model.unknown, "vocab": vocab, "byte_fallback": False},
        pre_tokenizer=_byte_level_split(model),
        decoder=_byte_level(use_regex=False),
    )


def _bpe(model: TokenizerModel) -> dict[str, Any]:
    names = _byte_level_names(model)
    data = _file(
        model={
            "type": "BPE",
            **dict.fromkeys(("dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix")),
            **dict.fromkeys(("fuse_unk", "byte_fallback", "ignore_merges"), False),
            "vocab": {name: number for number, name in enumerate(names)},
            "merges": [[names[left], names[right]] for left, right in model.merges],
        },
        pre_tokenizer=_byte_level_split(model),
        decoder=_byte_level(use_regex=True),
    )
    return {**dict.fromkeys(_KEYS), **data}


def _word_level(model: TokenizerModel) -> dict[str, Any]:
    texts = [piece.decode() for piece in model.pieces]
    return _file(
        model={
            "type": "WordLevel",
            "vocab": {text: number for number, text in enumerate(texts)},
            "unk_token": None if model.unknown is None else texts[model.unknown],
        },
        pre_tokenizer=None if model.pattern is None else _split(model.pattern),
        decoder={"type": "Fuse"},
    )


def _file(**parts: Any) -> dict[str, Any]:
    empty = dict.fromkeys(("truncation", "padding", "normalizer", "post_processor"))
    return {"version": "1.0", **empty, **parts}


def _byte_level_names(model: TokenizerModel) -> list[str]:
    special = {number: text for text, number in model.special.items()}
    return [special.get(number) or to_alphabet(piece) for number, piece in enumerate(model.pieces)]


def _byte_level_split(model: TokenizerModel) -> dict[str, Any]:
    if model.pattern == GPT2_PATTERN and model.max_line_bytes is None:
        return {**_byte_level(use_regex=True), "trim_offsets": True}
    steps = [] if model.pattern is None else [_split(model.pattern)]
    steps.append(_byte_level(use_regex=False))
    if model.max_line_bytes is not None:
        steps.append(_split(_line_pattern(model.max_line_bytes)))
    return {"type": "Sequence", "pretokenizers": steps}


def _line_pattern(max_bytes: int) -> str:
    """Return the pattern of a line with the newlines after it, or of a block of an overlong one, in the alphabet.

    A block ends before a whole character; it counts bytes, each a character of the alphabet.
    """
    if max_bytes > _MAX_REPEAT:
        raise UnsupportedError(
            f"lines are cut every {max_bytes} bytes, and Hugging Face's regular expressions count to {_MAX_REPEAT}",
            capability="export",
        )
    newline = ALPHABET[10]
    within = f"(?:[^{newline}]|{newline}(?![^{newline}]))"  # not the last newline of a line that others follow
    inside = f"[{ALPHABET[0x80:0xC0]}]"  # continuation bytes of a character
    return f"(?>{within}{{0,{max_bytes - 1}}}){newline}(?=[^{newline}])|{within}{{1,{max_bytes}}}(?!{inside})"


def _byte_level(*, use_regex: bool) -> dict[str, Any]:
    return {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": use_regex}


def _split(pattern: str) -> dict[str, Any]:
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}


def _added_tokens(model: TokenizerModel) -> list[dict[str, Any]]:
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    by_id = sorted(model.special.items(), key=lambda item: item[1])
    return [{"id": number, "content": text, **plain} for text, number in by_id]
