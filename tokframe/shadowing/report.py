"""What a shadow counts and logs: the numbers of two tokenizers on the same texts.

Holds no text unless asked to; encoding with either is left to `shadowing`.
"""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from attrs import field, frozen

__all__ = ["Log", "Recorder", "ShadowReport", "ShadowSide"]

Log = Path | Callable[[dict[str, Any]], object]

#: Characters of a text that are kept in a log, where texts are.
_LONGEST = 10_000
_SIDES = ("first", "other")
_COUNTED = ("tokens", "unknown", "changed")


@frozen(kw_only=True)
class ShadowSide:
    """One of the two tokenizers on the texts that both took.

    `tokens` without those of the template; `unknown` of them `<unk>`; `changed` texts that do not come back exactly;
    `seconds` spent on encoding; `bytes` of UTF-8, the same for both sides.
    """

    name: str
    tokens: int
    unknown: int
    changed: int
    seconds: float
    bytes: int

    @property
    def bytes_per_token(self) -> float | None:
        """Bytes of text per token; None where there are none."""
        return _ratio(self.bytes, self.tokens)

    @property
    def unknown_rate(self) -> float | None:
        """Share of tokens that are `<unk>`, 0 to 1."""
        return _ratio(self.unknown, self.tokens)


@frozen(kw_only=True)
class ShadowReport:
    """What a shadow found by now.

    `calls` and `texts` were answered; on `tried` of the texts the other was run, it failed on `errors` of them
    (`error_kinds`: class name to count), and `first` and `other` compare the rest. `logged` texts are in the log;
    `not_logged` were past its limit or could not be written.
    """

    calls: int
    texts: int
    tried: int
    errors: int
    first: ShadowSide
    other: ShadowSide
    error_kinds: Mapping[str, int] = field(factory=dict)
    logged: int = 0
    not_logged: int = 0

    @property
    def compared(self) -> int:
        """Number of texts that both tokenizers took."""
        return self.tried - self.errors

    @property
    def token_ratio(self) -> float | None:
        """Tokens of the other per token of the first: below 1, sequences become shorter."""
        return _ratio(self.other.tokens, self.first.tokens)

    @property
    def time_ratio(self) -> float | None:
        """Seconds of the other per second of the first: below 1, encoding becomes faster."""
        return _ratio(self.other.seconds, self.first.seconds)

    @property
    def error_rate(self) -> float | None:
        """Share of the tried texts on which the other failed, 0 to 1."""
        return _ratio(self.errors, self.tried)

    @property
    def changed_rate(self) -> float | None:
        """Share of the compared texts that do not come back exactly from the other, 0 to 1."""
        return _ratio(self.other.changed, self.compared)


class Recorder:
    """Adds up what is found on each text, for any number of threads, and writes the log."""

    def __init__(self, log: Log | None, limit: int, keep_texts: bool) -> None:
        self._log = log
        self._limit = limit
        self._keep_texts = keep_texts
        self._lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        """Begin to count at zero."""
        with self._lock:
            self._numbers: Counter[str] = Counter()
            self._errors: Counter[str] = Counter()
            self._seconds = dict.fromkeys(_SIDES, 0.0)

    def called(self, texts: int, tried: int) -> None:
        """Count one call that answered `texts`, of which the other is tried on `tried`."""
        with self._lock:
            self._numbers["calls"] += 1
            self._numbers["texts"] += texts
            self._numbers["tried"] += tried

    def found(self, facts: Mapping[str, Any], text: str | bytes) -> None:
        """Add what was found on one text to the numbers and to the log; raises nothing."""
        with self._lock:
            if facts["error"]:
                self._errors[facts["error"]] += 1
            else:
                self._numbers["bytes"] += facts["bytes"]
                for side in _SIDES:
                    self._seconds[side] += facts[f"{side}_seconds"]
                    for key in _COUNTED:
                        self._numbers[f"{side} {key}"] += int(facts[f"{side}_{key}"])
            if self._log is None:
                return
            room = self._numbers["logged"] < self._limit
            self._numbers["logged" if room else "not logged"] += 1
        if not room:
            return
        try:
            self._write({"time": round(time.time(), 3), **facts}, text)
        except Exception:  # a full disk or a fault in the caller's function must not stop the service
            with self._lock:
                self._numbers["logged"] -= 1
                self._numbers["not logged"] += 1

    def report(self, first: str, other: str) -> ShadowReport:
        """Return the numbers by now; `first` and `other` are the names of the two."""
        with self._lock:
            numbers, errors = Counter(self._numbers), dict(sorted(self._errors.items()))
            seconds = dict(self._seconds)

        def side(which: str, name: str) -> ShadowSide:
            counted = {key: numbers[f"{which} {key}"] for key in _COUNTED}
            return ShadowSide(name=name, bytes=numbers["bytes"], seconds=seconds[which], **counted)

        return ShadowReport(
            calls=numbers["calls"],
            texts=numbers["texts"],
            tried=numbers["tried"],
            errors=sum(errors.values()),
            error_kinds=errors,
            first=side("first", first),
            other=side("other", other),
            logged=numbers["logged"],
            not_logged=numbers["not logged"],
        )

    def _write(self, entry: dict[str, Any], text: str | bytes) -> None:
        if self._keep_texts:
            entry["text"] = (text if isinstance(text, str) else text.decode("utf-8", "replace"))[:_LONGEST]
        if isinstance(self._log, Path):
            line = json.dumps(entry, ensure_ascii=False).encode("utf-8", "replace") + b"\n"
            with open(self._log, "ab", buffering=0) as file:  # one write of one line: threads and processes may share
                file.write(line)
        elif self._log is not None:
            self._log(entry)


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None
