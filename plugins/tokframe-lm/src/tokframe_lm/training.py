"""Phase 2: next-token training with the tokenizer frozen, in one process or several, and resuming bit for bit."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from attrs import evolve
from torch import Tensor, nn

import tokframe
from tokframe.corpus.files import Corpus
from tokframe.errors import TrainingError, TrainingInterrupted
from tokframe.storage import artifact
from tokframe.storage.config import structure, unstructure
from tokframe.storage.strictjson import canonical_json
from tokframe.tokenizer.base import ITokenizer
from tokframe.training.progress import Reporter, SilentReporter
from tokframe.training.torchrun import restarted
from tokframe_lm import checkpoint
from tokframe_lm import storage as saved
from tokframe_lm.data.tokens import TokenFile, tokenize
from tokframe_lm.data.windows import Windows
from tokframe_lm.model.config import LMConfig
from tokframe_lm.model.model import LanguageModel, build
from tokframe_lm.processes import Processes, joined

__all__ = ["train"]

_POINTS = 200  # points kept of the loss curve


def train(
    tokenizer: str | Path,
    *,
    corpus: Corpus,
    out: str | Path,
    config: Mapping[str, Any] | None = None,
    start: str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    reporter: Reporter | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    device: str | None = None,
) -> saved.SavedModel:
    """Train a model on a corpus and save it at `out`; checkpoints are kept at `out` + ".training" until then.

    `start` is a saved model whose weights are gone on from, e.g. one that `migrate` made; its shape counts then.
    Under torchrun all processes train together; the first alone writes, and each returns the model.
    Raises: ConfigError; CorpusError; ArtifactError and its kinds; TrainingError; TrainingInterrupted.
    """
    target = Path(out)
    saved.check_place(target, overwrite=overwrite)
    reporter = reporter or SilentReporter()
    work = target.with_name(target.name + ".training")
    settings = structure(LMConfig, config or {})
    loaded = tokframe.load(tokenizer)
    with joined(device, work) as processes:
        with processes.first_goes_first():
            sha256 = _keep_tokenizer(loaded, work, processes.first)
            settings, model = _begin(settings, loaded, sha256, start)
            tokens = tokenize(
                corpus,
                loaded,
                work / "tokens",
                sha256=sha256,
                max_bytes=settings.max_bytes,
                reporter=reporter,
                should_stop=should_stop,
            )
        counts = tokens.counts(loaded.vocab_size)
        if start is None and settings.bias == "frequencies":
            model.embedding.begin_at(counts)
        model.embedding.learn_own(counts >= settings.min_count)
        run = _Run(model, settings, tokens, work, _identity(settings, sha256, start, tokens), processes)
        if resume or (restarted() and (work / checkpoint.RECORD).is_file()):
            run.restore()
        run.go(reporter, should_stop)
    result = saved.SavedModel(
        model=model.cpu().eval(), tokenizer=loaded, sha256=sha256, hidden=tokens.hidden, training=run.summary()
    )
    if processes.first:
        saved.save(result, target, overwrite=overwrite)
        shutil.rmtree(work, ignore_errors=True)  # all that counts is in the model folder now
    return result


def _begin(
    settings: LMConfig, tokenizer: ITokenizer, sha256: str, start: str | Path | None
) -> tuple[LMConfig, LanguageModel]:
    """Return a new model, or that of `start` in the config of its shape."""
    if start is None:
        return settings, build(settings, tokenizer)
    before = saved.load(start)
    if before.sha256 != sha256:
        raise TrainingError(
            f"{start} was made for tokenizer {before.tokenizer.name!r} of hash {before.sha256[:12]}..., not for "
            f"{tokenizer.name!r} of hash {sha256[:12]}.... Move it over: tokframe lm migrate {start} "
            f"--from {before.tokenizer.name} --to {tokenizer.name} --out DIR"
        )
    shape = {name: getattr(before.model.config, name) for name in ("d_model", "layers", "heads", "embedding")}
    canonical = settings.canonical or before.model.config.canonical
    settings = evolve(settings, **shape, context=before.model.config.context, canonical=canonical)
    model = build(settings, tokenizer)
    model.take(before.model)
    return settings, model


class _Loss(nn.Module):
    """The loss as a module's forward pass, which is what can be spread over processes."""

    def __init__(self, model: LanguageModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, ids: Tensor, targets: Tensor) -> Tensor:
        return self.model.loss(ids, targets)


class _Run:
    """One training run: where it stands, and how it is kept."""

    def __init__(
        self,
        model: LanguageModel,
        config: LMConfig,
        tokens: TokenFile,
        work: Path,
        identity: str,
        processes: Processes,
    ) -> None:
        self.model, self.config, self.tokens, self.work = model.to(processes.device), config, tokens, work
        self.identity, self.processes = identity, processes
        self.loss: nn.Module = _Loss(model)
        self.windows = Windows(tokens, config)
        self.steps = self.windows.steps
        self.step = 0
        self.seconds = 0.0
        self.curve: list[list[float]] = []
        self._sum, self._count = 0.0, 0
        rows = [p for p in model.embedding.parameters() if p.ndim > 1]
        weights = [p for name, p in model.named_parameters() if p.ndim > 1 and not name.startswith("embedding.")]
        others = [p for p in model.parameters() if p.ndim <= 1]
        rate, decay = config.learning_rate, config.weight_decay
        groups = [
            {"params": rows, "weight_decay": decay, "rate": config.embedding_rate or rate},
            {"params": weights, "weight_decay": decay, "rate": rate},
            {"params": others, "weight_decay": 0.0, "rate": rate},
        ]
        self.optimizer = torch.optim.AdamW(groups, lr=config.learning_rate, betas=(0.9, 0.95))

    def go(self, reporter: Reporter, should_stop: Callable[[], bool]) -> None:
        """Take the steps that are left. Raises: TrainingInterrupted, a checkpoint kept."""
        self.model.train()
        self.loss = self.processes.prepare(self.loss)
        reporter.stage("train", self.steps, "steps")
        every = max(1, self.steps // _POINTS)
        while self.step < self.steps:
            started = time.monotonic()
            loss = self._take_step()
            self.seconds += time.monotonic() - started
            if not math.isfinite(loss):
                raise TrainingError(
                    f"the loss is {loss} after step {self.step}: training has come apart. Say a smaller "
                    f'"learning_rate" than {self.config.learning_rate} in the config'
                )
            self._sum, self._count = self._sum + loss, self._count + 1
            if self.step % every == 0 or self.step == self.steps:
                self.curve.append([self.step, round(self._sum / self._count, 5)])
                self._sum, self._count = 0.0, 0
            reporter.advance(self.step, loss=loss, tokens_per_s=self._tokens / self.seconds if self.seconds else 0.0)
            if self.processes.any(should_stop()) and self.step < self.steps:
                self.keep()
                raise TrainingInterrupted(
                    f"stopped after step {self.step} of {self.steps}; a checkpoint is kept in {self.work}",
                    checkpoint=self.work,
                )
            if self.step % self.config.checkpoint_every == 0 and self.step < self.steps:
                self.keep()

    def summary(self) -> dict[str, Any]:
        """Return what the model folder says of its training."""
        sizes = self.model.sizes
        # 6 per parameter used and token, forward and backward (Kaplan et al., 2020); the output counts, looking up not
        used = sizes.body + self.model.embedding.vocab_size * self.config.d_model
        return {
            "steps": self.step,
            "tokens": self._tokens,
            "bytes": round(self.tokens.bytes * self.step / self.windows.per_pass),
            "documents": self.tokens.documents,
            "seconds": round(self.seconds, 2),
            "flops": 6 * used * self._tokens,
            "parameters": {"embedding": sizes.embedding, "body": sizes.body},
            "loss": self.curve,
        }

    def keep(self) -> None:
        """Write a checkpoint, in the first process. Raises: TrainingError."""
        if not self.processes.first:
            return
        record = {
            "run": self.identity,
            "seconds": self.seconds,
            "curve": self.curve,
            "pending": [self._sum, self._count],
        }
        checkpoint.write(self.work, self.step, checkpoint.state(self.model, self.optimizer), record)

    def restore(self) -> None:
        """Go back to the checkpoint. Raises: TrainingError if there is none, or one of another run."""
        tensors, record = checkpoint.read(self.work, self.identity)
        try:
            checkpoint.load_state(tensors, self.model, self.optimizer, self.processes.device)
            self.step, self.seconds, self.curve = record["step"], record["seconds"], record["curve"]
            self._sum, self._count = record["pending"]
        except (ValueError, KeyError, TypeError, RuntimeError) as error:
            raise checkpoint.unreadable(self.work, error) from error

    @property
    def _tokens(self) -> int:
        return self.windows.seen(self.step)

    def _take_step(self) -> float:
        for group in self.optimizer.param_groups:
            group["lr"] = group["rate"] * self._share()
        ids, targets, weight = self._batch()
        loss = self.loss(ids, targets) * weight
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip)
        self.optimizer.step()
        self.step += 1
        return self.processes.mean(loss.detach())

    def _share(self) -> float:
        """Return how much of the learning rates counts: up in a line, then down in half a cosine to a tenth."""
        rise = max(1, round(self.config.warmup * self.steps))
        if self.step < rise:
            return (self.step + 1) / rise
        share = (self.step - rise) / max(1, self.steps - rise)
        return 0.1 + 0.45 * (1 + math.cos(math.pi * share))

    def _batch(self) -> tuple[Tensor, Tensor, float]:
        """Return this process's part of the step's windows, as ids and targets, and the weight of their loss."""
        chosen = self.windows.of(self.step)
        rows, weight = self.processes.share(len(chosen))
        both = torch.from_numpy(self.windows.read(chosen[rows])).to(self.processes.device)
        return both[:, :-1], both[:, 1:], weight


def _keep_tokenizer(tokenizer: ITokenizer, work: Path, first: bool) -> str:
    """Have the tokenizer saved beside the checkpoints; return its hash, which is that of the saved form."""
    place = work / "tokenizer"
    if first:
        work.mkdir(parents=True, exist_ok=True)
        tokenizer.save(place, overwrite=place.exists())
    return artifact.tokenizer_sha256(place)


def _identity(config: LMConfig, sha256: str, start: str | Path | None, tokens: TokenFile) -> str:
    """Return what must be the same for a run to be gone on with."""
    known = {
        "config": {k: v for k, v in unstructure(config).items() if k != "checkpoint_every"},
        "tokenizer": sha256,
        "start": str(start or ""),
        "tokens": len(tokens.ids),
        "bytes": tokens.bytes,
    }
    return canonical_json(known).decode()
