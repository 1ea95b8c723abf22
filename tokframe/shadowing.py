"""Answering with one tokenizer while another is tried on the same texts: `shadow`, and what it found.

The answers are the first's own; what is counted and logged is in `shadowreport`.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from attrs import evolve, frozen

from tokframe.errors import ConfigError, UnsupportedError
from tokframe.interfaces import ITokenizer
from tokframe.results import Encoding, IntArray, PaddedBatch
from tokframe.shadowreport import Log, Recorder, ShadowReport
from tokframe.state import State

__all__ = ["ShadowTokenizer", "shadow"]


@frozen(kw_only=True)
class _Settings:
    sample: float
    log: Log | None
    log_limit: int
    keep_texts: bool
    seed: int | None


def shadow(
    name: str | os.PathLike[str] | ITokenizer,
    other: str | os.PathLike[str] | ITokenizer,
    *,
    log: str | os.PathLike[str] | Callable[[dict[str, Any]], object] | None = None,
    sample: float = 1.0,
    log_limit: int = 100_000,
    keep_texts: bool = False,
    seed: int | None = None,
) -> ShadowTokenizer:
    """Return a tokenizer that answers exactly as `name` and records how `other` would differ (`report()`).

    `sample` is the share of texts on which `other` is tried, after the answer and in the caller's thread. `log` is a
    file to which one JSON line per tried text is appended, or a function called with the same facts, for at most
    `log_limit` texts; `keep_texts` puts the texts themselves into it. `seed` makes the choice of texts repeatable.

    Raises: as `tokframe.load` for either; ConfigError for a share outside 0 to 1 or a log that cannot be written.
    """
    problems = []
    if isinstance(sample, bool) or not isinstance(sample, (int, float)) or not 0 <= sample <= 1:
        problems.append(("sample", f"expected a share from 0 to 1, got {sample!r}"))
    if isinstance(log_limit, bool) or not isinstance(log_limit, int) or log_limit < 0:
        problems.append(("log_limit", f"expected a number of lines, 0 or more, got {log_limit!r}"))
    if keep_texts and log is None:
        problems.append(("keep_texts", "texts are kept in the log only; say log=PATH or log=FUNCTION"))
    if isinstance(log, (str, os.PathLike)):
        log = Path(log).absolute()
        try:
            with open(log, "ab"):
                pass
        except OSError as error:
            problems.append(("log", f"{log} cannot be written: {error.strerror or error}"))
    elif log is not None and not callable(log):
        problems.append(("log", f"expected a path or a function, got {type(log).__name__}"))
    if problems:
        raise ConfigError("tokframe.shadow", problems)
    settings = _Settings(sample=sample, log=log, log_limit=log_limit, keep_texts=keep_texts, seed=seed)
    return ShadowTokenizer(_loaded(name), _loaded(other), settings)


class ShadowTokenizer(ITokenizer):
    """Answers as `first`; on a share of the texts encoded it also tries `other` (see `shadow`).

    `encode`, `encode_array`, `encode_bytes`, the batches and streams are recorded (a stream piece by piece); `count`,
    `offsets` and decoding are only answered. Saved, it is the first; pickled, it is a shadow that begins at zero.
    """

    def __init__(self, first: ITokenizer, other: ITokenizer, settings: _Settings) -> None:
        self.first = first
        self.other = other
        self.name = first.name
        vars(self)["capabilities"] = first.capabilities  # this object's, where classes have one for all theirs
        self._settings = settings
        self._random = random.Random(settings.seed)
        self._recorder = Recorder(settings.log, settings.log_limit, settings.keep_texts)

    def report(self) -> ShadowReport:
        """Return what was found since the start or the last `reset()`."""
        return self._recorder.report(self.first.name, self.other.name)

    def reset(self) -> None:
        """Begin to count at zero; the log goes on, up to its limit again."""
        self._recorder.reset()

    # -- answering ------------------------------------------------------------------------------------------

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

    def template(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Return the template of the first."""
        return self.first.template()

    def settled(self, data: bytes) -> int:
        """Return how many leading bytes are settled for the first."""
        return self.first.settled(data)

    def encode_raw(self, data: bytes) -> IntArray:
        """Return the ids of the first, and try the other."""
        started = time.perf_counter()
        ids = self.first.encode_raw(data)
        self._record([data], [ids], time.perf_counter() - started)
        return ids

    def encode_raw_list(self, data: bytes) -> list[int]:
        """Return the ids of the first, and try the other."""
        started = time.perf_counter()
        ids = self.first.encode_raw_list(data)
        self._record([data], [ids], time.perf_counter() - started)
        return ids

    def encode(self, text: str, add_special: bool = True, *, allowed_special: Collection[str] = ()) -> list[int]:
        """Return the ids of the first, and try the other."""
        started = time.perf_counter()
        ids = self.first.encode(text, add_special, allowed_special=allowed_special)
        self._record([text], [ids], time.perf_counter() - started, add_special, allowed=allowed_special)
        return ids

    def encode_array(self, text: str, add_special: bool = True, *, allowed_special: Collection[str] = ()) -> IntArray:
        """Return the ids of the first as an array, and try the other."""
        started = time.perf_counter()
        ids = self.first.encode_array(text, add_special, allowed_special=allowed_special)
        self._record([text], [ids], time.perf_counter() - started, add_special, allowed=allowed_special)
        return ids

    def encode_bytes(self, data: bytes, add_special: bool = True) -> list[int]:
        """Return the ids of the first, and try the other."""
        started = time.perf_counter()
        ids = self.first.encode_bytes(data, add_special)
        self._record([data], [ids], time.perf_counter() - started, add_special)
        return ids

    def encode_batch(
        self,
        texts: Sequence[str],
        add_special: bool = True,
        *,
        max_length: int | None = None,
        threads: int | None = None,
    ) -> list[list[int]]:
        """Return the ids of the first, and try the other with as many threads."""
        started = time.perf_counter()
        rows = self.first.encode_batch(texts, add_special, max_length=max_length, threads=threads)
        seconds = time.perf_counter() - started
        self._record(texts, rows, seconds, add_special, cut=max_length, threads=threads)
        return rows

    def encode_batch_padded(
        self,
        texts: Sequence[str],
        add_special: bool = True,
        *,
        max_length: int | None = None,
        pad_to: int | None = None,
        threads: int | None = None,
    ) -> PaddedBatch:
        """Return ids and mask of the first, and try the other with as many threads."""
        started = time.perf_counter()
        padded = self.first.encode_batch_padded(
            texts, add_special, max_length=max_length, pad_to=pad_to, threads=threads
        )
        seconds = time.perf_counter() - started
        rows = [ids[mask == 1] for ids, mask in zip(padded.ids, padded.mask, strict=True)]
        self._record(texts, rows, seconds, add_special, cut=max_length, threads=threads)
        return padded

    def decode_raw(self, ids: IntArray) -> bytes:
        """Return the bytes of ids of the first."""
        return self.first.decode_raw(ids)

    def decode(self, tokens: Sequence[int] | IntArray, skip_special: bool = True) -> str:
        """Return the text of ids of the first."""
        return self.first.decode(tokens, skip_special)

    def decode_bytes(self, tokens: Sequence[int] | IntArray, skip_special: bool = True) -> bytes:
        """Return the exact bytes of ids of the first."""
        return self.first.decode_bytes(tokens, skip_special)

    def decode_batch(
        self, batch: Iterable[Sequence[int] | IntArray], skip_special: bool = True, *, threads: int | None = None
    ) -> list[str]:
        """Return the texts of ids of the first."""
        return self.first.decode_batch(batch, skip_special, threads=threads)

    def count(self, text: str) -> int:
        """Return how many ids the first gives."""
        return self.first.count(text)

    def offsets(self, text: str) -> Encoding:
        """Return ids and spans of the first."""
        return self.first.offsets(text)

    # -- keeping --------------------------------------------------------------------------------------------

    def state(self) -> State:
        """Return the state of the first: what is saved is no shadow."""
        return self.first.state()

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Raise UnsupportedError: a shadow is made of two tokenizers, by `tokframe.shadow`."""
        raise UnsupportedError("a shadow is made by tokframe.shadow(NAME, OTHER)", capability="from_state")

    def save(self, path: str | Path, *, overwrite: bool = False) -> Path:
        """Save the first. Raises: as it does."""
        return self.first.save(path, overwrite=overwrite)

    def __reduce__(self) -> tuple[Any, ...]:
        settings = self._settings
        if not isinstance(settings.log, Path):  # a function belongs to this process; a file can be shared
            settings = evolve(settings, log=None, keep_texts=False)
        return ShadowTokenizer, (self.first, self.other, settings)

    def __getattr__(self, name: str) -> Any:
        # What only the first's own class has; a name that is looked up before `first` is there is none of its.
        if name.startswith("__") or name == "first":
            raise AttributeError(name)
        return getattr(self.first, name)

    def __repr__(self) -> str:
        return f"<ShadowTokenizer of {self.first!r} trying {self.other!r}>"

    # -- recording ------------------------------------------------------------------------------------------

    def _record(
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
        """Try the other on a share of the texts just answered; whatever goes wrong with it stays in here."""
        share = self._settings.sample
        chosen = [n for n in range(len(texts)) if share >= 1 or self._random.random() < share]
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


def _loaded(name: str | os.PathLike[str] | ITokenizer) -> ITokenizer:
    from tokframe.loading import load

    return name if isinstance(name, ITokenizer) else load(name)


def _spells(tokenizer: ITokenizer, ids: Any, data: bytes) -> bool:
    """Tell whether the first's own ids come back as the text; a fault in that is no reason to fail its caller."""
    try:
        return tokenizer.decode_bytes(ids, False) == data
    except Exception:
        return False


def _unknown(tokenizer: ITokenizer, ids: Any) -> int:
    token = tokenizer.special_tokens.get("<unk>")
    return 0 if token is None else int(np.count_nonzero(np.asarray(ids) == token))
