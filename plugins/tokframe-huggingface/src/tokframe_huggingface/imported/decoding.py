"""Decoding as a stream: which ids make the text before them final. Running the decoders is left to the libraries."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

__all__ = ["denormalizes", "held_ids", "settled_by"]

#: What ByteFallback joins with its neighbors to characters; the library takes any token of this shape for a byte.
_BYTE = re.compile(r"<0x..>", re.DOTALL)
_DENORMALIZER_FIELD = 5  # of sentencepiece's ModelProto (sentencepiece_model.proto)
#: Decoders that look at one token at a time and at whether it is the first; Strip, where it takes from the start only.
_BY_TOKEN = {"Metaspace", "Replace", "Strip", "WordPiece"}


def settled_by(held: Collection[int] | None, skipped: Mapping[str, int]) -> Callable[[Sequence[int]], int]:
    """Return what `StreamDecoder` takes as `settled`: all is final after an id that is neither held nor skipped.

    Where `held` is None nothing is final before the end.
    """
    if held is None:
        return lambda ids: 0
    waiting = {*held, *skipped.values()}
    return lambda ids: next((n for n in range(len(ids), 0, -1) if ids[n - 1] not in waiting), 0)


def held_ids(decoder: Mapping[str, Any] | None, vocab: Mapping[str, int]) -> set[int] | None:
    """Return the ids whose text may change by what follows; None where any id's may, or nothing is known.

    `decoder` is that of a `tokenizer.json`. Its steps look at single tokens until `Fuse` joins all to one text; of the
    steps after it, those that take from the start and that replace single characters are independent of what follows.
    """
    steps = list(_steps(decoder))
    names = [str(step.get("type")) for step in steps]
    fuse = names.index("Fuse") if "Fuse" in names else len(names)
    at = names.index("ByteFallback") if "ByteFallback" in names[:fuse] else -1
    if (
        # A step before ByteFallback must leave the tokens of bytes as they are, and make no others.
        all(map(_replaces_characters, steps[: max(at, 0)]))
        and all(step.get("type") in _BY_TOKEN and not step.get("stop") for step in steps[at + 1 : fuse])
        and all(map(_is_local, steps[fuse + 1 :]))
    ):
        return {number for name, number in vocab.items() if at >= 0 and _BYTE.fullmatch(name)}
    return None


def denormalizes(model: bytes) -> bool:
    """Return whether a sentencepiece model rewrites what it decodes, by rules that may cross pieces."""
    return any(number == _DENORMALIZER_FIELD and content for number, content in _fields(model))


def _fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield number and content of the fields of a protocol buffer whose fields are all messages."""
    at = 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            value, more = value | (message[at] & 127) << shift, message[at] & 128
            at, shift = at + 1, shift + 7
            if not more:
                return value

    while at < len(message):
        number, size = varint() >> 3, varint()
        yield number, message[at : at + size]
        at += size


def _steps(decoder: Mapping[str, Any] | None) -> list[Mapping[str, Any]]:
    if decoder is None:
        return []
    if decoder.get("type") == "Sequence":
        return [step for part in decoder.get("decoders") or () for step in _steps(part)]
    return [decoder]


def _is_local(step: Mapping[str, Any]) -> bool:
    """Return whether a step on the whole text changes no character because of what follows it."""
    return (
        step.get("type") == "Fuse"
        or (step.get("type") == "Strip" and not step.get("stop"))
        or _replaces_characters(step)
    )


def _replaces_characters(step: Mapping[str, Any]) -> bool:
    text = (step.get("pattern") or {}).get("String")
    return step.get("type") == "Replace" and isinstance(text, str) and len(text) == 1 and text not in "<0x>"
