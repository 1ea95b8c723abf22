"""Trying another tokenizer on texts that are answered already; whatever goes wrong with it stays in here."""

from __future__ import annotations

import random
import time
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
from attrs import frozen

from tokframe.shadowing.report import Log, Recorder, ShadowReport
from tokframe.tokenizer.base import ITokenizer
from tokframe.tokenizer.results import IntArray

__all__ = ["Trial", "TrialSettings"]


@frozen(kw_only=True)
class TrialSettings:
    """What `tokframe.shadow` was asked for: which share of texts, where to log, how much of it."""

    sample: float
    log: Log | None
    log_limit: int
    keep_texts: bool
    seed: int | None


class Trial:
    """Tries `other` on a share of the texts that `first` has answered, and adds up how they differ."""

    def __init__(self, first: ITokenizer, other: ITokenizer, settings: TrialSettings) -> None:
        self.first = first
        self.other = other
        self._sample = settings.sample
        self._random = random.Random(settings.seed)
        self._recorder = Recorder(settings.log, settings.log_limit, settings.keep_texts)

    def report(self) -> ShadowReport:
        """Return what was found since the start or the last `reset()`."""
        return self._recorder.report(self.first.name, self.other.name)

    def reset(self) -> None:
        """Begin to count at zero."""
        self._recorder.reset()

    def record(
        self,
        texts: Sequence[str] | Sequence[bytes],
        answers: Sequence[Sequence[int] | IntArray],
        seconds: float,
        add_special: bool = False,
        *,
        allowed: Collection[str] = (),
        cut: int | None = None,
        threads: int | None = None,
    ) -> None:
        """Try the other on a share of the texts that the first just answered in `seconds`.

        `answers` are its ids, with its template where `add_special`, cut to `cut` each. Raises nothing of the other's.
        """
        chosen = [n for n in range(len(texts)) if self._sample >= 1 or self._random.random() < self._sample]
        self._recorder.called(len(texts), len(chosen))
        if not chosen:
            return
        raw = [text.encode("utf-8") if isinstance(text, str) else bytes(text) for text in texts]
        total = sum(map(len, raw)) or 1
        before, after = map(len, self.first.template()) if add_special else (0, 0)
        try:
            others, spent = self._tried([texts[n] for n in chosen], allowed, threads)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException:  # which text it was is found by trying them one by one
            others, spent = [None] * len(chosen), 0.0
        for place, n in enumerate(chosen):
            ids: Any = answers[n]
            if cut is not None and len(ids) >= cut:
                ids = self.first.encode_raw(raw[n])  # a truncated answer says nothing of the whole text
            else:
                ids = ids[before : len(ids) - after]
            facts: dict[str, Any] = {
                "bytes": len(raw[n]),
                "first_tokens": len(ids),
                "first_unknown": _unknown(self.first, ids),
                "first_changed": not _spells(self.first, ids, raw[n]),
                "first_seconds": seconds * len(raw[n]) / total,
            }
            try:
                given, each = others[place], spent / len(chosen)
                if given is None:
                    (given,), each = self._tried([texts[n]], allowed, None)
                facts |= {
                    "other_tokens": len(given),
                    "other_unknown": _unknown(self.other, given),
                    "other_changed": self.other.decode_bytes(given, False) != raw[n],
                    "other_seconds": each,
                    "error": "",
                }
            except (KeyboardInterrupt, SystemExit):
                raise
            except BaseException as error:  # some compiled libraries raise their own, past Exception
                facts["error"] = type(error).__name__  # its text might hold some of the user's
            self._recorder.found(facts, texts[n])

    def _tried(
        self, texts: Sequence[str | bytes], allowed: Collection[str], threads: int | None
    ) -> tuple[list[Any], float]:
        """Return the other's ids of each text, without its template, and the seconds it took. Raises: anything."""
        known = [special for special in allowed if special in self.other.special_tokens]
        words = [text for text in texts if isinstance(text, str)]
        started = time.perf_counter()
        found: list[Any]
        if len(words) == len(texts) > 1:
            found = self.other.encode_batch(words, False, threads=threads)
        else:
            found = [
                self.other.encode_array(text, False, allowed_special=known)
                if isinstance(text, str)
                else self.other.encode_raw(bytes(text))
                for text in texts
            ]
        seconds = time.perf_counter() - started
        if len(found) != len(texts):
            raise ValueError("the other gave another number of answers than it was given texts")
        return found, seconds


def _spells(tokenizer: ITokenizer, ids: Any, data: bytes) -> bool:
    """Tell whether the first's own ids come back as the text; a fault in that is no reason to fail its caller."""
    try:
        return tokenizer.decode_bytes(ids, False) == data
    except Exception:
        return False


def _unknown(tokenizer: ITokenizer, ids: Any) -> int:
    token = tokenizer.special_tokens.get("<unk>")
    return 0 if token is None else int(np.count_nonzero(np.asarray(ids) == token))
