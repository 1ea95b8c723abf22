"""The training loop: stages in turn, evaluation, checkpoints, and the finish of each stage.

A stage runs at the full learning rate until it is ripe (or half its steps are gone), then finishes: the rate falls,
and arithmetic is fp32. It ends early when its aim is reached. Which step does what depends only on the seed, the
segments and the config, so a run that was stopped continues as if it had not been.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tokframe.errors import TrainingError, TrainingInterrupted
from tokframe.progress import Reporter, SilentReporter
from tokframe_autoencoder.network.autoencoder import Autoencoder
from tokframe_autoencoder.network.segments import SegmentTable
from tokframe_autoencoder.training.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from tokframe_autoencoder.training.config import TrainingConfig
from tokframe_autoencoder.training.results import TrainedNetwork
from tokframe_autoencoder.training.sampler import HardSampler
from tokframe_autoencoder.training.stages import (
    CodeStage,
    DecodeStage,
    JointStage,
    Stage,
    can_be_guided,
    separate_codes,
    winners,
)

__all__ = ["train_network"]

#: Settings that may change between a run and its continuation.
_FREE = ("max_minutes", "threads")

#: Share of `max_minutes` after which the first stage is over.
_FIRST_SHARE = 0.4


def _never() -> bool:
    return False


def train_network(
    build: Callable[[], Autoencoder],
    segments: Sequence[bytes],
    weights: npt.NDArray[np.float64],
    config: TrainingConfig,
    *,
    workdir: Path,
    resume: bool = False,
    reporter: Reporter | None = None,
    should_stop: Callable[[], bool] = _never,
    device: str | None = None,
    seed: int | None = None,
    identity: str = "",
) -> TrainedNetwork:
    """Train what `build` makes until every segment is exact on a code of its own, or the steps are spent.

    `weights` (segments,) is how often each is used; `identity` names what else a resumed run must share (the config
    of the parts). Checkpoints go to `workdir`, at every evaluation and when stopped.

    Raises: TrainingError if segments do not fit or the checkpoint is another run's; TrainingInterrupted when
    `should_stop` became true, with the checkpoint kept.
    """
    before = torch.get_num_threads()
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    try:
        run = _Run(
            build,
            segments,
            weights,
            config,
            workdir=workdir,
            reporter=reporter or SilentReporter(),
            device=device,
            seed=seed,
            identity=identity,
        )
        if resume:
            run.restore()
        return run.train(should_stop)
    finally:
        torch.set_num_threads(before)


class _Run:
    """One training run: everything a checkpoint has to hold, and the loop over it."""

    def __init__(
        self,
        build: Callable[[], Autoencoder],
        segments: Sequence[bytes],
        weights: npt.NDArray[np.float64],
        config: TrainingConfig,
        *,
        workdir: Path,
        reporter: Reporter,
        device: str | None,
        seed: int | None,
        identity: str,
    ) -> None:
        if not segments:
            raise TrainingError("there are no segments to train on; give a longer corpus")
        if len(set(segments)) != len(segments):
            raise TrainingError("the segments are not distinct; one segment can have only one code")
        self.seed = config.seed if seed is None else seed
        self.segments, self.weights, self.config = segments, np.asarray(weights, np.float64), config
        self.workdir, self.reporter = workdir, reporter
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            self.network = build().to(self.device)
        try:
            self.table = SegmentTable.of(segments, self.network.max_length, self.device)
        except ValueError as error:
            raise TrainingError(f"{error}; set encoder.max_chunk_size to the longest segment") from error
        self.fingerprint = self._fingerprint(identity)
        guided = config.guide != "none" and can_be_guided(self.network.quantizer)
        self.names = ("codes" if guided else "joint", "decoder")
        self.bfloat = _uses_bfloat(config.precision, self.device)
        self.step = 0  # over all stages
        self.minutes = 0.0
        self.history: list[dict[str, Any]] = []
        self.finished = ""
        self._enter(0)

    # -- stages -----------------------------------------------------------------------------------------------

    def _enter(self, number: int) -> None:
        """Begin a stage, with a fresh optimizer and sampler."""
        self.number = number
        self.begin = self.step  # the step at which the stage began
        last = number == len(self.names) - 1
        self.planned_end = self.config.max_steps if last else min(self.config.steps_for_codes, self.config.max_steps)
        self.end = self.planned_end
        self.begin_minutes = self.minutes
        self.finish_from: int | None = None
        self.calm = 0  # evaluations in a row that found the aim reached
        self.stage = self._make(self.names[number])
        allowed = getattr(self.stage, "allowed", torch.ones(len(self.table), dtype=torch.bool))
        self.sampler = HardSampler(allowed, self.config.hard_floor, self.seed + number)
        parameters = self.stage.parameters()
        groups = [
            {"params": [p for p in parameters if p.ndim > 1], "weight_decay": self.config.weight_decay},
            {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
        ]
        self.optimizer = torch.optim.AdamW(
            groups, lr=self.config.learning_rate, betas=(0.9, self.config.beta2), fused=True
        )
        self.trained = parameters

    def _make(self, name: str) -> Stage:
        if name == "codes":
            return CodeStage(self.network, self.table, self.segments, self.config)
        if name == "joint":
            return JointStage(self.network, self.table, self.weights, self.config)
        separate_codes(self.network, self.table)
        codes, _ = self.network.encode_table(self.table)
        return DecodeStage(self.network, self.table, codes, self.weights, self.config)

    # -- the loop ---------------------------------------------------------------------------------------------

    def train(self, should_stop: Callable[[], bool]) -> TrainedNetwork:
        """Run what is left of the training."""
        self.network.train()
        while not self.finished:
            self.reporter.stage(f"training: {self.stage.name}", self.end - self.begin, "steps")
            self._run_stage(should_stop)
            if self.number + 1 < len(self.names):
                self._enter(self.number + 1)
                self._save()
            else:
                learnt = self.calm >= self.config.patience
                self.finished = "learnt" if learnt else "steps" if self.end == self.planned_end else "minutes"
                self._save()
        return self._result()

    def _run_stage(self, should_stop: Callable[[], bool]) -> None:
        """Train until the stage's aim is reached or its steps are spent."""
        started = mark = time.monotonic()
        past = self.minutes
        while self.step < self.end and self.calm < self.config.patience:
            if should_stop():
                self._save()
                raise TrainingInterrupted(
                    f"training was stopped at step {self.step}; the checkpoint is in {self.workdir}; "
                    "run the same command with --resume to go on",
                    checkpoint=self.workdir,
                )
            loss = self._step()
            self.step += 1
            if (self.step - self.begin) % self.config.eval_interval == 0 or self.step == self.end:
                speed = self.config.eval_interval * self.config.batch_size / max(1e-9, time.monotonic() - mark)
                self.minutes = past + (time.monotonic() - started) / 60
                self._evaluate(float(loss), speed)
                self._save()
                mark = time.monotonic()
            elif self.step % 20 == 0:
                self.reporter.advance(self.step - self.begin, loss=float(loss))
        self.minutes = past + (time.monotonic() - started) / 60

    def _step(self) -> Tensor:
        """Make one optimizer step; return the loss."""
        rate = self.config.learning_rate * self._rate()
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        chosen = self.sampler.draw(self.config.batch_size)
        fast = self.bfloat and self.finish_from is None
        with torch.autocast(self.device.type, torch.bfloat16, enabled=fast):
            loss, difficulty = self.stage.loss(chosen.to(self.device))
        self.sampler.learn(chosen, difficulty)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.trained, self.config.clip)
        self.optimizer.step()
        return loss.detach()

    def _rate(self) -> float:
        """Return the learning rate as a share of the highest: warm-up, level, then half a cosine down."""
        done = self.step - self.begin
        if self.finish_from is None:
            return min(1.0, (done + 1) / max(1, self.config.warmup_steps))
        # A full rate stalls near 90% exact, and the last tenth is learnt only as the rate falls: the finish takes
        # three times as long as it took to get there, at least four evaluations, at most what is left.
        length = max(4 * self.config.eval_interval, 3 * (self.finish_from - self.begin))
        length = max(1, min(length, self.end - self.finish_from))
        share = min(1.0, (self.step - self.finish_from) / length)
        low = self.config.final_rate
        return low + (1 - low) * (0.5 + 0.5 * math.cos(math.pi * share))

    def _evaluate(self, loss: float, speed: float) -> None:
        """Measure, note the figures, and decide whether the finish begins."""
        report = self.stage.evaluate(self.finish_from is not None)
        self._fit_to_time()
        half = self.step - self.begin >= (self.end - self.begin) // 2
        if self.finish_from is None and (report.ripe or half):
            self.finish_from = self.step
        self.calm = self.calm + 1 if report.reached else 0
        figures: dict[str, Any] = {"loss": loss} | report.figures
        record = {"stage": self.stage.name, "step": self.step, **figures}
        self.history.append(record)
        self.reporter.advance(self.step - self.begin, **figures, segments_per_s=round(speed))

    def _fit_to_time(self) -> None:
        """Bring the end of the stage forward to where `max_minutes` will be used up at the pace so far."""
        if self.config.max_minutes is None:
            return
        last = self.number + 1 == len(self.names)
        left = self.config.max_minutes * (1.0 if last else _FIRST_SHARE) - self.minutes
        pace = (self.step - self.begin) / max(1e-9, self.minutes - self.begin_minutes)
        self.end = min(self.planned_end, self.step + max(0, int(pace * left)))

    def _result(self) -> TrainedNetwork:
        """Measure the whole network, on the CPU and in fp32, as an artifact's check will."""
        network = self.network.cpu().eval()
        table = SegmentTable.of(self.segments, network.max_length)
        trip = network.roundtrip_table(table, self.weights)
        own = winners(torch.from_numpy(trip.codes), self.weights).numpy()
        safe = ~(trip.margins < self.config.margin)  # NaN, no margin known, is not unsafe
        return TrainedNetwork(
            network=network,
            roundtrip=trip,
            usable=trip.exact & own & safe,
            steps=self.step,
            minutes=self.minutes,
            finished=self.finished,
            history=tuple(self.history),
        )

    # -- checkpoints ------------------------------------------------------------------------------------------

    def _fingerprint(self, identity: str) -> str:
        """Return a hash of all that a continuation must have in common with its beginning."""
        settings = {k: v for k, v in attrs.asdict(self.config).items() if k not in _FREE}
        digest = hashlib.sha256(json.dumps([settings, self.seed, identity], sort_keys=True).encode())
        for segment in self.segments:
            digest.update(len(segment).to_bytes(4, "little") + segment)
        digest.update(self.weights.tobytes())
        return digest.hexdigest()

    def _save(self) -> None:
        tensors = {f"network.{k}": v for k, v in self.network.state_dict().items()}
        for number, values in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{number}.{k}": v for k, v in values.items()}
        tensors |= {f"sampler.{k}": v for k, v in self.sampler.state().items()}
        tensors |= {f"stage.{k}": v for k, v in self.stage.state().items()}
        record = {
            "fingerprint": self.fingerprint,
            "stage": self.number,
            "step": self.step,
            "begin": self.begin,
            "end": self.end,
            "finish_from": self.finish_from,
            "calm": self.calm,
            "minutes": self.minutes,
            "begin_minutes": self.begin_minutes,
            "finished": self.finished,
            "history": self.history,
        }
        write_checkpoint(self.workdir, Checkpoint(tensors=tensors, record=record))

    def restore(self) -> None:
        """Go on from the checkpoint in `workdir`, if there is one. Raises: TrainingError."""
        checkpoint = read_checkpoint(self.workdir)
        if checkpoint is None:
            return
        record, tensors = checkpoint.record, checkpoint.tensors
        if record["fingerprint"] != self.fingerprint:
            raise TrainingError(
                f"the checkpoint in {self.workdir} is of a run with other text, config or seed; "
                "train without --resume, or choose another folder"
            )
        self.network.load_state_dict(_under("network.", tensors))
        self.step = int(record["begin"])
        self._enter(int(record["stage"]))
        self.stage.load(_under("stage.", tensors))
        self.sampler.load(_under("sampler.", tensors))
        state = self.optimizer.state_dict()
        moments: dict[int, dict[str, Tensor]] = {}
        for name, value in _under("optimizer.", tensors).items():
            number, key = name.split(".", 1)
            moments.setdefault(int(number), {})[key] = value.to(self.device)
        state["state"] = moments
        self.optimizer.load_state_dict(state)
        self.step, self.begin, self.end = int(record["step"]), int(record["begin"]), int(record["end"])
        self.finish_from, self.calm = record["finish_from"], int(record["calm"])
        self.minutes, self.begin_minutes = float(record["minutes"]), float(record.get("begin_minutes", 0.0))
        self.finished = str(record["finished"])
        self.history = list(record["history"])


def _under(prefix: str, tensors: Any) -> dict[str, Tensor]:
    return {name[len(prefix) :]: value for name, value in tensors.items() if name.startswith(prefix)}


def _uses_bfloat(precision: str, device: torch.device) -> bool:
    """Say whether the bulk runs in bf16: as told, or where the hardware multiplies it natively."""
    if precision != "auto":
        return precision == "bf16"
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    supported = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return bool(supported and supported())
