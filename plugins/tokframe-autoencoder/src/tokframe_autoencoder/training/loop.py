"""The training loop: stages in turn, evaluation and checkpoints, in one process or several.

Which step does what depends only on the seed, the segments and the config, so a run that was stopped continues as if it
had not been, and several processes see the batches that one would see. Of several the first measures and writes; the
others take over its state, the same that a checkpoint holds, at every evaluation.
"""

from __future__ import annotations

import hashlib
import json
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
from tokframe.training.progress import Reporter, SilentReporter, never_stop
from tokframe_autoencoder.network.autoencoder import Autoencoder
from tokframe_autoencoder.network.segments import SegmentTable
from tokframe_autoencoder.training.checkpoint import Checkpoint, pack, read_checkpoint, unpack, write_checkpoint
from tokframe_autoencoder.training.config import MAY_CHANGE, TrainingConfig
from tokframe_autoencoder.training.learner import Learner, under
from tokframe_autoencoder.training.processes import Processes
from tokframe_autoencoder.training.results import TrainedNetwork
from tokframe_autoencoder.training.schedule import Phase, Schedule
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


def train_network(
    build: Callable[[], Autoencoder],
    segments: Sequence[bytes],
    weights: npt.NDArray[np.float64],
    config: TrainingConfig,
    *,
    workdir: Path,
    resume: bool = False,
    reporter: Reporter | None = None,
    should_stop: Callable[[], bool] = never_stop,
    device: str | None = None,
    seed: int | None = None,
    identity: str = "",
    processes: Processes | None = None,
) -> TrainedNetwork:
    """Train what `build` makes until every segment is exact on a code of its own, or the steps are spent.

    `weights` (segments,) is how often each is used; `identity` names what else a resumed run must share (the config
    of the parts). Checkpoints go to `workdir`, at every evaluation and when stopped. `processes` (see `joined`) train
    together: each calls this with the same arguments and returns the same network; the first alone writes.

    Raises: TrainingError if segments do not fit or the checkpoint is another run's; TrainingInterrupted when
    `should_stop` became true in any process, with the checkpoint kept.
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
            processes=processes or Processes(device),
            seed=seed,
            identity=identity,
        )
        run.begin(resume)
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
        processes: Processes,
        seed: int | None,
        identity: str,
    ) -> None:
        if not segments:
            raise TrainingError("there are no segments to train on; give a longer corpus")
        if len(set(segments)) != len(segments):
            raise TrainingError("the segments are not distinct; one segment can have only one code")
        if config.batch_size < processes.count:
            raise TrainingError(
                f"a batch of {config.batch_size} cannot be split over {processes.count} processes; set a larger "
                "training.batch_size, or start fewer processes"
            )
        self.seed = config.seed if seed is None else seed
        self.segments, self.weights, self.config = segments, np.asarray(weights, np.float64), config
        self.workdir, self.reporter = workdir, reporter
        self.processes, self.device = processes, processes.device
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
        self.number = -1  # of the stage

    def begin(self, resume: bool) -> None:
        """Go on from the checkpoint in `workdir`, if there is one and it is wanted. Raises: TrainingError."""
        if self.processes.first:
            checkpoint = read_checkpoint(self.workdir) if resume else None
            if checkpoint is None:
                self._enter(0)
            else:
                self._load(checkpoint)
        self._agree()

    def train(self, should_stop: Callable[[], bool]) -> TrainedNetwork:
        """Run what is left of the training."""
        self.network.train()
        while not self.finished:
            self._run_stage(should_stop)
            if self.number + 1 == len(self.names):
                self.finished = self.schedule.outcome
            elif self.processes.first:
                self._enter(self.number + 1)
            self._save()
        return self._result()

    def _run_stage(self, should_stop: Callable[[], bool]) -> None:
        """Train until the stage's aim is reached or its steps are spent."""
        started = mark = time.monotonic()
        past = self.minutes
        phase: Phase | None = None
        while not self.schedule.over(self.step):
            if self.processes.any(should_stop()):
                self._save()
                raise TrainingInterrupted(
                    f"training was stopped at step {self.step}; the checkpoint is in {self.workdir}; "
                    "run the same command with --resume to go on",
                    checkpoint=self.workdir,
                )
            if phase != self.schedule.phase(self.step):
                phase = self.schedule.phase(self.step)
                self.reporter.stage(f"training: {self.learner.stage.name}{phase.name}", phase.length, "steps")
            bfloat = self.bfloat and not self.schedule.finishing
            loss = self.learner.step(self.schedule.rate(self.step), bfloat)
            self.step += 1
            if self.schedule.due(self.step):
                speed = self.config.eval_interval * self.config.batch_size / max(1e-9, time.monotonic() - mark)
                self.minutes = past + (time.monotonic() - started) / 60
                if self.processes.first:
                    self._evaluate(float(loss), round(speed), phase)
                self._save()
                mark = time.monotonic()
            elif self.step % 20 == 0:
                self.reporter.advance(self.step - phase.start, loss=float(loss))
        self.minutes = past + (time.monotonic() - started) / 60

    def _enter(self, number: int, codes: Tensor | None = None) -> None:
        """Begin a stage; on known codes when one is gone on with."""
        self.number = number
        last = number == len(self.names) - 1
        self.schedule = Schedule(self.config, begin=self.step, minutes=self.minutes, last=last)
        self.learner = Learner(self._make(self.names[number], codes), self.config, self.processes, self.seed + number)

    def _make(self, name: str, codes: Tensor | None) -> Stage:
        if name == "codes":
            return CodeStage(self.network, self.table, self.segments, self.config, codes=codes)
        if name == "joint":
            return JointStage(self.network, self.table, self.weights, self.config)
        if codes is None:
            separate_codes(self.network, self.table)
            codes, _ = self.network.encode_table(self.table)
        return DecodeStage(self.network, self.table, codes.to(self.device), self.weights, self.config)

    def _evaluate(self, loss: float, speed: int, phase: Phase) -> None:
        """Measure, note the figures, and let the schedule decide what follows."""
        report = self.learner.stage.evaluate(self.schedule.finishing)
        self.schedule.take(report, self.step, self.minutes)
        figures: dict[str, Any] = {"loss": loss} | report.figures
        record = {"stage": self.learner.stage.name, "step": self.step, **figures}
        self.history.append(record)
        self.reporter.advance(self.step - phase.start, **figures, segments_per_s=speed)

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

    def _fingerprint(self, identity: str) -> str:
        """Return a hash of all that a continuation must have in common with its beginning."""
        settings = {k: v for k, v in attrs.asdict(self.config).items() if k not in MAY_CHANGE}
        digest = hashlib.sha256(json.dumps([settings, self.seed, identity], sort_keys=True).encode())
        for segment in self.segments:
            digest.update(len(segment).to_bytes(4, "little") + segment)
        digest.update(self.weights.tobytes())
        return digest.hexdigest()

    def _save(self) -> None:
        """Write a checkpoint, and let the other processes take over what it holds."""
        if self.processes.first:
            write_checkpoint(self.workdir, self._checkpoint())
        self._agree()

    def _agree(self) -> None:
        """Bring every process to where the first one stands."""
        if self.processes.count == 1:
            return
        tensors, record = pack(self._checkpoint()) if self.processes.first else (b"", b"")
        tensors, record = self.processes.hand_out(tensors), self.processes.hand_out(record)
        if not self.processes.first:
            self._load(unpack(tensors, record))

    def _checkpoint(self) -> Checkpoint:
        tensors = {f"network.{k}": v for k, v in self.network.state_dict().items()}
        tensors |= self.learner.state()
        record = {
            "fingerprint": self.fingerprint,
            "stage": self.number,
            "step": self.step,
            "schedule": self.schedule.state(),
            "minutes": self.minutes,
            "finished": self.finished,
            "history": self.history,
        }
        return Checkpoint(tensors=tensors, record=record)

    def _load(self, checkpoint: Checkpoint) -> None:
        """Go on from a checkpoint. Raises: TrainingError if it is another run's."""
        record, tensors = checkpoint.record, checkpoint.tensors
        if record["fingerprint"] != self.fingerprint:
            raise TrainingError(
                f"the checkpoint in {self.workdir} is of a run with other text, config or seed; "
                "train without --resume, or choose another folder"
            )
        if self.number != int(record["stage"]):
            self._enter(int(record["stage"]), tensors.get("stage.codes"))
        self.network.load_state_dict(under("network.", tensors))
        self.learner.load(tensors)
        self.schedule.load(record["schedule"])
        self.step, self.minutes = int(record["step"]), float(record["minutes"])
        self.finished, self.history = str(record["finished"]), list(record["history"])


def _uses_bfloat(precision: str, device: torch.device) -> bool:
    """Say whether the bulk runs in bf16: as told, or where the hardware multiplies it natively."""
    if precision != "auto":
        return precision == "bf16"
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    supported = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return bool(supported and supported())
