"""Fine-tuning of a language model with its tokenizer's encoder and decoder; the tokenizer is lossless afterwards.

`loss = LM + lambda * reconstruction` (see `joint`). Then the tokenizer stabilizes its codes, selects the segments that
decode exactly, and compiles and checks its tables; the model keeps the rows of the remaining ids.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from attrs import evolve, field, frozen
from tokframe_torch.checkpoint import has_checkpoint
from tokframe_torch.optimizer import Optimizer
from tokframe_torch.processes import process_group
from tokframe_torch.run import StepRun
from torch import Tensor

from tokframe.corpus.files import Corpus
from tokframe.errors import TrainingError, UnsupportedError
from tokframe.plugins.protocols import Check, Recompilable
from tokframe.storage.config import structure, unstructure
from tokframe.storage.manifest import file_sha256
from tokframe.storage.paths import expanded, named
from tokframe.tokenizer.base import ITokenizer
from tokframe.tokenizer.display import Result, plain
from tokframe.training.interruption import interruptible
from tokframe.training.progress import AUTO, Reporter, shows_progress
from tokframe.training.run_folder import run_folder, without_output
from tokframe.training.torchrun import count
from tokframe_lm.data.tokens import tokenize
from tokframe_lm.data.windows import Windows
from tokframe_lm.finetuning.config import FinetuneConfig
from tokframe_lm.finetuning.joint import JointModel
from tokframe_lm.model.config import read_config
from tokframe_lm.model.model import LanguageModel, build
from tokframe_lm.storage import FORMAT, SavedModel, fit, load, save
from tokframe_lm.training import run_identity

__all__ = ["FineTuned", "FinetuneConfig", "finetune"]


@frozen(kw_only=True, eq=False, repr=False)
class FineTuned(Result):
    """The saved model; numbers of ids `before`, `kept`, and of those `moved` to a new code; the segments `dropped`.

    `checks` are those of `tokframe verify` for the compiled tables.
    """

    model: SavedModel
    before: int
    kept: int
    moved: int
    dropped: tuple[bytes, ...]
    checks: tuple[Check, ...] = field(factory=tuple)

    @property
    def title(self) -> str:
        """What became of the ids."""
        return f"{self.kept:,} of {self.before:,} ids kept, {self.moved:,} with a new code"

    def to_dict(self) -> dict[str, Any]:
        """Return the record of the run, what was dropped and the checks, as JSON data."""
        dropped = [piece.decode(errors="backslashreplace") for piece in self.dropped]
        return plain({**self.model.training["finetuned"], "dropped": dropped, "checks": list(self.checks)})  # type: ignore[no-any-return]


@shows_progress
def finetune(
    model: str | Path,
    *,
    corpus: Corpus | str | Path | Sequence[str | Path],
    out: str | Path,
    config: Mapping[str, Any] | str | Path | None = None,
    reconstruction: float | None = None,
    steps: int | None = None,
    max_bytes: int | None = None,
    seed: int | None = None,
    resume: bool = False,
    overwrite: bool = False,
    reporter: Reporter = AUTO,
    should_stop: Callable[[], bool] | None = None,
    device: str | None = None,
) -> FineTuned:
    """Train the model saved at `model` together with its tokenizer's network; save both at `out`.

    `config` is JSON data or a file of it; the keywords after it take the place of its keys.
    The result is an ordinary model with a `lookup` embedding, into whose rows the encoder's contributions are folded.
    Ids whose segment no longer decodes exactly are dropped with their rows, the others keep their order, and text that
    used them is encoded with other segments, single bytes if need be. Checkpoints are saved at `out` + ".training";
    `resume` continues from there bit for bit.

    Raises: ConfigError; CorpusError; ArtifactError and its kinds; UnsupportedError where the tokenizer has no network;
    TrainingError; TrainingInterrupted; without `should_stop`, KeyboardInterrupt for Ctrl-C, after a checkpoint.
    """
    if count() > 1:
        raise TrainingError(f"fine-tuning runs in one process, not in {count()}. Start it without torchrun")
    out = named(out)
    place = run_folder(out, FORMAT, resume=resume, overwrite=overwrite, reporter=reporter, resumable=has_checkpoint)
    with interruptible(should_stop) as stop, place as work:
        keys = {"reconstruction": reconstruction, "steps": steps, "max_bytes": max_bytes, "seed": seed}
        settings = structure(FinetuneConfig, read_config(config, **keys))
        before = load(model)
        tokenizer = before.tokenizer
        if not isinstance(tokenizer, Recompilable):
            raise UnsupportedError(
                f"{tokenizer.name!r} has no network that could be trained with the model. Train a model on a tokenizer "
                "that has one: tokframe lm train --tokenizer autoencoder-fsq --corpus FILE --out DIR",
                capability="network",
            )
        network = copy.deepcopy(tokenizer.network())
        with process_group(device, work) as processes:
            source = (
                without_output(corpus, out, reporter),
                tokenizer,
                work / "tokens",
                before.sha256,
                settings.max_bytes,
            )
            tokens = tokenize(*source, reporter=reporter, should_stop=stop)
            joint = JointModel(before.model, network, tokenizer).to(processes.device)
            shape = evolve(
                before.model.config, batch=settings.batch, batch_bytes=0, steps=settings.steps, seed=settings.seed
            )
            windows = Windows(tokens, shape)
            groups = {
                "learning_rate": ([*joint.model.parameters(), *joint.project.parameters()], settings.learning_rate),
                "network_rate": (network.parameters(), settings.network_rate),
            }
            # model.json names weights and tokenizer by hash
            sha256 = file_sha256(expanded(model) / "model.json")
            run = StepRun(
                joint,
                Optimizer(groups, weight_decay=settings.weight_decay, clip=settings.clip, processes=processes),
                partial(_losses, joint, windows, settings, joint.coded.cpu().nonzero()[:, 0].numpy()),
                steps=settings.steps,
                warmup=settings.warmup,
                checkpoint_every=settings.checkpoint_every,
                tokens=windows.seen,
                workdir=work,
                identity=run_identity(settings, tokens, model=sha256),
                reporter=reporter,
            )
            run.begin(resume=resume)
            reporter.stage("fine-tune", settings.steps, "steps")
            run.run(stop)
        joint.to("cpu").eval()
        joint.refresh()
        found = tokenizer.recompile(
            joint.network,
            workdir=work / "settle",
            steps=settings.settle_steps,
            learning_rate=settings.settle_rate,
            seed=settings.seed,
            reporter=reporter,
            should_stop=stop,
            device=str(processes.device),
        )
        summary = {
            "steps": run.step,
            "tokens": windows.seen(run.step),
            "seconds": round(run.seconds, 2),
            "lambda": settings.reconstruction,
            "config": unstructure(settings),
            "loss": run.curve,
            "ids": {
                "before": tokenizer.vocab_size,
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
        save(result, out, overwrite=overwrite)
    return FineTuned(
        model=result,
        before=tokenizer.vocab_size,
        kept=len(found.kept),
        moved=found.moved,
        dropped=found.dropped,
        checks=found.checks,
    )


def _losses(
    joint: JointModel, windows: Windows, config: FinetuneConfig, coded: np.ndarray[Any, Any], step: int
) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the loss of a step, and its two parts by name."""
    if step and step % config.refresh == 0:
        joint.refresh()
    both = torch.from_numpy(windows.read(windows.of(step))).to(joint.coded.device)
    draw = np.random.default_rng([config.seed, 1, step])  # ids to reconstruct: seed and step alone decide
    drawn = torch.from_numpy(draw.choice(coded, config.segments)).to(joint.coded.device)
    lm, reconstruction = joint.losses(both[:, :-1], both[:, 1:], drawn)
    return lm + config.reconstruction * reconstruction, {"lm": lm, "reconstruction": reconstruction}


@torch.no_grad()
def _fold(joint: JointModel, tokenizer: ITokenizer, kept: Any, source: str) -> LanguageModel:
    """Return the language model for the ids kept, with the encoder's contributions folded into its rows."""
    trained = joint.model
    after = build(evolve(trained.config, embedding="lookup"), tokenizer)
    rows = torch.from_numpy(np.asarray(kept, np.int64))
    weights = {k: v.clone() for k, v in trained.state_dict().items() if k.startswith("body.")}
    weights["embedding.rows"] = joint.table()[rows]
    if trained.counts is None:
        weights["embedding.bias"] = trained.embedding.bias.detach()[rows]
    else:
        weights["counts"] = trained.counts[rows]
        after.prepare(weights["counts"])
        after.head.take(trained.head)
        weights |= {f"head.{name}": value for name, value in after.head.state_dict().items()}
    fit(after, weights, source)
    return after.eval()
