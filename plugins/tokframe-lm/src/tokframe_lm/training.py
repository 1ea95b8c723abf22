"""Training of a language model on next tokens, with a frozen tokenizer. The run loop is tokframe_torch's."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from attrs import evolve
from tokframe_torch.checkpoint import has_checkpoint
from tokframe_torch.optimizer import Optimizer
from tokframe_torch.processes import Processes, process_group
from tokframe_torch.run import StepRun
from torch import Tensor

import tokframe
from tokframe.corpus.files import Corpus
from tokframe.errors import TrainingError
from tokframe.storage.config import structure, unstructure
from tokframe.storage.paths import named
from tokframe.storage.strictjson import canonical_json
from tokframe.tokenizer.base import ITokenizer
from tokframe.training.interruption import interruptible
from tokframe.training.progress import AUTO, Reporter, shows_progress
from tokframe.training.run_folder import run_folder, without_output
from tokframe.training.torchrun import restarted
from tokframe_lm.data.tokens import TokenFile, tokenize
from tokframe_lm.data.windows import Windows
from tokframe_lm.model.config import LMConfig, config_for, read_config
from tokframe_lm.model.model import LanguageModel, build
from tokframe_lm.storage import FORMAT, SavedModel, fit, load, save

__all__ = ["run_identity", "train"]


@shows_progress
def train(
    tokenizer: str | Path,
    *,
    corpus: Corpus | str | Path | Sequence[str | Path],
    out: str | Path,
    config: Mapping[str, Any] | str | Path | None = None,
    start: str | Path | None = None,
    steps: int | None = None,
    max_bytes: int | None = None,
    seed: int | None = None,
    resume: bool = False,
    overwrite: bool = False,
    reporter: Reporter = AUTO,
    should_stop: Callable[[], bool] | None = None,
    device: str | None = None,
) -> SavedModel:
    """Train a model on a corpus and save it at `out`; checkpoints are in `out` + ".training" until then.

    `config` is JSON data or a file of it; `steps`, `max_bytes` and `seed` take the place of those in it.
    `start` is a saved model to continue from, e.g. one that `migrate` made; its shape replaces the config's.
    Under torchrun all processes train together; only the main one writes, and each returns the model.
    Raises: ConfigError; CorpusError; ArtifactError and its kinds; TrainingError; TrainingInterrupted; without
    `should_stop`, KeyboardInterrupt for Ctrl-C, after a checkpoint.
    """
    out, resume = named(out), resume or restarted()
    place = run_folder(out, FORMAT, resume=resume, overwrite=overwrite, reporter=reporter, resumable=has_checkpoint)
    with interruptible(should_stop) as stop, place as work:
        loaded = tokframe.load(tokenizer)
        given = read_config(config, steps=steps, max_bytes=max_bytes, seed=seed)
        settings = structure(LMConfig, config_for(given, loaded.name, Path(tokenizer).name))
        with process_group(device, work) as processes:
            with processes.main_process_first():
                sha256 = loaded.sha256()
                settings, model = _begin(settings, loaded, sha256, start)
                source = (without_output(corpus, out, reporter), loaded, work / "tokens", sha256, settings.max_bytes)
                tokens = tokenize(*source, reporter=reporter, should_stop=stop)
            model.prepare(torch.from_numpy(tokens.counts(loaded.vocab_size)), new=start is None)
            model.to(processes.device)
            windows = Windows(tokens, settings)
            run = StepRun(
                model,
                _optimizer(model, settings, processes),
                partial(_losses, model, windows, processes),
                steps=windows.steps,
                warmup=settings.warmup,
                checkpoint_every=settings.checkpoint_every,
                tokens=windows.seen,
                workdir=work,
                identity=run_identity(settings, tokens, tokenizer=sha256, start=str(start or "")),
                reporter=reporter,
            )
            run.begin(resume=resume)
            reporter.stage("train", run.steps, "steps")
            run.run(stop)
        result = SavedModel(
            model=model.cpu().eval(),
            tokenizer=loaded,
            sha256=sha256,
            unknown_surfaces=tokens.unknown_surfaces,
            training=_summary(run, model, tokens, windows),
        )
        if processes.main:
            save(result, out, overwrite=overwrite)
    return result


def _begin(
    settings: LMConfig, tokenizer: ITokenizer, sha256: str, start: str | Path | None
) -> tuple[LMConfig, LanguageModel]:
    """Return a new model, or that of `start` in the config of its shape."""
    if start is None:
        return settings, build(settings, tokenizer)
    before = load(start)
    if before.sha256 != sha256:
        raise TrainingError(
            f"{start} was made for tokenizer {before.tokenizer.name!r} of hash {before.sha256[:12]}..., not for "
            f"{tokenizer.name!r} of hash {sha256[:12]}.... Move it over: tokframe lm migrate {shlex.quote(str(start))} "
            f"--from {before.tokenizer.name} --to {tokenizer.name} --out DIR"
        )
    kept = ("d_model", "layers", "heads", "context", "embedding", "head", "head_settings", "min_count")
    shape = {name: getattr(before.model.config, name) for name in kept}
    settings = evolve(settings, **shape, canonical=settings.canonical or before.model.config.canonical)
    model = build(settings, tokenizer)
    fit(model, before.model.state_dict(), str(start))
    return settings, model


def _optimizer(model: LanguageModel, config: LMConfig, processes: Processes) -> Optimizer:
    rows = [*model.embedding.row_parameters(), *model.head.rows()]
    theirs = {id(p) for p in rows}
    rest = [p for p in model.parameters() if id(p) not in theirs]
    return Optimizer(
        {
            "learning_rate": (rest, config.learning_rate),
            "embedding_rate": (rows, config.embedding_rate or config.learning_rate),
        },
        weight_decay=config.weight_decay,
        clip=config.clip,
        processes=processes,
    )


def _losses(
    model: LanguageModel, windows: Windows, processes: Processes, step: int
) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the part of the mean loss of a step's windows, in nats per token, that is this process's."""
    chosen = windows.of(step)
    rows, weight = _share(processes, len(chosen))
    both = torch.from_numpy(windows.read(chosen[rows])).to(processes.device)
    loss = model.loss(both[:, :-1], both[:, 1:]) * weight
    return loss, {"loss": loss}


def _share(processes: Processes, batch: int) -> tuple[slice, float]:
    """Return the rows of a batch that are this process's, and the weight of their mean in the mean of the batch.

    A process without a row, where there are more processes than rows, computes the first one with weight 0.
    """
    rows = processes.share(batch)
    size = rows.stop - rows.start
    return (rows if size else slice(0, 1)), size / batch


def _summary(run: StepRun, model: LanguageModel, tokens: TokenFile, windows: Windows) -> dict[str, Any]:
    """Return the record of the training for model.json."""
    sizes, seen = model.sizes, windows.seen(run.step)
    # 6 per parameter used and token, forward and backward (Kaplan et al., 2020), the output included, not the look-up
    used = sizes["body"] + model.head.parameters_per_token()
    return {
        "steps": run.step,
        "tokens": seen,
        "bytes": round(tokens.bytes * run.step / windows.per_pass),
        "documents": tokens.documents,
        "seconds": round(run.seconds, 2),
        "flops": round(6 * used * seen),
        "parameters": sizes,
        "loss": run.curve,
    }


def run_identity(config: Any, tokens: TokenFile, **more: str) -> str:
    """Return what a resumed run must share with its beginning."""
    shared = {k: v for k, v in unstructure(config).items() if k != "checkpoint_every"}
    return canonical_json({"config": shared, "tokens": len(tokens.ids), "bytes": tokens.bytes, **more}).decode()
