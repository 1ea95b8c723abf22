"""ShadowTokenizer: answers as one tokenizer and tries another on a sample of the same texts.

Whatever the other raises is counted and goes no further. The sums and the log are left to `report`.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar

import numpy as np

from tokframe.errors import ConfigError, UnsupportedError
from tokframe.loading.loading import load
from tokframe.shadowing.report import Log, Recorder, ShadowReport, Summary, open_log
from tokframe.storage.paths import expanded
from tokframe.storage.state import State
from tokframe.tokenizer.base import ITokenizer
from tokframe.tokenizer.results import IntArray

__all__ = ["ShadowTokenizer", "shadow"]

Text = TypeVar("Text", str, bytes)
Ids = TypeVar("Ids", bound=Sequence[int] | IntArray)
Encode = Callable[[ITokenizer, Sequence[Text]], list[Ids]]

#: What is derived from `encode_raw`, `encode_raw_list` or `encode_lists`, which a shadow records.
_RECORDED = {
    "encode",
    "encode_array",
    "encode_bytes",
    "encode_batch",
    "encode_batch_padded",
    "encode_parts",
    "stream_encoder",
}


def shadow(
    name: str | os.PathLike[str] | ITokenizer,
    other: str | os.PathLike[str] | ITokenizer,
    *,
    log: str | os.PathLike[str] | Callable[[dict[str, Any]], object] | None = None,
    sample: float = 1.0,
    log_limit: int = 100_000,
    keep_texts: bool = False,
    seed: int | None = None,
    summary: str | os.PathLike[str] | Callable[[ShadowReport], object] | None = None,
    summary_every: float = 60.0,
) -> ShadowTokenizer:
    """Return a tokenizer that answers exactly as `name` and records how `other` would differ (`report()`).

    `sample` is the share of texts on which `other` is tried, after the answer and in the thread that encoded them.
    `log` is a file to which one JSON line per tried text is appended, or a function called with the same entry, for
    at most `log_limit` texts; `keep_texts` adds the texts themselves to it. `seed` makes the sample repeatable.
    `summary` is a file that is replaced, or a function called, with the counts so far (`ShadowReport`) every
    `summary_every` seconds, by the next call of the encoder after them. All counts together take a few kB.

    Raises: as `tokframe.load` for either; ConfigError for a share outside 0 to 1 or a log that cannot be written.
    """
    problems = []
    if isinstance(sample, bool) or not isinstance(sample, (int, float)) or not 0 <= sample <= 1:
        problems.append(("sample", f"expected a share from 0 to 1, got {sample!r}"))
    if isinstance(log_limit, bool) or not isinstance(log_limit, int) or log_limit < 0:
        problems.append(("log_limit", f"expected a number of lines, 0 or more, got {log_limit!r}"))
    if keep_texts and log is None:
        problems.append(("keep_texts", "texts are kept in the log only; set log=PATH or log=FUNCTION"))
    if isinstance(log, (str, os.PathLike)):
        log = expanded(log).absolute()
        try:
            open_log(log).close()
        except OSError as error:
            problems.append(("log", f"{log} cannot be written: {error.strerror or error}"))
    elif log is not None and not callable(log):
        problems.append(("log", f"expected a path or a function, got {type(log).__name__}"))
    if isinstance(summary_every, bool) or not isinstance(summary_every, (int, float)) or not summary_every >= 0:
        problems.append(("summary_every", f"expected seconds, 0 or more, got {summary_every!r}"))
    if isinstance(summary, (str, os.PathLike)):
        summary = expanded(summary).absolute()
        if not os.access(summary.parent, os.W_OK) or summary.is_dir():
            problems.append(("summary", f"{summary} cannot be written: name a file in a folder that exists"))
    elif summary is not None and not callable(summary):
        problems.append(("summary", f"expected a path or a function, got {type(summary).__name__}"))
    if problems:
        raise ConfigError("tokframe.shadow", problems)
    first, second = (tok if isinstance(tok, ITokenizer) else load(tok) for tok in (name, other))
    return ShadowTokenizer(first, second, log, sample, log_limit, keep_texts, seed, summary, summary_every)


class ShadowTokenizer(ITokenizer):
    """Answers as `first`; on a sample of the texts it also tries `other` (see `shadow`).

    All encoding goes through `encode_raw`, `encode_raw_list` and `encode_lists`, which are recorded (of a stream, each
    part); `count`, `offsets`, `prompt`, `encode_more` and decoding are not. Saved, it is the first; pickled, it is a
    shadow with counts at zero.
    """

    def __init__(
        self,
        first: ITokenizer,
        other: ITokenizer,
        log: Log | None,
        sample: float,
        log_limit: int,
        keep_texts: bool,
        seed: int | None,
        summary: Summary | None = None,
        summary_every: float = 60.0,
    ) -> None:
        self.first = first
        self.other = other
        self.name = first.name
        # A function as log belongs to this process; a file can be shared.
        kept = (log, sample, log_limit, keep_texts) if isinstance(log, Path) else (None, sample, log_limit, False)
        self._copied = (first, other, *kept, seed, summary if isinstance(summary, Path) else None, summary_every)
        self._sample = sample
        self._random = random.Random(seed)
        self._recorder = Recorder(log, log_limit, keep_texts, summary, summary_every)

    def report(self) -> ShadowReport:
        """Return the counts since the start or the last `reset()`."""
        return self._recorder.report(self.first.name, self.other.name)

    def to_prometheus(self) -> str:
        """Return the counts in the text format of Prometheus (see `ShadowReport.to_prometheus`)."""
        return self.report().to_prometheus()

    def reset(self) -> None:
        """Set all counts to zero; the log is continued, up to its limit again."""
        self._recorder.reset()

    # -- recorded -------------------------------------------------------------------------------------------

    def encode_raw(self, data: bytes) -> IntArray:
        """Return the ids of the first, and try the other."""
        return self._encode([data], lambda tok, texts: [tok.encode_raw(text) for text in texts])[0]

    def encode_raw_list(self, data: bytes) -> list[int]:
        """Return the ids of the first, and try the other."""
        return self._encode([data], lambda tok, texts: [tok.encode_raw_list(text) for text in texts])[0]

    def encode_lists(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the ids of the first, and try the other."""
        return self._encode(list(texts), lambda tok, some: tok.encode_lists(some))

    def _encode(self, texts: Sequence[Text], encode: Encode[Text, Ids]) -> list[Ids]:
        """Return `encode(first, texts)`, the ids of each without special tokens, and try the other the same way.

        Raises: whatever the first raises, and nothing that the other does.
        """
        started = time.perf_counter()
        rows = encode(self.first, texts)
        seconds = time.perf_counter() - started
        chosen = [n for n in range(len(texts)) if self._sample >= 1 or self._random.random() < self._sample]
        self._recorder.count_call(len(texts), len(chosen))
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
            self._recorder.add(entry, data)
        self._recorder.summarize(self.first.name, self.other.name)
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

    # -- only answered --------------------------------------------------------------------------------------

    @property
    def vocab_size(self) -> int:
        """Number of ids of the first."""
        return self.first.vocab_size

    @property
    def special_tokens(self) -> Mapping[str, int]:
        """Special tokens of the first."""
        return self.first.special_tokens

    def token_bytes(self, token: int) -> bytes:
        """Return the bytes of an id of the first. Raises: InvalidTokenError."""
        return self.first.token_bytes(token)

    def decode_raw(self, ids: IntArray) -> bytes:
        """Return the bytes of ids of the first."""
        return self.first.decode_raw(ids)

    # -- saving ---------------------------------------------------------------------------------------------

    def state(self) -> State:
        """Return the state of the first: what is saved is not a shadow."""
        return self.first.state()

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Raise UnsupportedError: a shadow is made of two tokenizers, by `tokframe.shadow`."""
        raise UnsupportedError("a shadow is made by tokframe.shadow(NAME, OTHER)", capability="from_state")

    def __reduce__(self) -> tuple[Any, ...]:
        return ShadowTokenizer, self._copied

    def __getattribute__(self, name: str) -> Any:
        # Whatever else tokenizers have from their base class, properties included, is the first's.
        of_first = name in _OF_FIRST
        return getattr(super().__getattribute__("first"), name) if of_first else super().__getattribute__(name)

    def __getattr__(self, name: str) -> Any:
        # Only for what the class of the first adds; `first` itself is missing while a copy is being made.
        if name.startswith("__") or name == "first":
            raise AttributeError(name)
        return getattr(self.first, name)

    def __repr__(self) -> str:
        return f"<ShadowTokenizer of {self.first!r} trying {self.other!r}>"


_OF_FIRST = {
    name
    for name in dir(ITokenizer)
    if not name.startswith("_") and name not in vars(ShadowTokenizer) and name not in _RECORDED | {"name"}
}


def _measures(side: str, tokenizer: ITokenizer, ids: Sequence[int] | IntArray, seconds: float) -> dict[str, Any]:
    unknown = tokenizer.unknown_id
    count = 0 if unknown is None else int(np.count_nonzero(np.asarray(ids) == unknown))
    return {f"{side}_tokens": len(ids), f"{side}_unknown": count, f"{side}_seconds": seconds}
