"""What runs of a comparison come to: a model judged on a text, ids told apart by how rare they were, seeds averaged."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from attrs import asdict

from tokframe.corpus.files import Corpus
from tokframe_lm.evaluation.bits_per_byte import judge, total
from tokframe_lm.storage import SavedModel

__all__ = ["judged", "seen_counts", "summary"]

_EDGES = (0, 1, 4, 16, 64, 256)  # ids by how often training showed them: from each edge up to before the next


def seen_counts(model: SavedModel, text: Path) -> np.ndarray[Any, Any]:
    """Return how often training showed each id (ids,)."""
    counts = np.zeros(model.tokenizer.vocab_size, np.int64)
    for document in Corpus.open([text]).documents():
        counts += np.bincount(model.tokenizer.encode_array(document, False), minlength=len(counts))
    return counts


def judged(model: SavedModel, corpus: Corpus, max_bytes: int, seen: np.ndarray[Any, Any]) -> dict[str, Any]:
    """Return an evaluation, and what ids cost by how often training showed them."""
    documents = list(judge(model, corpus, max_bytes=max_bytes))
    ids = np.concatenate([document.ids for document in documents])
    bits = np.concatenate([document.nats for document in documents]) / math.log(2)
    lengths = np.asarray([len(model.tokenizer.token_bytes(token)) for token in range(model.tokenizer.vocab_size)])
    lengths[list(model.tokenizer.special_tokens.values())] = 0  # what <unk> hides is not spelt by it
    bins = np.searchsorted(_EDGES, seen[ids], side="right") - 1
    rows = [
        {
            "from": edge,
            "tokens": int((bins == number).sum()),
            "bytes": int(lengths[ids[bins == number]].sum()),
            "bits": float(bits[bins == number].sum()),
        }
        for number, edge in enumerate(_EDGES)
    ]
    return {**asdict(total(documents)), "by_count": rows}


def summary(runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what runs of several seeds have in common, and means and standard deviations of what they have not."""
    first = runs[0]["training"]
    evals = {}
    for name in runs[0]["evals"]:
        values = [run["evals"][name]["bits_per_byte"] for run in runs]
        entry = runs[0]["evals"][name]
        evals[name] = {
            "bits_per_byte": statistics.fmean(values),
            "spread": statistics.stdev(values) if len(values) > 1 else None,
            "bits_per_byte_unknown": entry["bits_per_byte_unknown"],
            "seeds": values,
            "bytes": entry["bytes"],
            "tokens": entry["tokens"],
            "by_count": _mean_by_count([run["evals"][name]["by_count"] for run in runs]),
        }
    return {
        **{key: first[key] for key in ("bytes", "tokens", "steps", "flops", "parameters")},
        "seconds": [run["training"]["seconds"] for run in runs],
        "evals": evals,
    }


def _mean_by_count(runs: Sequence[Sequence[Mapping[str, Any]]]) -> list[dict[str, Any]]:
    return [{**rows[0], "bits": statistics.fmean(row["bits"] for row in rows)} for rows in zip(*runs, strict=True)]
