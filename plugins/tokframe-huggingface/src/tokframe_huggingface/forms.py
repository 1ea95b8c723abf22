"""How each kind of tokenizer is said in `tokenizer.json`: the one place that knows other plugins' rules.

A tokenizer of a package not listed here says it itself, by a method `huggingface()` that returns the JSON data.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from tokframe.errors import UnsupportedError
from tokframe.tokenizer.base import ITokenizer
from tokframe_huggingface.alphabet import CHARACTERS, spell

__all__ = ["FILE", "form"]

FILE = "tokenizer.json"
_NEVER = -1e9  # a score so low that no path takes it: special tokens are never found in text
_LONGEST_REPEAT = 100_000  # of the regular expressions of Hugging Face tokenizers


def form(tokenizer: ITokenizer) -> dict[str, Any]:
    """Return a tokenizer as the data of `tokenizer.json`, special tokens added.

    Raises: UnsupportedError for a tokenizer nobody has said this of.
    """
    own = getattr(tokenizer, "huggingface", None)
    known = _FORMS.get(type(tokenizer).__module__.partition(".")[0])
    if callable(own):
        data = dict(own())
    elif known is not None:
        data = known(tokenizer)
    else:
        raise UnsupportedError(
            f"{tokenizer.name or type(tokenizer).__name__} cannot be said in Hugging Face's tokenizer.json. What can: "
            "autoencoder-fsq, autoencoder-vq, bpe, word, imported-huggingface, and tokenizers with a method "
            "huggingface()",
            capability="export",
        )
    if known is _imported:  # it came with its special tokens
        return data
    return {**data, "added_tokens": _added(tokenizer, data)}


def _fewest_tokens(tokenizer: Any) -> dict[str, Any]:
    """A path of fewest tokens is the likeliest one of a unigram model whose pieces are all equally likely."""
    block = int(tokenizer.config.get("selection", {}).get("block", 4096))
    if block > _LONGEST_REPEAT:
        raise UnsupportedError(
            f"lines are cut every {block} bytes, and Hugging Face counts to {_LONGEST_REPEAT}", capability="export"
        )
    special = {number: text for text, number in tokenizer.special_tokens.items()}
    vocab = [
        [special[number], _NEVER] if number in special else [spell(tokenizer.token_bytes(number)), -1.0]
        for number in range(tokenizer.vocab_size)
    ]
    return _tokenizer(
        model={"type": "Unigram", "unk_id": tokenizer.special_tokens["<unk>"], "vocab": vocab, "byte_fallback": False},
        pre_tokenizer=_sequence(_bytes(use_regex=False), _split(_units(block))),
        decoder=_bytes(use_regex=False),
    )


def _units(block: int) -> str:
    """Return the pattern of a line with the newlines after it, or of a block of an overlong one, in the alphabet.

    A block ends before a whole character; it counts bytes, each a character of the alphabet.
    """
    newline = CHARACTERS[10]
    within = f"(?:[^{newline}]|{newline}(?![^{newline}]))"  # not the last newline of a line that others follow
    inside = f"[{''.join(CHARACTERS[0x80:0xC0])}]"  # bytes that go on with a character
    return f"(?>{within}{{0,{block - 1}}}){newline}(?=[^{newline}])|{within}{{1,{block}}}(?!{inside})"


def _as_it_is(tokenizer: Any) -> dict[str, Any]:
    """The tokenizer is kept as a `tokenizer.json`."""
    data: dict[str, Any] = json.loads(tokenizer.state().files[FILE])
    return {**data, "truncation": None, "padding": None, "decoder": data.get("decoder") or _bytes(use_regex=True)}


def _imported(tokenizer: Any) -> dict[str, Any]:
    if FILE not in tokenizer.state().files:
        raise UnsupportedError(
            f"{tokenizer.name} was not made of a tokenizer.json, so there is none to write", capability="export"
        )
    data: dict[str, Any] = json.loads(tokenizer.state().files[FILE])
    return {**data, "truncation": None, "padding": None}


def _words(tokenizer: Any) -> dict[str, Any]:
    """Pieces by pattern, looked up whole."""
    from tokframe_huggingface.words import pattern

    texts = [tokenizer.token_bytes(number).decode() for number in range(tokenizer.vocab_size)]
    return _tokenizer(
        model={
            "type": "WordLevel",
            "vocab": {text: number for number, text in enumerate(texts)},
            "unk_token": "<unk>",
        },
        pre_tokenizer=_split(pattern()),
        decoder={"type": "Fuse"},
    )


_FORMS: Mapping[str, Callable[[Any], dict[str, Any]]] = {
    "tokframe_autoencoder": _fewest_tokens,
    "tokframe_bpe": _as_it_is,
    "tokframe_word": _words,
    "tokframe_huggingface": _imported,
}


def _tokenizer(**parts: Any) -> dict[str, Any]:
    empty = dict.fromkeys(("truncation", "padding", "normalizer", "post_processor"))
    return {"version": "1.0", **empty, **parts}


def _sequence(*parts: Any) -> dict[str, Any]:
    return {"type": "Sequence", "pretokenizers": list(parts)}


def _bytes(*, use_regex: bool) -> dict[str, Any]:
    return {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": use_regex}


def _split(pattern: str) -> dict[str, Any]:
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}


def _added(tokenizer: ITokenizer, data: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Special tokens as Hugging Face wants them, after those that the data has already."""
    there = list(data.get("added_tokens") or [])
    known = {entry["content"] for entry in there}
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    there += [
        {"id": number, "content": text, **plain}
        for text, number in tokenizer.special_tokens.items()
        if text not in known
    ]
    return sorted(there, key=lambda entry: int(entry["id"]))
