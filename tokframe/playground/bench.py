"""Bench: how tokenizers split a text and what one id represents, as JSON data for the playground."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tokframe.errors import InvalidTokenError, UnknownNameError, UnsupportedError
from tokframe.evaluate.report.table import short_labels
from tokframe.plugins.protocols import HasCodes, HasVectors
from tokframe.storage.printable import printable
from tokframe.tokenizer.segments import shown

if TYPE_CHECKING:
    from tokframe.tokenizer.base import ITokenizer

__all__ = ["Bench"]

_NEAREST = 8


class Bench:
    """Tokenizers by name. Stores no text."""

    def __init__(self, tokenizers: Mapping[str, ITokenizer]) -> None:
        # A path need not be UTF-8, and what is asked for must be the name that the page was given.
        self._tokenizers = {printable(name): tokenizer for name, tokenizer in tokenizers.items()}
        self._spellings = {
            name: [tokenizer.token_bytes(token) for token in range(tokenizer.vocab_size)]
            for name, tokenizer in self._tokenizers.items()
        }

    def about(self) -> list[dict[str, Any]]:
        """Return name, label, vocab_size, lossless and codes (whether ids have digits) of each tokenizer."""
        labels = short_labels(list(self._tokenizers))
        return [
            {
                "name": name,
                "label": labels[name],
                "vocab_size": tokenizer.vocab_size,
                "lossless": tokenizer.capabilities.lossless,
                "codes": isinstance(tokenizer, HasCodes) and bool(tokenizer.levels),
            }
            for name, tokenizer in self._tokenizers.items()
        ]

    def segment(self, name: str, data: bytes) -> dict[str, Any]:
        """Return `ids`, `ms` it took, and `lengths` in bytes of each, or `pieces` where ids do not spell the text.

        Raises: UnknownNameError; EncodingError; UnicodeDecodeError where the data is not UTF-8.
        """
        tokenizer = self._named(name)
        data.decode()
        start = time.perf_counter()
        ids = tokenizer.encode_raw(data).tolist()
        took = round(1000 * (time.perf_counter() - start), 2)
        pieces = [self._spellings[name][token] for token in ids]
        if b"".join(pieces) == data:
            return {"ids": ids, "ms": took, "lengths": list(map(len, pieces))}
        return {"ids": ids, "ms": took, "pieces": list(map(shown, pieces))}

    def token(self, name: str, token: int) -> dict[str, Any]:
        """Return what an id is: `text`, `hex`, `bytes`, `special`, and where it has a code, that and its neighbors.

        `code`, `digits`, `levels` and `nearest` (ids by the sum of the steps between their digits, the lower id
        first among equals) are there where the tokenizer has `codes(ids)`, `digits(ids)` and `levels`; `class`, `use`
        and `spelling` (ids by their similarity) where it has vectors.
        Raises: UnknownNameError; InvalidTokenError.
        """
        tokenizer = self._named(name)
        spelling = self._spellings[name]
        if not 0 <= token < len(spelling):
            raise InvalidTokenError(
                f"id {token} is outside the vocabulary; ids are 0 to {len(spelling) - 1}", token=token
            )
        text = spelling[token]
        found: dict[str, Any] = {
            "id": token,
            "text": shown(text),
            "hex": text.hex(" "),
            "bytes": len(text),
            "special": token in tokenizer.special_tokens.values(),
        }
        if isinstance(tokenizer, HasCodes) and tokenizer.levels and (digits := tokenizer.digits())[token].min() >= 0:
            found |= {
                "code": int(tokenizer.codes([token])[0]),
                "digits": digits[token].tolist(),
                "levels": list(tokenizer.levels),
                "nearest": [
                    {"id": other, "text": shown(spelling[other]), "digits": digits[other].tolist(), "steps": steps}
                    for other, steps in _nearest(digits, token)
                ],
            }
        if isinstance(tokenizer, HasVectors):
            with suppress(UnsupportedError):
                found["class"] = int(tokenizer.classes()[token])
                for by in ("use", "spelling"):
                    found[by] = [
                        {"id": other, "text": shown(spelling[other]), "similarity": round(similarity, 3)}
                        for other, similarity in tokenizer.nearest(token, _NEAREST, by)
                    ]
        return found

    def _named(self, name: str) -> ITokenizer:
        if name not in self._tokenizers:
            known = ", ".join(self._tokenizers)
            raise UnknownNameError(f"{name!r} is not on this page; there are {known}", kind="tokenizer")
        return self._tokenizers[name]


def _nearest(digits: npt.NDArray[np.int64], token: int) -> list[tuple[int, int]]:
    """Return the `_NEAREST` other ids that have a code and are the fewest steps away, with the steps."""
    steps = np.abs(digits - digits[token]).sum(axis=1)
    steps[digits.min(axis=1) < 0] = np.iinfo(np.int64).max
    steps[token] = np.iinfo(np.int64).max
    order = np.argsort(steps, kind="stable")[:_NEAREST]
    return [(int(other), int(steps[other])) for other in order if steps[other] < np.iinfo(np.int64).max]
