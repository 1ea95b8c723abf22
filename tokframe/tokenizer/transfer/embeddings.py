"""convert_embeddings: a model's matrix of vectors, a row for each id, carried from one tokenizer to another.

Which old ids a new one is made of is left to `mixture`.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from attrs import frozen

from tokframe.errors import ConfigError
from tokframe.tokenizer.base import ITokenizer
from tokframe.tokenizer.display import Result
from tokframe.tokenizer.transfer.mixture import mix

if TYPE_CHECKING:
    import torch

__all__ = ["Conversion", "convert_embeddings"]

Matrix = TypeVar("Matrix", "np.ndarray[Any, Any]", "torch.Tensor")

_SOURCES = {
    "copied": "copied",
    "special": "copied",
    "averaged": "composed",
    "neighbours": "guessed",
    "unknown": "guessed",
}


@frozen(kw_only=True, repr=False)
class Conversion(Result):
    """Where the rows of a converted matrix come from: numbers of new ids, and their shares of a text.

    `copied` from one old id, special tokens of the same text or role included; `composed` of several; `guessed` from
    ids that are alike, or the mean of all. `*_share` is the share of tokens (0 to 1) by the counts given; None without.
    """

    method: str
    side: str
    copied: int
    composed: int
    guessed: int
    copied_share: float | None = None
    composed_share: float | None = None
    guessed_share: float | None = None


def convert_embeddings(
    old: ITokenizer,
    new: ITokenizer,
    matrix: Matrix,
    *,
    method: str = "weighted",
    counts: Any = None,
    side: str = "tied",
) -> tuple[Matrix, Conversion]:
    """Return a matrix for the ids of `new` (new ids, ...) made of one for those of `old` (old ids, ...), and a report.

    `matrix` is a numpy array or a torch tensor; the result has its type, precision and device. It may be vectors or
    biases. `method` is "weighted" (parts by their bytes), "mean", or "omp" (see `mixture.mix`). `side` says what it is
    for: "input" vectors, "output" vectors, or both ("tied"). `counts` (new ids,) is how often a text has each new id,
    for the shares in the report.

    Raises: ConfigError with all problems: another number of rows than `old` has ids, rows that are not finite, counts
    of another size, an unknown method or side.
    """
    is_torch = type(matrix).__module__.partition(".")[0] == "torch"
    torch = sys.modules["torch"] if is_torch else None
    given: Any = matrix
    rows: np.ndarray[Any, Any] = np.asarray(given) if torch is None else given.detach().to("cpu", torch.float32).numpy()
    times = None if counts is None else np.asarray(counts)
    problems = [*_problems(old, rows)]
    if times is not None and (times.shape != (new.vocab_size,) or not np.issubdtype(times.dtype, np.number)):
        problems.append(("counts", f"has the shape {times.shape}, and {_called(new)} has {new.vocab_size:,} ids"))
    elif times is not None and not (np.isfinite(times).all() and (times >= 0).all()):
        problems.append(("counts", "holds a count that is none; each is a number from 0"))
    if problems:
        raise ConfigError("tokframe.convert_embeddings", problems)
    mixture = mix(old, new, method, side)
    made = mixture.of(rows.astype(np.float32, copy=False))
    made[mixture.unknown] = rows.mean(0, dtype=np.float32)
    sources = np.array([_SOURCES[kind] for kind in mixture.kind])
    found: dict[str, Any] = {name: int((sources == name).sum()) for name in ("copied", "composed", "guessed")}
    if times is not None and times.sum():
        found |= {f"{name}_share": float(times[sources == name].sum() / times.sum()) for name in tuple(found)}
    converted: Any = made.astype(rows.dtype) if torch is None else torch.from_numpy(made).to(given)
    return converted, Conversion(method=method, side=side, **found)


def _problems(old: ITokenizer, rows: Any) -> list[tuple[str, str]]:
    """Return what keeps an array from being one of vectors of the old ids."""
    if rows.ndim not in (1, 2) or not np.issubdtype(rows.dtype, np.floating):
        return [("matrix", f"expected vectors (ids, d) or biases (ids,) of floats, got {rows.shape} of {rows.dtype}")]
    if len(rows) != old.vocab_size:
        size = old.vocab_size
        more = f". If the last are padding, give matrix[:{size}]" if len(rows) > size else ""
        what = "It belongs to another tokenizer" if len(rows) < size else "It may belong to another tokenizer"
        return [("matrix", f"has {len(rows):,} rows, and {_called(old)} has {size:,} ids. {what}{more}")]
    finite = np.isfinite(rows) if rows.ndim == 1 else np.isfinite(rows).all(1)
    if not finite.all():
        wrong = np.flatnonzero(~finite)
        first = int(wrong[0])
        return [
            (
                "matrix",
                f"has {len(wrong):,} rows that are not finite numbers, the first that of id {first} "
                f"({old.token_bytes(first)!r:.60}). Restore them, or set them to the mean of the others",
            )
        ]
    return []


def _called(tokenizer: ITokenizer) -> str:
    return repr(tokenizer.name or type(tokenizer).__name__)
