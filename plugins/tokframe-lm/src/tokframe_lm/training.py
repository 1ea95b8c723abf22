"""Phase 2: next-token training with the tokenizer frozen; checkpoints, and resuming bit for bit."""

from __future__ import annotations

import json
import math
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from attrs import evolve
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

import tokframe
from tokframe.config import structure, unstructure
from tokframe.corpus import Corpus
from tokframe.errors import CorpusError, TrainingError, TrainingInterrupted
from tokframe.folders import write_atomically
from tokframe.interfaces import ITokenizer
from tokframe.progress import Reporter, SilentReporter
from tokframe.strictjson import canonical_json
from tokframe_lm import saved
from tokframe_lm.config import LMConfig
from tokframe_lm.model import LanguageModel, build
from tokframe_lm.tokens import TokenFile, tokenize

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
    Raises: ConfigError; CorpusError; ArtifactError and its kinds; TrainingError; TrainingInterrupted.
    """
    target = Path(out)
    saved.check_place(target, overwrite=overwrite)
    reporter = reporter or SilentReporter()
    work = target.with_name(target.name + ".training")
    place = _device(device)
    settings = structure(LMConfig, config or {})
    loaded = tokframe.load(tokenizer)
    sha256 = _keep_tokenizer(loaded, work)
    if start is None:
        model = build(settings, loaded)
    else:
        before = saved.load(start)
        if before.sha256 != sha256:
            raise TrainingError(
                f"{start} was made for tokenizer {before.tokenizer.name!r} of hash {before.sha256[:12]}..., not for "
                f"{loaded.name!r} of hash {sha256[:12]}.... Move it over: tokframe lm migrate {start} "
                f"--from {before.tokenizer.name} --to {loaded.name} --out DIR"
            )
        shape = {name: getattr(before.model.config, name) for name in ("d_model", "layers", "heads", "embedding")}
        settings = evolve(settings, **shape, context=before.model.config.context)
        model = build(settings, loaded)
        model.load_state_dict(before.model.state_dict())
    tokens = tokenize(
        corpus,
        loaded,
        work / "tokens",
        sha256=sha256,
        max_bytes=settings.max_bytes,
        reporter=reporter,
        should_stop=should_stop,
    )
    run = _Run(model.to(place), settings, tokens, work, _identity(settings, sha256, start, tokens), place)
    if resume:
        run.restore()
    run.go(reporter, should_stop)
    result = saved.SavedModel(
        model=model.cpu().eval(), tokenizer=loaded, sha256=sha256, hidden=tokens.hidden, training=run.summary()
    )
    saved.save(result, target, overwrite=overwrite)
    shutil.rmtree(work, ignore_errors=True)  # all that counts is in the model folder now
    return result


class _Run:
    """One training run: where it stands, and how it is kept."""

    def __init__(
        self,
        model: LanguageModel,
        config: LMConfig,
        tokens: TokenFile,
        work: Path,
        identity: str,
        device: torch.device,
    ) -> None:
        self.model, self.config, self.tokens, self.work = model, config, tokens, work
        self.identity, self.device = identity, device
        self.windows = (len(tokens.ids) - 1) // config.context
        if self.windows < 1:
            raise CorpusError(
                f"the corpus has {len(tokens.ids)} tokens, fewer than the context of {config.context} and one more. "
                'Give more text, or say a smaller "context" in the config'
            )
        per_pass = -(-self.windows // config.batch)
        self.steps = config.steps or per_pass
        self.per_pass = per_pass
        self.step = 0
        self.seconds = 0.0
        self.curve: list[list[float]] = []
        self._sum, self._count = 0.0, 0
        decayed = [p for p in model.parameters() if p.ndim > 1]
        others = [p for p in model.parameters() if p.ndim <= 1]
        groups = [
            {"params": decayed, "weight_decay": config.weight_decay},
            {"params": others, "weight_decay": 0.0},
        ]
        self.optimizer = torch.optim.AdamW(groups, lr=config.learning_rate, betas=(0.9, 0.95))

    def go(self, reporter: Reporter, should_stop: Callable[[], bool]) -> None:
        """Take the steps that are left. Raises: TrainingInterrupted, a checkpoint kept."""
        self.model.train()
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
            if should_stop() and self.step < self.steps:
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
        passes = min(1.0, self.step / self.per_pass) if self.step <= self.per_pass else self.step / self.per_pass
        # 6 per parameter used and token, forward and backward (Kaplan et al., 2020); the output counts, looking up not
        used = sizes.body + self.model.embedding.vocab_size * self.config.d_model
        return {
            "steps": self.step,
            "tokens": self._tokens,
            "bytes": round(self.tokens.bytes * passes),
            "documents": self.tokens.documents,
            "seconds": round(self.seconds, 2),
            "flops": 6 * used * self._tokens,
            "parameters": {"embedding": sizes.embedding, "body": sizes.body},
            "loss": self.curve,
        }

    def keep(self) -> None:
        """Write a checkpoint: tensors in one file, then the record that names it. Raises: TrainingError."""
        tensors: dict[str, Tensor] = {f"model.{k}": v for k, v in self.model.state_dict().items()}
        for index, parameter in enumerate(self._parameters()):
            for key, value in self.optimizer.state.get(parameter, {}).items():
                tensors[f"optimizer.{index}.{key}"] = value
        name = f"checkpoint-{self.step}.safetensors"
        record = {
            "run": self.identity,
            "file": name,
            "step": self.step,
            "seconds": self.seconds,
            "curve": self.curve,
            "pending": [self._sum, self._count],
        }
        try:
            data = save({k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()})
            write_atomically(self.work / name, data)
            write_atomically(self.work / "checkpoint.json", canonical_json(record))
            for old in self.work.glob("checkpoint-*.safetensors"):
                if old.name != name:
                    old.unlink()
        except OSError as error:
            raise TrainingError(f"cannot write the checkpoint to {self.work}: {error}; free some space") from error

    def restore(self) -> None:
        """Go back to the checkpoint. Raises: TrainingError if there is none, or one of another run."""
        place = self.work / "checkpoint.json"
        if not place.is_file():
            raise TrainingError(f"there is no checkpoint in {self.work} to go on from; run it without --resume")
        try:
            record = json.loads(place.read_bytes())
            if record["run"] != self.identity:
                raise TrainingError(
                    f"the checkpoint in {self.work} is of another run: tokenizer, corpus or config differ. Give the "
                    "same ones, or run it without --resume"
                )
            tensors = load_file(self.work / Path(record["file"]).name, device=str(self.device))
            self.model.load_state_dict(
                {k.removeprefix("model."): v for k, v in tensors.items() if k.startswith("model.")}
            )
            for index, parameter in enumerate(self._parameters()):
                prefix = f"optimizer.{index}."
                state = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
                # AdamW counts its steps on the CPU
                self.optimizer.state[parameter] = {k: v.cpu() if k == "step" else v for k, v in state.items()}
            self.step, self.seconds, self.curve = record["step"], record["seconds"], record["curve"]
            self._sum, self._count = record["pending"]
        except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
            raise TrainingError(
                f"the checkpoint in {self.work} cannot be read: {error!r}; run it without --resume"
            ) from error

    @property
    def _tokens(self) -> int:
        full, rest = divmod(self.step, self.per_pass)
        return (full * self.windows + min(rest * self.config.batch, self.windows)) * self.config.context

    def _parameters(self) -> list[Tensor]:
        return [parameter for group in self.optimizer.param_groups for parameter in group["params"]]

    def _take_step(self) -> float:
        for group in self.optimizer.param_groups:
            group["lr"] = self._rate()
        ids, targets = self._batch()
        loss = self.model.loss(ids, targets)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]  # torch has no types there
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip)
        self.optimizer.step()
        self.step += 1
        return float(loss.detach())

    def _rate(self) -> float:
        """Return the learning rate: up in a line, then down in half a cosine to a tenth."""
        rise = max(1, round(self.config.warmup * self.steps))
        if self.step < rise:
            return self.config.learning_rate * (self.step + 1) / rise
        share = (self.step - rise) / max(1, self.steps - rise)
        return self.config.learning_rate * (0.1 + 0.45 * (1 + math.cos(math.pi * share)))

    def _batch(self) -> tuple[Tensor, Tensor]:
        """Return the windows of this step: each pass has an order of its own, which the seed alone decides."""
        turn, place = divmod(self.step, self.per_pass)
        order = np.random.default_rng([self.config.seed, turn]).permutation(self.windows)
        chosen = order[place * self.config.batch : (place + 1) * self.config.batch]
        size = self.config.context
        rows = np.stack([self.tokens.ids[w * size : w * size + size + 1] for w in chosen]).astype(np.int64)
        both = torch.from_numpy(rows).to(self.device)
        return both[:, :-1], both[:, 1:]


def _keep_tokenizer(tokenizer: ITokenizer, work: Path) -> str:
    """Save the tokenizer beside the checkpoints and return its hash, which is that of the saved form."""
    work.mkdir(parents=True, exist_ok=True)
    return saved.tokenizer_hash(tokenizer.save(work / "tokenizer", overwrite=(work / "tokenizer").exists()))


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


def _device(name: str | None) -> torch.device:
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise TrainingError(f"device {name!r} cannot be used here: {error}. Try --device cpu") from error
    return device
