"""Fingerprints: a tokenizer's state, part by part, and its ids for given texts, to compare between processes."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from tokframe.storage.state import State
from tokframe.storage.strictjson import canonical_json
from tokframe.tokenizer.base import ITokenizer

__all__ = ["ids_of", "same_parts", "state_parts"]


def state_parts(state: State) -> dict[str, str]:
    """Return part of the state -> digest: `config`, `components`, `tensors/GROUP/NAME`, `files/NAME`."""
    uses = [[use.section, use.kind, use.name] for use in state.components]
    parts = {"config": _digest(canonical_json(dict(state.config))), "components": _digest(canonical_json(uses))}
    for group in sorted(state.tensors):
        for name, array in sorted(state.group(group).items()):
            head = f"{array.dtype.str} {array.shape} ".encode()
            parts[f"tensors/{group}/{name}"] = _digest(head + np.ascontiguousarray(array).tobytes())
    return parts | {f"files/{name}": _digest(data) for name, data in sorted(state.files.items())}


def same_parts(tokenizer: ITokenizer, other: dict[str, str]) -> list[str]:
    """Return the parts in which `other` differs; parts that differ from call to call are ignored."""
    mine, again = state_parts(tokenizer.state()), state_parts(tokenizer.state())
    steady = {name for name in mine.keys() | again.keys() if mine.get(name) == again.get(name)}
    fickle = (mine.keys() | again.keys()) - steady
    return sorted(n for n in (mine.keys() | other.keys()) - fickle if mine.get(n) != other.get(n))


def ids_of(tokenizer: ITokenizer, texts: Sequence[str]) -> list[Any]:
    """Return the ids of each text, without special tokens."""
    return [tokenizer.encode_array(text, False).tolist() for text in texts]


def _digest(data: bytes | str) -> str:
    return hashlib.sha256(data.encode() if isinstance(data, str) else data).hexdigest()
