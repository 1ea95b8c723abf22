"""Answering with one tokenizer while another is tried on the same texts: `shadow`.

The answers are the first's own; the trying is in `shadowtrial`, what is counted and logged in `shadowreport`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from attrs import evolve

from tokframe.errors import ConfigError, UnsupportedError
from tokframe.shadowing.report import ShadowReport
from tokframe.shadowing.trial import Trial, TrialSettings
from tokframe.storage.state import State
from tokframe.tokenizer.base import ITokenizer
from tokframe.tokenizer.results import Encoding, IntArray, PaddedBatch

__all__ = ["ShadowTokenizer", "shadow"]


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
    settings = TrialSettings(sample=sample, log=log, log_limit=log_limit, keep_texts=keep_texts, seed=seed)
    return ShadowTokenizer(_loaded(name), _loaded(other), settings)


class ShadowTokenizer(ITokenizer):
    """Answers as `first`; on a share of the texts encoded it also tries `other` (see `shadow`).

    `encode`, `encode_array`, `encode_bytes`, the batches and streams are recorded (a stream piece by piece); `count`,
    `offsets` and decoding are only answered. Saved, it is the first; pickled, it is a shadow that begins at zero.
    """

    def __init__(self, first: ITokenizer, other: ITokenizer, settings: TrialSettings) -> None:
        self.first = first
        self.other = other
        self.name = first.name
        vars(self)["capabilities"] = first.capabilities  # this object's, where classes have one for all theirs
        self._settings = settings
        self._trial = Trial(first, other, settings)

    def report(self) -> ShadowReport:
        """Return what was found since the start or the last `reset()`."""
        return self._trial.report()

    def reset(self) -> None:
        """Begin to count at zero; the log goes on, up to its limit again."""
        self._trial.reset()

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

    def stable_prefix(self, data: bytes) -> int:
        """Return how many leading bytes are stable for the first."""
        return self.first.stable_prefix(data)

    def encode_raw(self, data: bytes) -> IntArray:
        """Return the ids of the first, and try the other."""
        started = time.perf_counter()
        ids = self.first.encode_raw(data)
        self._trial.record([data], [ids], time.perf_counter() - started)
        return ids

    def encode_raw_list(self, data: bytes) -> list[int]:
        """Return the ids of the first, and try the other."""
        started = time.perf_counter()
        ids = self.first.encode_raw_list(data)
        self._trial.record([data], [ids], time.perf_counter() - started)
        return ids

    def encode(self, text: str, add_special: bool = True, *, allowed_special: Collection[str] = ()) -> list[int]:
        """Return the ids of the first, and try the other."""
        started = time.perf_counter()
        ids = self.first.encode(text, add_special, allowed_special=allowed_special)
        self._trial.record([text], [ids], time.perf_counter() - started, add_special, allowed=allowed_special)
        return ids

    def encode_array(self, text: str, add_special: bool = True, *, allowed_special: Collection[str] = ()) -> IntArray:
        """Return the ids of the first as an array, and try the other."""
        started = time.perf_counter()
        ids = self.first.encode_array(text, add_special, allowed_special=allowed_special)
        self._trial.record([text], [ids], time.perf_counter() - started, add_special, allowed=allowed_special)
        return ids

    def encode_bytes(self, data: bytes, add_special: bool = True) -> list[int]:
        """Return the ids of the first, and try the other."""
        started = time.perf_counter()
        ids = self.first.encode_bytes(data, add_special)
        self._trial.record([data], [ids], time.perf_counter() - started, add_special)
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
        self._trial.record(texts, rows, seconds, add_special, cut=max_length, threads=threads)
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
        self._trial.record(texts, rows, seconds, add_special, cut=max_length, threads=threads)
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


def _loaded(name: str | os.PathLike[str] | ITokenizer) -> ITokenizer:
    from tokframe.loading.loading import load

    return name if isinstance(name, ITokenizer) else load(name)
