"""Summaries of a comparison: evaluation by frequency of ids, mean and spread over seeds."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from attrs import asdict

from tokframe.corpus.files import Corpus
from tokframe_lm.evaluation.bits_per_byte import score_documents, summarize
from tokframe_lm.storage import SavedModel

__all__ = ["evaluation_by_count", "summary", "training_counts"]

_EDGES = (0, 1, 4, 16, 64, 256)  # lower bounds of ranges of id counts in the training text


def training_counts(model: SavedModel, text: Path) -> np.ndarray[Any, Any]:
    """Return the count of each id in the training text (ids,)."""
    counts = np.zeros(model.tokenizer.vocab_size, np.int64)
    for document in Corpus.open([text]).documents():
        counts += np.bincount(model.tokenizer.encode_array(document, False), minlength=len(counts))
    return counts


def evaluation_by_count(
    model: SavedModel, corpus: Corpus, max_bytes: int, counts: np.ndarray[Any, Any]
) -> dict[str, Any]:
    """Return an evaluation, and the bits of ids by their `counts` (ids,) in the training text."""
    scored = list(score_documents(model, corpus, max_bytes=max_bytes))
    ids = np.concatenate([one.document.ids for one in scored])
    bits = np.concatenate([one.nll for one in scored]) / math.log(2)
    lengths = np.asarray([len(model.tokenizer.token_bytes(token)) for token in range(model.tokenizer.vocab_size)])
    lengths[list(model.tokenizer.textless_ids)] = 0  # the text behind the unknown id is charged separately
    bins = np.searchsorted(_EDGES, counts[ids], side="right") - 1
    rows = [
        {
            "from": edge,
            "tokens": int((bins == number).sum()),
            "bytes": int(lengths[ids[bins == number]].sum()),
            "bits": float(bits[bins == number].sum()),
        }
        for number, edge in enumerate(_EDGES)
    ]
    return {**asdict(summarize(scored)), "by_count": rows}


def summary(runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the sizes that runs of several seeds share, and means and standard deviations of their results."""
    first = runs[0]["training"]
    evals = {}
    for name in runs[0]["evals"]:
        values = [run["evals"][name]["bits_per_byte"] for run in runs]
        entry = runs[0]["evals"][name]
        by_count = zip(*(run["evals"][name]["by_count"] for run in runs), strict=True)
        evals[name] = {
            "bits_per_byte": statistics.fmean(values),
            "spread": statistics.stdev(values) if len(values) > 1 else None,
            "bits_per_byte_unknown": entry["bits_per_byte_unknown"],
            "seeds": values,
            "bytes": entry["bytes"],
            "tokens": entry["tokens"],
            "by_count": [{**rows[0], "bits": statistics.fmean(row["bits"] for row in rows)} for rows in by_count],
        }
    return {
        **{key: first[key] for key in ("bytes", "tokens", "steps", "flops", "parameters")},
        "seconds": [run["training"]["seconds"] for run in runs],
        "evals": evals,
    }
