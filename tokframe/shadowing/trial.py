"""Trial: encode with one tokenizer, then try another on a sample of the same texts.

Whatever the other raises is counted and goes no further.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
from attrs import frozen

from tokframe.shadowing.report import Log, Recorder, ShadowReport
from tokframe.tokenizer.base import ITokenizer
from tokframe.tokenizer.results import IntArray

__all__ = ["Trial", "TrialSettings"]

Text = TypeVar("Text", str, bytes)
Ids = TypeVar("Ids", bound=Sequence[int] | IntArray)
Encode = Callable[[ITokenizer, Sequence[Text]], list[Ids]]


@frozen(kw_only=True)
class TrialSettings:
    """Options of `tokframe.shadow`."""

    sample: float
    log: Log | None
    log_limit: int
    keep_texts: bool
    seed: int | None


class Trial:
    """Encodes texts with `first`, tries `other` on a sample of them, and records how they differ."""

    def __init__(self, first: ITokenizer, other: ITokenizer, settings: TrialSettings) -> None:
        self.first = first
        self.other = other
        self.recorder = Recorder(settings.log, settings.log_limit, settings.keep_texts)
        self._sample = settings.sample
        self._random = random.Random(settings.seed)

    def report(self) -> ShadowReport:
        """Return the counts since the start or the last reset."""
        return self.recorder.report(self.first.name, self.other.name)

    def encode(self, texts: Sequence[Text], encode: Encode[Text, Ids]) -> list[Ids]:
        """Return `encode(first, texts)`, the ids of each without special tokens, and try the other the same way.

        Raises: whatever the first raises, and nothing that the other does.
        """
        started = time.perf_counter()
        rows = encode(self.first, texts)
        seconds = time.perf_counter() - started
        chosen = [n for n in range(len(texts)) if self._sample >= 1 or self._random.random() < self._sample]
        self.recorder.count_call(len(texts), len(chosen))
        size = sum(map(len, texts)) or 1
        attempts = self._attempts([texts[n] for n in chosen], encode) if chosen else []
        for n, attempt in zip(chosen, attempts, strict=True):
            text = texts[n]
            data = text if isinstance(text, bytes) else text.encode()
            entry = {"bytes": len(data), **_measures("first", self.first, rows[n], seconds * len(text) / size)}
            try:
                entry["first_changed"] = self.first.decode_bytes(rows[n], False) != data
            except Exception:  # no reason to fail the caller, who only encodes
                entry["first_changed"] = True
            entry["error"] = ""
            try:
                if isinstance(attempt, BaseException):
                    raise attempt
                ids, other_seconds = attempt
                changed = self.other.decode_bytes(ids, False) != data
                entry |= _measures("other", self.other, ids, other_seconds) | {"other_changed": changed}
            except (KeyboardInterrupt, SystemExit):
                raise
            except BaseException as error:  # some compiled libraries raise their own, not an Exception
                entry["error"] = type(error).__name__  # its text might contain some of the user's
            self.recorder.add(entry, data)
        return rows

    def _attempts(self, texts: Sequence[Text], encode: Encode[Text, Ids]) -> list[tuple[Ids, float] | BaseException]:
        """Return the other's ids of each text and the seconds they took, or the error that it raised."""
        started = time.perf_counter()
        try:
            rows = encode(self.other, texts)
            if len(rows) != len(texts):
                raise ValueError(f"{len(rows)} results for {len(texts)} texts")
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:
            if len(texts) == 1:
                return [error]
            return [attempt for text in texts for attempt in self._attempts([text], encode)]
        seconds = (time.perf_counter() - started) / len(texts)
        return [(ids, seconds) for ids in rows]


def _measures(side: str, tokenizer: ITokenizer, ids: Sequence[int] | IntArray, seconds: float) -> dict[str, Any]:
    unknown = tokenizer.special_tokens.get("<unk>")
    count = 0 if unknown is None else int(np.count_nonzero(np.asarray(ids) == unknown))
    return {f"{side}_tokens": len(ids), f"{side}_unknown": count, f"{side}_seconds": seconds}
