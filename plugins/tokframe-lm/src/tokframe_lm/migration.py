"""A model moved from one tokenizer to another: a warm start for training on, not yet a good model.

Each new id begins as the mean of the old rows of the old ids that spell its bytes; the body is kept as it is.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from attrs import evolve, frozen

import tokframe
from tokframe.errors import ArtifactCorruptError, ArtifactError, UnsupportedError
from tokframe.interfaces import ITokenizer
from tokframe_lm import saved
from tokframe_lm.model import build

__all__ = ["Migration", "migrate"]


@frozen(kw_only=True)
class Migration:
    """How many new ids were copied (spelt by one old id), averaged over several, kept as special tokens, or have
    no old id that spells anything of them and begin as the mean of the old table.
    """

    copied: int
    averaged: int
    special: int
    unknown: int


def migrate(
    model: str | Path, *, old: str | Path, new: str | Path, out: str | Path, overwrite: bool = False
) -> Migration:
    """Write at `out` the model at `model` for the tokenizer `new`; its embedding is `lookup`.

    `old` is the tokenizer that the model is believed to have. Raises: ArtifactError where it has another;
    ArtifactExistsError; UnknownNameError; ArtifactCorruptError if a size does not come out right.
    """
    saved.check_place(out, overwrite=overwrite)
    before = saved.load(model)
    _check_old(before, old, model)
    tokenizer = tokframe.load(new)
    config = evolve(before.model.config, embedding="lookup")
    after = build(config, tokenizer)
    rows, bias = before.model.embedding.table().detach(), before.model.embedding.bias.detach()
    table, biases, counts = _rows(before.tokenizer, tokenizer, rows, bias)
    weights = {name: tensor for name, tensor in before.model.state_dict().items() if name.startswith("body.")}
    weights |= {"embedding.rows": table, "embedding.bias": biases}
    saved.fit(after, weights, str(model))
    record: dict[str, Any] = {"migrated": {"from": before.tokenizer.name, "from_sha256": before.sha256}}
    saved.save(saved.SavedModel(model=after, tokenizer=tokenizer, sha256="", training=record), out, overwrite=overwrite)
    return counts


def _check_old(before: saved.SavedModel, old: str | Path, model: str | Path) -> None:
    """Raises: ArtifactError where the model's tokenizer is another than the one named."""
    from tokframe.folders import temporary_sibling

    if before.tokenizer.name == old:
        return
    named = tokframe.load(old)
    with temporary_sibling(Path(model).resolve()) as folder:
        found = saved.tokenizer_hash(named.save(folder / "tokenizer"))
    if found != before.sha256:
        raise ArtifactError(
            f"{model} has tokenizer {before.tokenizer.name!r} of hash {before.sha256[:12]}..., and --from {old} is "
            f"{named.name!r} of hash {found[:12]}.... Say --from {before.tokenizer.name}",
            path=model,
        )


def _rows(
    old: ITokenizer, new: ITokenizer, rows: torch.Tensor, bias: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, Migration]:
    """Return rows and biases of all new ids."""
    if len(rows) < old.vocab_size:
        raise ArtifactCorruptError(
            f"the model embeds {len(rows):,} ids, but its tokenizer has {old.vocab_size:,}", file="model.safetensors"
        )
    nothing = old.special_tokens.get("<unk>")
    table = rows.mean(0).repeat(new.vocab_size, 1)
    # An id nothing is known of should not be drawn before training has seen it.
    biases = torch.full((new.vocab_size,), float(bias.min()))
    special = {token: old.special_tokens.get(text) for text, token in new.special_tokens.items()}
    counts = {"copied": 0, "averaged": 0, "special": 0, "unknown": 0}
    for token in range(new.vocab_size):
        if token in special:
            spelt = [] if special[token] is None else [special[token]]
            kind = "special"
        else:
            spelt = [part for part in _spell(old, new.token_bytes(token)) if part != nothing]
            kind = "copied" if len(spelt) == 1 else "averaged"
        if spelt:
            parts = torch.from_numpy(np.asarray(spelt, np.int64))
            table[token], biases[token] = rows[parts].mean(0), bias[parts].mean()
        counts[kind if spelt else "unknown"] += 1
    return table, biases, Migration(**counts)


def _spell(old: ITokenizer, data: bytes) -> list[int]:
    try:
        ids: list[int] = old.encode_raw(data).tolist()
    except UnsupportedError:  # bytes that are no text, and an old tokenizer that takes only text
        return []
    return ids
