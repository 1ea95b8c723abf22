"""ShadowReport: token counts, losses and times of two tokenizers on the same texts; Recorder adds them up and logs.

Stores no text unless asked to. Encoding is left to `tokenizer`.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from io import FileIO
from pathlib import Path
from typing import Any

from attrs import asdict, field, frozen

from tokframe.storage.printable import printable_json
from tokframe.storage.strictjson import canonical_json
from tokframe.tokenizer.display import Result

__all__ = ["Log", "Recorder", "ShadowReport", "ShadowSide", "Summary", "open_log"]

#: A file for JSON lines, or a function called with each entry.
Log = Path | Callable[[dict[str, Any]], object]

_MAX_ERROR_KINDS = 100  # counted by name; a class of a name of its own for each text must not fill memory
_HELP = {
    "tokens": "Tokens, special ones not counted.",
    "unknown": "Unknown tokens.",
    "changed": "Texts that do not decode exactly.",
    "seconds": "Seconds spent on encoding.",
}
MAX_LOGGED_CHARACTERS = 10_000
_SIDES = ("first", "other")
_MEASURES = ("tokens", "unknown", "changed", "seconds")


@frozen(kw_only=True)
class ShadowSide:
    """One of the two tokenizers on the texts that both encoded.

    `tokens` without special tokens; `unknown` of them the unknown id; `changed` texts that do not decode exactly;
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
        """Share of tokens that are the unknown one, 0 to 1."""
        return _ratio(self.unknown, self.tokens)


@frozen(kw_only=True, repr=False)
class ShadowReport(Result):
    """The counts of a shadow so far.

    `texts` were encoded in `calls` of the first's encoder (a thread's share of a batch is one call). The other was
    tried on `tried` of the texts and failed on `errors` of them (`error_kinds`: class name to count); `first` and
    `other` compare the rest. `logged` texts are in the log; `not_logged` were past its limit or failed to be written.
    `summaries_failed` summaries could not be written, or their function raised.
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
    summaries_failed: int = 0

    def to_prometheus(self) -> str:
        """Return the counts in the text format of Prometheus: counters `tokframe_shadow_*`, labeled with both names."""
        return to_prometheus(self)

    def to_json(self) -> dict[str, Any]:
        """Return the counts and the ratios as JSON data; a ratio of nothing is None."""
        ratios = ("token_ratio", "time_ratio", "error_rate", "changed_rate")
        rates = {side: {"unknown_rate": getattr(self, side).unknown_rate} for side in _SIDES}
        found = asdict(self)
        sides = {side: {**found[side], **rates[side]} for side in _SIDES}
        return {"time": round(time.time(), 3), **found, **sides, **{name: getattr(self, name) for name in ratios}}

    def to_dict(self) -> dict[str, Any]:
        """Return what `to_json` returns."""
        return self.to_json()

    @property
    def title(self) -> str:
        """What was tried on what."""
        return f"{self.other.name} tried beside {self.first.name}: {self.compared:,} texts, {self.errors:,} errors"

    def records(self) -> list[dict[str, Any]]:
        """Return one row per tokenizer."""
        return [
            {
                "tokenizer": side.name,
                "tokens": side.tokens,
                "bytes per token": side.bytes_per_token,
                "unknown": side.unknown,
                "changed texts": side.changed,
                "seconds": side.seconds,
            }
            for side in (self.first, self.other)
        ]

    @property
    def compared(self) -> int:
        """Number of texts that both tokenizers encoded."""
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
        """Share of the compared texts that the other does not decode exactly, 0 to 1."""
        return _ratio(self.other.changed, self.compared)


def to_prometheus(report: ShadowReport) -> str:
    """Return a report in the text format of Prometheus, for a scrape: counters `tokframe_shadow_*`, by tokenizer."""
    lines = []

    def family(name: str, text: str, values: Mapping[str, float]) -> None:
        lines.extend([f"# HELP tokframe_shadow_{name} {text}", f"# TYPE tokframe_shadow_{name} counter"])
        lines.extend(f"tokframe_shadow_{name}{labels} {value:.15g}" for labels, value in values.items())

    pair = {"first": report.first, "other": report.other}
    both = f'first="{_label(report.first.name)}",other="{_label(report.other.name)}"'
    family("calls_total", "Calls of the first tokenizer.", {f"{{{both}}}": report.calls})
    family("texts_total", "Texts encoded by the first tokenizer.", {f"{{{both}}}": report.texts})
    family("tried_total", "Texts on which the other was tried.", {f"{{{both}}}": report.tried})
    family("bytes_total", "Bytes of the texts compared.", {f"{{{both}}}": report.first.bytes})
    kinds = {f'{{{both},error="{_label(kind)}"}}': count for kind, count in report.error_kinds.items()}
    family("errors_total", "Texts on which the other failed, by error.", kinds or {f'{{{both},error=""}}': 0})
    for measure, text in _HELP.items():
        found = {f'{{{both},side="{side}"}}': getattr(one, measure) for side, one in pair.items()}
        family(f"{measure}_total", text, found)
    return "\n".join(lines) + "\n"


def _label(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


#: A file that is replaced by the newest summary, or a function called with it.
Summary = Path | Callable[[ShadowReport], object]


class Recorder:
    """Adds up the measures of each text, from any number of threads, and writes the log."""

    def __init__(
        self, log: Log | None, limit: int, keep_texts: bool, summary: Summary | None = None, every: float = 60.0
    ) -> None:
        self._log = log
        self._summary, self._every = summary, every
        self._due = time.monotonic() + every
        self._limit = limit
        self._keep_texts = keep_texts
        self._lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        """Set all counts to zero."""
        with self._lock:
            self._sums: Counter[str] = Counter()
            self._errors: Counter[str] = Counter()

    def count_call(self, texts: int, tried: int) -> None:
        """Count one call that encoded `texts`, of which the other is tried on `tried`."""
        with self._lock:
            self._sums.update(calls=1, texts=texts, tried=tried)

    def add(self, entry: Mapping[str, Any], data: bytes) -> None:
        """Add the measures of one text to the sums and to the log; raises nothing."""
        with self._lock:
            if entry["error"]:
                known = entry["error"] in self._errors or len(self._errors) < _MAX_ERROR_KINDS
                self._errors[entry["error"] if known else "other"] += 1
            else:
                for name in ("bytes", *(f"{side}_{measure}" for side in _SIDES for measure in _MEASURES)):
                    self._sums[name] += entry[name]
            if self._log is None:
                return
            room = self._sums["logged"] < self._limit
            self._sums["logged" if room else "not_logged"] += 1
        if not room:
            return
        try:
            self._write({"time": round(time.time(), 3), **entry}, data)
        except Exception:  # a full disk or an error in the caller's function must not stop the service
            with self._lock:
                self._sums["logged"] -= 1
                self._sums["not_logged"] += 1

    def summarize(self, first: str, other: str) -> None:
        """Write a summary, or call its function with the report, if one is due; raises nothing."""
        if self._summary is None:
            return
        with self._lock:  # of several threads one writes
            if time.monotonic() < self._due:
                return
            self._due = time.monotonic() + self._every
        try:
            report = self.report(first, other)
            if isinstance(self._summary, Path):
                from tokframe.storage.atomic import write_atomically  # which loading does without

                write_atomically(self._summary, canonical_json(report.to_json()))
            else:
                self._summary(report)
        except Exception:  # as for the log
            with self._lock:
                self._sums["summaries_failed"] += 1

    def report(self, first: str, other: str) -> ShadowReport:
        """Return the counts so far; `first` and `other` are the names of the two."""
        with self._lock:
            sums, errors = self._sums.copy(), dict(sorted(self._errors.items()))

        def side(which: str, name: str) -> ShadowSide:
            return ShadowSide(name=name, bytes=sums["bytes"], **{key: sums[f"{which}_{key}"] for key in _MEASURES})

        return ShadowReport(
            first=side("first", first),
            other=side("other", other),
            errors=sum(errors.values()),
            error_kinds=errors,
            **{name: sums[name] for name in ("calls", "texts", "tried", "logged", "not_logged", "summaries_failed")},
        )

    def _write(self, entry: dict[str, Any], data: bytes) -> None:
        if self._keep_texts:
            entry["text"] = data.decode("utf-8", "replace")[:MAX_LOGGED_CHARACTERS]
        if isinstance(self._log, Path):
            line = printable_json(json.dumps(entry, ensure_ascii=False)).encode() + b"\n"
            with open_log(self._log) as file:  # one write of one line: threads and processes may share
                file.write(line)
        elif self._log is not None:
            self._log(entry)


def open_log(path: Path) -> FileIO:
    """Open a log to append lines to; a pipe that nobody reads, which would stop the service, is an OSError."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    return FileIO(os.open(path, flags, 0o666), "ab")


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None
