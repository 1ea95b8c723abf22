"""Fine-tuning of a language model with its tokenizer's encoder and decoder; the tokenizer is lossless afterwards.

`loss = LM + lambda * reconstruction` (see `joint`). Then the tokenizer stabilizes its codes, selects the segments that
decode exactly, and compiles and checks its tables; the model keeps the rows of the remaining ids.
"""

from __future__ import annotations

import copy
import hashlib
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from attrs import evolve, field, frozen
from tokframe_torch.processes import process_group

from tokframe.corpus.files import Corpus
from tokframe.errors import TrainingError, UnsupportedError
from tokframe.plugins.protocols import Check, Recompilable
from tokframe.storage.config import structure, unstructure
from tokframe.storage.strictjson import canonical_json
from tokframe.tokenizer.base import ITokenizer
from tokframe.training.progress import Reporter, SilentReporter
from tokframe.training.torchrun import count
from tokframe_lm.data.tokens import TokenFile, tokenize
from tokframe_lm.finetuning.config import FinetuneConfig
from tokframe_lm.finetuning.joint import JointModel
from tokframe_lm.finetuning.run import joint_run, joint_summary
from tokframe_lm.model.model import LanguageModel, build
from tokframe_lm.storage import FORMAT, SavedModel, fit, load, save

__all__ = ["FineTuned", "FinetuneConfig", "finetune"]


@frozen(kw_only=True, eq=False)
class FineTuned:
    """The saved model; numbers of ids `before`, `kept`, and of those `moved` to a new code; the segments `dropped`.

    `checks` are those of `tokframe verify` for the compiled tables.
    """

    model: SavedModel
    before: int
    kept: int
    moved: int
    dropped: tuple[bytes, ...]
    checks: tuple[Check, ...] = field(factory=tuple)


def finetune(
    model: str | Path,
    *,
    corpus: Corpus,
    out: str | Path,
    config: Mapping[str, Any] | None = None,
    resume: bool = False,
    overwrite: bool = False,
    reporter: Reporter | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    device: str | None = None,
) -> FineTuned:
    """Train the model saved at `model` together with its tokenizer's network; save both at `out`.

    The result is an ordinary model with a `lookup` embedding, into whose rows the encoder's contributions are folded.
    Ids whose segment no longer decodes exactly are dropped with their rows, the others keep their order, and text that
    used them is encoded with other segments, single bytes if need be. Checkpoints are saved at `out` + ".training";
    `resume` continues from there bit for bit.

    Raises: ConfigError; CorpusError; ArtifactError and its kinds; UnsupportedError where the tokenizer has no network;
    TrainingError; TrainingInterrupted.
    """
    if count() > 1:
        raise TrainingError(f"fine-tuning runs in one process, not in {count()}. Start it without torchrun")
    target = Path(out)
    settings = structure(FinetuneConfig, config or {})
    FORMAT.check_place(target, overwrite=overwrite)
    before = load(model)
    tokenizer = before.tokenizer
    if not isinstance(tokenizer, Recompilable):
        raise UnsupportedError(
            f"{tokenizer.name!r} has no network that could be trained with the model. Train a model on a tokenizer "
            "that has one: tokframe lm train --tokenizer autoencoder-fsq --corpus FILE --out DIR",
            capability="network",
        )
    network = copy.deepcopy(tokenizer.network())
    reporter = reporter or SilentReporter()
    work = target.with_name(target.name + ".training")
    with process_group(device, work) as processes:
        tokens = tokenize(
            corpus,
            before.tokenizer,
            work / "tokens",
            sha256=before.sha256,
            max_bytes=settings.max_bytes,
            reporter=reporter,
            should_stop=should_stop,
        )
        joint = JointModel(before.model, network, before.tokenizer)
        identity = _identity(settings, Path(model), tokens)
        run = joint_run(
            joint, settings, tokens, workdir=work, identity=identity, reporter=reporter, processes=processes
        )
        run.begin(resume=resume, required=resume)
        if not resume:
            shutil.rmtree(work / "settle", ignore_errors=True)  # of an earlier run at this place
        reporter.stage("fine-tune", settings.steps, "steps")
        run.run(should_stop)
    joint.to("cpu").eval()
    joint.refresh()
    found = tokenizer.recompile(
        joint.network,
        workdir=work / "settle",
        steps=settings.settle_steps,
        learning_rate=settings.settle_rate,
        seed=settings.seed,
        reporter=reporter,
        should_stop=should_stop,
        device=str(processes.device),
    )
    summary = joint_summary(run, settings) | {
        "ids": {
            "before": before.tokenizer.vocab_size,
            "kept": len(found.kept),
            "dropped": len(found.dropped),
            "codes_moved": found.moved,
        },
        "settle_steps": found.steps,
        "from_sha256": before.sha256,
    }
    result = SavedModel(
        model=_fold(joint, found.tokenizer, found.kept, str(model)),
        tokenizer=found.tokenizer,
        sha256="",
        unknown_surfaces=before.unknown_surfaces,
        training={**before.training, "finetuned": summary},
    )
    save(result, target, overwrite=overwrite)
    shutil.rmtree(work, ignore_errors=True)  # nothing in it is needed any more
    return FineTuned(
        model=result,
        before=before.tokenizer.vocab_size,
        kept=len(found.kept),
        moved=found.moved,
        dropped=found.dropped,
        checks=found.checks,
    )


@torch.no_grad()
def _fold(joint: JointModel, tokenizer: ITokenizer, kept: Any, source: str) -> LanguageModel:
    """Return the language model for the ids kept, with the encoder's contributions folded into its rows."""
    trained = joint.model
    after = build(evolve(trained.config, embedding="lookup"), tokenizer)
    rows = torch.from_numpy(np.asarray(kept, np.int64))
    weights = {k: v.clone() for k, v in trained.state_dict().items() if k.startswith("body.")}
    weights |= {"embedding.rows": joint.table()[rows], "embedding.bias": trained.embedding.bias.detach()[rows]}
    fit(after, weights, source)
    return after.eval()


def _identity(config: FinetuneConfig, model: Path, tokens: TokenFile) -> str:
    """Return what a resumed run must share with its beginning; model.json names weights and tokenizer by hash."""
    known = {
        "config": {k: v for k, v in unstructure(config).items() if k != "checkpoint_every"},
        "model": hashlib.sha256((model / "model.json").read_bytes()).hexdigest(),
        "tokens": len(tokens.ids),
        "bytes": tokens.bytes,
    }
    return canonical_json(known).decode()
