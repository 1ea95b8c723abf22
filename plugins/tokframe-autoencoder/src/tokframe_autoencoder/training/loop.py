"""The training loop of the network: stages in turn, and what is measured between steps.

Batches depend only on seed, segments and config. Of several processes the main one measures and lets the schedule
decide; the others load its state, the same that a checkpoint holds, at every evaluation.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt
import torch
from tokframe_torch.checkpoint import with_prefix
from tokframe_torch.optimizer import Optimizer
from tokframe_torch.processes import Processes
from tokframe_torch.run import Run
from torch import Tensor

from tokframe.errors import TrainingError
from tokframe.plugins.protocols import DigitQuantizer
from tokframe.training.progress import SILENT, Reporter, never_stop
from tokframe_autoencoder.network.autoencoder import Autoencoder
from tokframe_autoencoder.network.segments import SegmentTable
from tokframe_autoencoder.training.config import MAY_CHANGE, TrainingConfig
from tokframe_autoencoder.training.results import TrainedNetwork, eligible
from tokframe_autoencoder.training.sampler import HardSampler
from tokframe_autoencoder.training.schedule import Phase, Schedule
from tokframe_autoencoder.training.stages import CodeStage, DecodeStage, JointStage, Stage

__all__ = ["train_network"]

REPORT_EVERY_STEPS = 20
#: Share of `max_minutes` from which on a run that ended for want of time is not continued with the same limit.
_ALMOST_SPENT = 0.9


def train_network(
    build: Callable[[], Autoencoder],
    segments: Sequence[bytes],
    weights: npt.NDArray[np.float64],
    config: TrainingConfig,
    *,
    workdir: Path,
    resume: bool = False,
    reporter: Reporter = SILENT,
    should_stop: Callable[[], bool] = never_stop,
    device: str | None = None,
    identity: str = "",
    processes: Processes | None = None,
    vectors: npt.NDArray[np.float32] | None = None,
) -> TrainedNetwork:
    """Train what `build` makes until every segment is exact on a code of its own, or the steps are spent.

    `weights` (segments,) is how often each is used; `vectors` (segments, d) are those of use, for guide "use";
    `identity` names what else a resumed run must share (the config of the parts). Checkpoints go to `workdir`, at every
    evaluation and when stopped. `processes` (see `process_group`) train together: each calls this with the same
    arguments and returns the same network; only the main one writes.

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
            np.asarray(weights, np.float64),
            config,
            workdir=workdir,
            reporter=reporter,
            processes=processes or Processes(device),
            identity=identity,
            vectors=vectors,
        )
        run.begin(resume=resume)
        run.run(should_stop)
        return run.result()
    finally:
        torch.set_num_threads(before)


class _Run(Run):
    """One training run: the stage it is in, and what it has measured."""

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
        identity: str,
        vectors: npt.NDArray[np.float32] | None,
    ) -> None:
        if not segments:
            raise TrainingError("there are no segments to train on; give a longer corpus")
        if len(set(segments)) != len(segments):
            raise TrainingError("the segments are not distinct; one segment can have only one code")
        if config.batch_size < processes.world_size:
            raise TrainingError(
                f"a batch of {config.batch_size} cannot be split over {processes.world_size} processes; set a larger "
                "training.batch_size, or start fewer processes"
            )
        self.segments, self.weights, self.config, self.vectors = segments, weights, config, vectors
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            self.network = build()
        try:
            self.table = SegmentTable.of(segments, self.network.max_length, processes.device)
        except ValueError as error:
            raise TrainingError(f"{error}; set encoder.max_chunk_size to the longest segment") from error
        fingerprint = _fingerprint(segments, weights, config, identity, vectors)
        super().__init__(self.network, workdir=workdir, identity=fingerprint, reporter=reporter, processes=processes)
        guided = config.guide != "none" and isinstance(self.network.quantizer, DigitQuantizer)
        if guided and config.guide == "use" and vectors is None:
            raise TrainingError('training.guide "use" asks for use vectors, and there are none; use another guide')
        self.names = ("codes" if guided else "joint", "decoder")
        self.bfloat = _uses_bfloat(config.precision, processes.device)
        self.history: list[dict[str, Any]] = []
        self.outcome = ""
        self.number = -1  # of the stage
        self.cut: int | None = None  # steps of the first stage, where time ended it
        self.phase = Phase(name="", start=-1, length=None)  # as last reported
        self.mark: tuple[int, float] | None = None  # step and time of the first step after an evaluation

    @property
    def finished(self) -> bool:
        """Whether the last stage is over."""
        return bool(self.outcome)

    def start(self) -> None:
        """Begin the first stage."""
        self._enter(0)

    def resumed(self) -> None:
        """Go on where only the time was spent and there is more of it now: with the first stage, if time ended it."""
        limit, minutes = self.config.max_minutes, self.seconds / 60
        if self.outcome != "minutes" or (limit is not None and minutes > _ALMOST_SPENT * limit):
            return
        self.outcome = ""
        if self.cut is None:
            self.schedule.reopen()
        else:
            self._enter(0, spent=self.cut)

    def update(self) -> bool:
        """Make one step of the stage; the schedule decides whether an evaluation follows."""
        phase = self.schedule.phase(self.step)
        if phase != self.phase:
            self.phase = phase
            self.reporter.stage(f"training: {self.stage.name}{phase.name}", phase.length, "steps")
        self.mark = self.mark or (self.step, time.monotonic())
        device = self.processes.device
        drawn = self.sampler.draw(self.config.batch_size)  # the same in every process
        batch, rows = drawn.to(device), self.processes.share(len(drawn))
        with torch.autocast(device.type, torch.bfloat16, enabled=self.bfloat and not self.schedule.finishing):
            part, found = self.stage.loss(batch[rows], batch)
        self.loss, difficulty = part.detach().clone(), torch.zeros(len(batch), device=device)
        difficulty[rows] = found.float()
        self.optimizer.update(part, self.schedule.rate(self.step), self.loss, difficulty)
        step = self.step + 1
        self.check_finite(step, {"loss": math.nan if difficulty.isnan().any() else float(self.loss)})
        self.sampler.update(drawn, difficulty)
        if step % REPORT_EVERY_STEPS == 0:
            self.reporter.advance(step - phase.start, loss=float(self.loss))
        return self.schedule.due(step)

    def evaluate(self) -> None:
        """Measure in the main process, let the schedule decide what follows, and load that in the others."""
        if self.processes.main:
            self._measure()
        self.sync_from_main()
        self.mark = None

    def _measure(self) -> None:
        begun, since = self.mark or (self.step, 0.0)
        speed = (self.step - begun) * self.config.batch_size / max(1e-9, time.monotonic() - since)
        report = self.stage.evaluate(self.schedule.finishing)
        self.schedule.update(report, self.step, self.seconds / 60)
        figures: dict[str, Any] = {"loss": float(self.loss)} | report.figures
        self.history.append({"stage": self.stage.name, "step": self.step, **figures})
        self.reporter.advance(self.step - self.phase.start, **figures, segments_per_s=round(speed))
        while not self.outcome and self.schedule.over(self.step):
            if self.number + 1 < len(self.names):
                past = self.schedule
                self.cut = self.step - past.begin + past.spent if past.outcome == "minutes" else None
                self._enter(self.number + 1)
            else:
                self.outcome = self.schedule.outcome

    def _enter(self, number: int, codes: Tensor | None = None, spent: int = 0) -> None:
        """Begin a stage, with a fresh optimizer and sampler; on known codes when one is resumed."""
        self.number = number
        last = number == len(self.names) - 1
        self.schedule = Schedule(self.config, begin=self.step, minutes=self.seconds / 60, last=last, spent=spent)
        shared = (self.network, self.table, self.weights, self.config)
        self.stage: Stage
        if self.names[number] == "codes":
            self.stage = CodeStage(*shared, segments=self.segments, vectors=self.vectors, codes=codes)
        else:
            self.stage = DecodeStage(*shared, codes=codes) if last else JointStage(*shared)
        self.sampler = HardSampler(self.stage.allowed, self.config.hard_floor, self.config.seed + number)
        self.optimizer = Optimizer(
            {"learning_rate": (self.stage.parameters(), self.config.learning_rate)},
            weight_decay=self.config.weight_decay,
            beta2=self.config.beta2,
            clip=self.config.clip,
            processes=self.processes,
        )

    def state(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Return which stage this is, where it stands, and what was measured."""
        record = {"stage": self.number, "schedule": self.schedule.state(), "outcome": self.outcome}
        record["cut"] = self.cut
        tensors = {f"sampler.{name}": value for name, value in self.sampler.state().items()}
        if self.stage.codes is not None:
            tensors["stage.codes"] = self.stage.codes
        return record | {"history": self.history}, tensors

    def load(self, record: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        """Restore what `state` returned. Raises: ValueError where it does not fit."""
        codes = tensors.get("stage.codes")
        if codes is not None and (codes.dtype != torch.int64 or codes.shape != (len(self.segments),)):
            raise ValueError(f"codes of {codes.numel()} segments, not of {len(self.segments)}")
        self._enter(int(record["stage"]), codes)
        self.sampler.load(with_prefix("sampler.", tensors))
        self.schedule.load(record["schedule"])
        self.outcome, self.history, self.cut = str(record["outcome"]), list(record["history"]), record.get("cut")

    def result(self) -> TrainedNetwork:
        """Measure the whole network, on the CPU and in fp32, as an artifact's check will."""
        network = self.network.cpu().eval()
        table = SegmentTable.of(self.segments, network.max_length)
        trip = network.roundtrip_table(table, self.weights)
        return TrainedNetwork(
            network=network,
            roundtrip=trip,
            eligible=eligible(trip, self.weights, self.config),
            steps=self.step,
            minutes=self.seconds / 60,
            finished=self.outcome,
            history=tuple(self.history),
        )


def _fingerprint(
    segments: Sequence[bytes],
    weights: npt.NDArray[np.float64],
    config: TrainingConfig,
    identity: str,
    vectors: npt.NDArray[np.float32] | None,
) -> str:
    """Return a hash of all that a resumed run must share with its beginning."""
    settings = {k: v for k, v in attrs.asdict(config).items() if k not in MAY_CHANGE}
    digest = hashlib.sha256(json.dumps([settings, identity], sort_keys=True).encode())
    for segment in segments:
        digest.update(len(segment).to_bytes(4, "little") + segment)
    digest.update(weights.tobytes())
    if vectors is not None:
        digest.update(vectors.tobytes())
    return digest.hexdigest()


def _uses_bfloat(precision: str, device: torch.device) -> bool:
    """Return whether the bulk runs in bf16: as configured, or where the hardware multiplies it natively."""
    if precision != "auto":
        return precision == "bf16"
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    supported = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return bool(supported and supported())
