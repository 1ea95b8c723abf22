"""Migration of a model from one tokenizer to another: a warm start for further training, not yet a good model.

New ids start from mixtures of old ones (`tokframe.tokenizer.transfer`), with calibrated biases (see `calibration`); the
body is copied.
"""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from attrs import evolve, frozen
from torch import Tensor

import tokframe
from tokframe.corpus.files import Corpus
from tokframe.errors import ArtifactCorruptError, ArtifactError, EncodingError
from tokframe.storage.places import disk_errors
from tokframe.tokenizer.display import Result
from tokframe.tokenizer.transfer.mixture import Mixture, mix
from tokframe.training.progress import AUTO, Reporter, shows_progress
from tokframe.training.run_folder import without_output
from tokframe_lm.data.tokens import read_document, tokenize
from tokframe_lm.migration.calibration import calibrate
from tokframe_lm.model.model import LanguageModel, build
from tokframe_lm.storage import FORMAT, SavedModel, load, save

__all__ = ["Migration", "migrate"]


@frozen(kw_only=True, repr=False)
class Migration(Result):
    """Numbers of new ids by the source of their vectors, and how well the embedding expresses those.

    An id is `copied` from one old id, `averaged` over several, a `special` token of the same text or role, made of
    `neighbours` (where no old id spells any of it), or `unknown` and starts from the mean of the old table. `kept` is
    the share of the variance of the vectors that the embedding can express: 1 unless it is factored. `scale` is the
    factor of the body's final norm: 1 without a corpus.
    """

    method: str
    embedding: str
    copied: int
    averaged: int
    special: int
    neighbours: int
    unknown: int
    kept: float
    scale: float


@shows_progress
def migrate(
    model: str | Path,
    *,
    new: str | Path,
    out: str | Path,
    old: str | Path | None = None,
    method: str = "weighted",
    embedding: str = "lookup",
    corpus: Corpus | str | Path | Sequence[str | Path] | None = None,
    max_bytes: int = 0,
    overwrite: bool = False,
    reporter: Reporter = AUTO,
) -> Migration:
    """Convert the model at `model` to the tokenizer `new` and save it at `out`.

    `old` is the tokenizer that the model is expected to have, checked by its hash. `method` is one of
    `mixture.METHODS`. With a `corpus`, of which `max_bytes` are read (0: all), output biases and the final norm are
    calibrated to it; without one, biases are mixed as the vectors are. A decoder head keeps its weights, and the counts
    of ids that it is made for are those of the corpus, or mixed likewise.

    Raises: ArtifactError where the model has another tokenizer than `old`; ArtifactExistsError; UnknownNameError;
    ConfigError for an unknown method; UnsupportedError where the embedding needs codes that `new` lacks, or no model
    can be trained with `new`; ArtifactCorruptError for a model with fewer rows than ids; CorpusError if the corpus
    holds no text.
    """
    with FORMAT.claiming(out, overwrite=overwrite):
        before = load(model)
        if old is not None:
            _check_old(before, old, model)
        tokenizer = tokframe.load(new)
        after = build(evolve(before.model.config, embedding=embedding), tokenizer)
        with suppress(EncodingError):  # of another alphabet
            read_document(tokenizer, "a b")
        rows = before.model.embedding.table().detach()
        if len(rows) < before.tokenizer.vocab_size:
            raise ArtifactCorruptError(
                f"the model embeds {len(rows):,} ids, but its tokenizer has {before.tokenizer.vocab_size:,}",
                file="model.safetensors",
            )
        mixture = mix(before.tokenizer, tokenizer, method)
        after.body.load_state_dict(before.model.body.state_dict())
        scale = 1.0
        with TemporaryDirectory(prefix="tokframe-") as folder, disk_errors(Path(folder)):
            tokens = corpus and tokenize(
                without_output(corpus, out, reporter), tokenizer, Path(folder), "", max_bytes, reporter=reporter
            )
            if before.model.counts is not None:
                counted = tokens.counts(tokenizer.vocab_size) if tokens else mixture.of(before.model.counts.numpy())
                after.prepare(torch.from_numpy(counted))
                after.head.take(before.model.head)
            kept = _embed(after, mixture, rows, before.model.embedding.bias)
            if tokens and after.head.tied:
                scale = calibrate(after, tokens)
        record = {"migrated": {"from": before.tokenizer.name, "from_sha256": before.sha256, "method": method}}
        save(SavedModel(model=after, tokenizer=tokenizer, sha256="", training=record), out, overwrite=overwrite)
    counts = Counter(mixture.kind)
    kinds = ("copied", "averaged", "special", "neighbours", "unknown")
    return Migration(
        method=method,
        embedding=after.config.embedding,
        kept=round(kept, 4),
        scale=scale,
        **{kind: counts[kind] for kind in kinds},
    )


def _check_old(before: SavedModel, old: str | Path, model: str | Path) -> None:
    """Raises: ArtifactError where the hash of the model's tokenizer is not that of the one named."""
    named = tokframe.load(old)
    found = named.sha256()
    if found != before.sha256:
        raise ArtifactError(
            f"{model} has tokenizer {before.tokenizer.name!r} of hash {before.sha256[:12]}..., and --from {old} is "
            f"{named.name!r} of hash {found[:12]}.... Use the model's own: "
            f"--from {shlex.quote(str(Path(model) / 'tokenizer'))}",
            path=model,
        )


@torch.no_grad()
def _embed(model: LanguageModel, mixture: Mixture, rows: Tensor, bias: Tensor | None) -> float:
    """Set the embedding of a model and return the share of the vectors' variance that it expresses."""
    table = torch.from_numpy(mixture.of(rows.numpy()))
    table[mixture.unknown] = rows.mean(0)
    model.embedding.fit(table)
    if bias is not None:
        biases = torch.from_numpy(mixture.of(bias.detach().numpy()))
        biases[mixture.unknown] = bias.min()  # so that an unknown id is not sampled before training
        model.embedding.bias.copy_(biases)
    missing = (model.embedding.table() - table).square().sum()
    return float(1 - missing / (table - table.mean(0)).square().sum().clamp_min(1e-30))
