"""Mixture: each id of a new tokenizer as a sparse mixture of ids of the old, from how the old one encodes its bytes.

A new id's vector is the mixture of old vectors (Gee et al., 2022, "Fast Vocabulary Transfer": their mean). Pieces
without an old id are mixtures of their neighbors, as in FOCUS (Dobler and de Melo, 2023). Vectors are left to
`embeddings`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

import numpy as np
import numpy.typing as npt
from attrs import field, frozen

from tokframe.errors import ConfigError, EncodingError, UnsupportedError
from tokframe.tokenizer.base import ITokenizer
from tokframe.tokenizer.roles import role_of, start_of
from tokframe.tokenizer.transfer.neighbors import Neighbors
from tokframe.tokenizer.transfer.pursuit import pursued

__all__ = ["METHODS", "SIDES", "Floats", "Mixture", "mix"]

METHODS = ("weighted", "mean", "omp")
#: What a matrix is for: vectors that are read, that are predicted, or both.
SIDES = ("tied", "input", "output")
#: Of an input vector a part weighs so much more than the one before it, of an output vector so much less: what a model
#: reads last decides most, and to predict an id is to predict its first part.
_STEP = 4.0
_ROWS = 4096  # of a matrix that are mixed at a time, which bounds memory

Floats = npt.NDArray[np.float32]


@frozen(kw_only=True, eq=False)
class Mixture:
    """`rows[new[i]] += share[i] * old_rows[old[i]]`, in order of `new`; `kind` is the source of each id.

    Kinds: "copied" from one old id, "averaged" over several, "special" token of the same text or role, "neighbours" of
    a piece that has no old id, and "unknown", which has no source. Shares of an id add up to 1, but for "omp".
    """

    new: npt.NDArray[np.int64]
    old: npt.NDArray[np.int64]
    share: npt.NDArray[np.float64]
    kind: tuple[str, ...] = field(repr=False)

    def of(self, values: Floats) -> Floats:
        """Return the mixtures of old values (old ids, ...) -> (new ids, ...); zero for an unknown id."""
        made = np.zeros((len(self.kind), *values.shape[1:]), values.dtype)
        for first in range(0, len(self.kind), _ROWS):
            start, end = np.searchsorted(self.new, [first, first + _ROWS])
            if start == end:
                continue
            share = self.share[start:end].astype(values.dtype).reshape(-1, *[1] * (values.ndim - 1))
            begins = np.flatnonzero(np.diff(self.new[start:end], prepend=-1))
            parts = values[self.old[start:end]] * share
            made[self.new[start:end][begins]] = np.add.reduceat(parts, begins, axis=0)
        return made

    @property
    def unknown(self) -> npt.NDArray[np.int64]:
        """Return the ids without a source."""
        return np.flatnonzero([kind == "unknown" for kind in self.kind])


def mix(old: ITokenizer, new: ITokenizer, method: str = "weighted", side: str = "tied") -> Mixture:
    """Return each id of `new` as a mixture of ids of `old`. Raises: ConfigError for an unknown method or side.

    "weighted": parts are weighted by their bytes, and parts without an id come from their nearest neighbors. For the
    `side` "input" later parts weigh more, for "output" earlier ones. "mean": the plain mean of the parts that have an
    id. "omp": as "weighted", and what has no parts is solved for: the combination of ids that both tokenizers have
    whose own vectors (`new.embed`, or spelling) are nearest to those of the id (orthogonal matching pursuit, as in
    Goddard and Fernandes Neto, 2025).
    """
    for name, value, known in (("method", method, METHODS), ("side", side, SIDES)):
        if value not in known:
            raise ConfigError("migration", [(name, f"{value!r} is not one of {', '.join(known)}")])
    special = _special(old, new)
    guessed: list[int] = []
    entries: list[tuple[int, int, float]] = []
    kinds = []
    ids = sorted({*range(old.vocab_size)}.difference(old.textless_ids))

    @cache
    def index() -> Neighbors:  # only where a part has no id
        return Neighbors([old.token_bytes(token) for token in ids])

    @cache
    def similar(text: bytes) -> list[tuple[int, float]]:
        return [(ids[place], share) for place, share in index().nearest(text)]

    for token in range(new.vocab_size):
        if token in special:
            same = special[token]
            found = [] if same is None else [(same, 1.0)]
            kinds.append("special" if found else "unknown")
        else:
            parts = _spell(old, new.token_bytes(token))
            weigh = _equal if method == "mean" else _weights(side)
            weights = weigh([len(text) for _, text in parts])
            found = [(part, weight) for (part, _), weight in zip(parts, weights, strict=True) if part is not None]
            has_parts = bool(found)
            if method != "mean":
                for (part, text), weight in zip(parts, weights, strict=True):
                    if part is None:
                        found += [(near, share * weight) for near, share in similar(text)]
            source = "averaged" if len(parts) > 1 else "copied"
            kinds.append("unknown" if not found else source if has_parts else "neighbours")
            if not has_parts:
                guessed.append(token)
        total = sum(weight for _, weight in found)
        entries += [(token, part, weight / total) for part, weight in found]
    if method == "omp" and guessed:
        entries, kinds = _solved(new, entries, kinds, guessed)
    return Mixture(
        new=np.array([entry[0] for entry in entries], np.int64),
        old=np.array([entry[1] for entry in entries], np.int64),
        share=np.array([entry[2] for entry in entries], np.float64),
        kind=tuple(kinds),
    )


def _equal(sizes: Sequence[int]) -> list[float]:
    return [1.0] * len(sizes)


def _weights(side: str) -> Callable[[Sequence[int]], list[float]]:
    """Return the weights of parts by their sizes in bytes; a part without any weighs as one of a byte."""
    step = {"tied": 1.0, "input": _STEP, "output": 1 / _STEP}[side]
    return lambda sizes: [max(size, 1) * step**number for number, size in enumerate(sizes)]


def _solved(
    new: ITokenizer, entries: list[tuple[int, int, float]], kinds: list[str], guessed: list[int]
) -> tuple[list[tuple[int, int, float]], list[str]]:
    """Return entries and kinds with the `guessed` ids as combinations of ids that both tokenizers have."""
    old_of = {token: part for token, part, _ in entries if kinds[token] == "copied"}
    if not old_of:
        return entries, kinds
    common = np.array(list(old_of), np.int64)
    chosen, share = pursued(new, common, np.array(guessed, np.int64))
    solved = {
        token: [(token, old_of[int(common[place])], float(value)) for place, value in zip(places, values, strict=True)]
        for token, places, values in zip(guessed, chosen, share, strict=True)
        if values.any()
    }
    by_id: dict[int, list[tuple[int, int, float]]] = {}
    for entry in entries:
        by_id.setdefault(entry[0], []).append(entry)
    by_id |= solved
    kinds = ["neighbours" if token in solved else kind for token, kind in enumerate(kinds)]
    return [entry for token in sorted(by_id) for entry in by_id[token]], kinds


def _special(old: ITokenizer, new: ITokenizer) -> dict[int, int | None]:
    """Return for each id without text of `new` that of `old` with its text or role; what begins a text has one."""
    known = old.special_tokens
    roles = {role: known[text] for role, text in old.special_roles.items()}
    mine = {text: role for role, text in new.special_roles.items()}
    found = {
        token: known.get(text, roles.get(mine.get(text) or role_of(text) or ""))
        for text, token in new.special_tokens.items()
    }
    if new.unknown_id is not None and found.get(new.unknown_id) is None:
        found[new.unknown_id] = old.unknown_id
    first, start = (
        start_of(tok.special_tokens, tok.special_roles, tok.template()[0], tok.unknown_id) for tok in (old, new)
    )
    if start is not None and found.get(start) is None:
        found[start] = first
    return found


def _spell(old: ITokenizer, data: bytes) -> list[tuple[int | None, bytes]]:
    """Return the old ids that encode `data`, each with its bytes; None for one that hides them, as the unknown id.

    What the old tokenizer leaves out, as white space, or makes another, as capitals, is not missed.
    """
    if old.capabilities.bytes_input:
        ids = old.encode_raw(data).tolist()
        return [(token, old.token_bytes(token)) for token in ids]
    try:
        found = old.offsets(data.decode())
    except (UnicodeDecodeError, UnsupportedError, EncodingError):  # not UTF-8, and the tokenizer accepts only text
        return [(None, data)]
    hidden = old.textless_ids
    pieces = [
        (None if token in hidden else token, data[start:end])
        for token, (start, end) in zip(found.ids.tolist(), found.byte_spans.tolist(), strict=True)
    ]
    return pieces or [(None, data)]
