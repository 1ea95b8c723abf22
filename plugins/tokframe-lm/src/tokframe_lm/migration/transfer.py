"""Transfer of embeddings: each new id as a sparse mixture of old ids, from how the old tokenizer encodes its bytes.

A new id's vector is the mixture of old vectors (Gee et al., 2022, "Fast Vocabulary Transfer": their mean). Pieces
without an old id are mixtures of their neighbors, as in FOCUS (Dobler and de Melo, 2023).
"""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from attrs import field, frozen
from torch import Tensor

from tokframe.errors import ConfigError, UnsupportedError
from tokframe.tokenizer.base import ITokenizer
from tokframe.tokenizer.roles import ROLES, role_of, token_of
from tokframe_lm.migration.neighbors import Neighbors
from tokframe_lm.model.model import start_id

__all__ = ["METHODS", "Mixture", "mix"]

METHODS = ("weighted", "mean")


@frozen(kw_only=True, eq=False)
class Mixture:
    """`rows[new[i]] += share[i] * old_rows[old[i]]`, shares of an id adding up to 1; `kind` is the source of each id.

    Kinds: "copied" from one old id, "averaged" over several, "special" token of the same text or role, "neighbours" of
    a piece that has no old id, and "unknown", which has no source.
    """

    new: np.ndarray
    old: np.ndarray
    share: np.ndarray
    kind: tuple[str, ...] = field(repr=False)

    def of(self, values: Tensor) -> Tensor:
        """Return the mixtures of old values (old ids, ...) -> (new ids, ...); zero for an unknown id."""
        share = torch.from_numpy(self.share).to(values.dtype)
        made = torch.zeros(len(self.kind), *values.shape[1:], dtype=values.dtype)
        parts = values[torch.from_numpy(self.old)] * share.view(-1, *[1] * (values.ndim - 1))
        return made.index_add_(0, torch.from_numpy(self.new), parts)

    @property
    def unknown(self) -> Tensor:
        """Return the ids without a source."""
        return torch.tensor([token for token, kind in enumerate(self.kind) if kind == "unknown"], dtype=torch.int64)


def mix(old: ITokenizer, new: ITokenizer, method: str = "weighted") -> Mixture:
    """Return each id of `new` as a mixture of ids of `old`. Raises: ConfigError for an unknown method.

    "weighted": parts are weighted by their bytes, and parts without an id come from their nearest neighbors.
    "mean": the plain mean of the parts that have an id.
    """
    if method not in METHODS:
        raise ConfigError("migration", [("method", f"{method!r} is not one of {', '.join(METHODS)}")])
    special = _special(old, new)
    weighted = method == "weighted"
    ids = sorted({*range(old.vocab_size)}.difference(old.textless_ids))

    @cache
    def index() -> Neighbors:  # only where a part has no id
        return Neighbors([old.token_bytes(token) for token in ids])

    @cache
    def similar(text: bytes) -> list[tuple[int, float]]:
        return [(ids[place], share) for place, share in index().nearest(text)]

    entries: list[tuple[int, int, float]] = []
    kinds = []
    for token in range(new.vocab_size):
        if token in special:
            same = special[token]
            found = [] if same is None else [(same, 1.0)]
            kinds.append("special" if found else "unknown")
        else:
            parts = _spell(old, new.token_bytes(token))
            known = [(part, float(len(text)) if weighted else 1.0) for part, text in parts if part is not None]
            found = list(known)
            for text in (text for part, text in parts if part is None and weighted):
                found += [(near, share * len(text)) for near, share in similar(text)]
            source = "averaged" if len(parts) > 1 else "copied"
            kinds.append("unknown" if not found else source if known else "neighbours")
        total = sum(weight for _, weight in found)
        entries += [(token, part, weight / total) for part, weight in found]
    return Mixture(
        new=np.array([entry[0] for entry in entries], np.int64),
        old=np.array([entry[1] for entry in entries], np.int64),
        share=np.array([entry[2] for entry in entries], np.float64),
        kind=tuple(kinds),
    )


def _special(old: ITokenizer, new: ITokenizer) -> dict[int, int | None]:
    """Return for each id without text of `new` that of `old` with its text or role; what begins a text has one."""
    known = old.special_tokens
    roles = {role: known[text] for role in ROLES if (text := token_of(role, known))}
    found = {token: known.get(text, roles.get(role_of(text) or "")) for text, token in new.special_tokens.items()}
    if new.unknown_id is not None and found.get(new.unknown_id) is None:
        found[new.unknown_id] = old.unknown_id
    start = start_id(new)
    return {**found, start: start_id(old) if found.get(start) is None else found[start]}


def _spell(old: ITokenizer, data: bytes) -> list[tuple[int | None, bytes]]:
    """Return the old ids that encode `data`, each with its bytes; None for one that hides them, as the unknown id."""
    if old.capabilities.bytes_input:
        ids = old.encode_raw(data).tolist()
        return [(token, old.token_bytes(token)) for token in ids]
    try:
        found = old.offsets(data.decode())
    except (UnicodeDecodeError, UnsupportedError):  # not UTF-8, and the tokenizer accepts only text
        return [(None, data)]
    pieces = [data[start:end] for start, end in found.byte_spans.tolist()]
    return [
        (token if token != old.unknown_id and old.token_bytes(token) == piece else None, piece)
        for token, piece in zip(found.ids.tolist(), pieces, strict=True)
    ]
