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
from tokframe_autoencoder.training.objective import MEASURED_USES, UseObjective
from tokframe_autoencoder.training.plan import use_classes
from tokframe_autoencoder.training.results import TrainedNetwork, eligible
from tokframe_autoencoder.training.sampler import HardSampler
from tokframe_autoencoder.training.schedule import Phase, Schedule
from tokframe_autoencoder.training.stages import CodeStage, DecodeStage, JointStage, Stage, UseStage

__all__ = ["train_network"]

REPORT_EVERY_STEPS = 20
#: How often each segment is seen in the steps planned for a stage, and the fewest of those steps. Use is measured on
#: segments not taught, so few passes do: more are learned by heart.
_USE_PASSES = 14
_PASSES = {"codes": 70, "decoder": 50}
_LEAST_STEPS = 600
#: Share of the minutes left after which a stage but the last is over.
_MINUTES_SHARES = {"use": 0.1, "codes": 0.4, "joint": 0.4}
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
        self.guided = guided
        self.objective: UseObjective | None = None
        self.names: tuple[str, ...] = ("codes" if guided else "joint", "decoder")
        if vectors is not None and self.network.use_head is not None:
            self.classes = use_classes(vectors, weights, tuple(getattr(self.network.quantizer, "shape", ())))
            self.objective = self._objective(np.zeros(len(segments), np.bool_))
            if self._planned("use")[0]:
                self.names = ("use", *self.names)
        self.bfloat = _uses_bfloat(config.precision, processes.device)
        self.history: list[dict[str, Any]] = []
        self.outcome = ""
        self.number = -1  # of the stage
        self.cut: tuple[int, int] | None = None  # the first stage that time ended, and its steps
        self.phase = Phase(name="", start=-1, end=-1)  # as last reported
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
            number, spent = self.cut
            self.cut = None
            self._enter(number, spent=spent)

    def update(self) -> bool:
        """Make one step of the stage; the schedule decides whether an evaluation follows."""
        phase = self.schedule.phase(self.step)
        if phase != self.phase:
            self.phase = phase
            self.reporter.stage(f"training: {self.stage.name}{phase.name}", self._expected(), "steps")
            self.reporter.advance(self.step)
        self.mark = self.mark or (self.step, time.monotonic())
        device = self.processes.device
        drawn = self.sampler.draw(self.config.batch_size)  # the same in every process
        batch, rows = drawn.to(device), self.processes.share(len(drawn))
        with torch.autocast(device.type, torch.bfloat16, enabled=self.bfloat and not self.schedule.exact(self.step)):
            part, found = self.stage.loss(batch[rows], batch)
        self.loss, difficulty = part.detach().clone(), torch.zeros(len(batch), device=device)
        difficulty[rows] = found.float()
        self.optimizer.update(part, self.schedule.rate(self.step), self.loss, difficulty)
        step = self.step + 1
        self.check_finite(step, {"loss": math.nan if difficulty.isnan().any() else float(self.loss)})
        self.sampler.update(drawn, difficulty)
        if step % REPORT_EVERY_STEPS == 0:
            self.reporter.advance(step, loss=float(self.loss))
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
        report = self.stage.evaluate(self.schedule.finishing(self.step))
        self.schedule.update(report, self.step, self.seconds / 60)
        figures: dict[str, Any] = {"loss": float(self.loss)} | report.figures
        self.history.append({"stage": self.stage.name, "step": self.step, **figures})
        self.reporter.advance(self.step, **figures, segments_per_s=round(speed))
        while not self.outcome and self.schedule.over(self.step):
            if self.number + 1 < len(self.names):
                past = self.schedule
                if past.outcome == "minutes" and self.cut is None:
                    self.cut = self.number, self.step - past.begin + past.spent
                self._tell_held_out()
                self._enter(self.number + 1)
            else:
                self.outcome = self.schedule.outcome

    def _enter(self, number: int, codes: Tensor | None = None, spent: int = 0) -> None:
        """Begin a stage, with a fresh optimizer and sampler; on known codes when one is resumed."""
        self.number, name = number, self.names[number]
        steps, limit = self._planned(name)
        self.schedule = Schedule(
            self.config,
            begin=self.step,
            minutes=self.seconds / 60,
            steps=steps,
            limit=limit,
            minutes_share=_MINUTES_SHARES.get(name, 1.0),
            spent=spent,
        )
        self.phase = Phase(name="", start=-1, end=-1)
        shared = (self.network, self.table, self.weights, self.config)
        self.stage: Stage
        if name == "use":
            self.stage = UseStage(*shared, objective=self._objective(self._held_out()))
        elif name == "codes":
            self.stage = CodeStage(
                *shared, segments=self.segments, vectors=self.vectors, codes=codes, objective=self.objective
            )
        elif name == "joint":
            self.stage = JointStage(*shared, objective=self.objective)
        else:
            self.stage = DecodeStage(*shared, codes=codes)
        self.sampler = HardSampler(self.stage.allowed, self.config.hard_floor, self.config.seed + number)
        self.optimizer = Optimizer(
            {"learning_rate": (self.stage.parameters(), self.config.learning_rate)},
            weight_decay=self.config.weight_decay,
            beta2=self.config.beta2,
            clip=self.config.clip,
            processes=self.processes,
        )

    def _tell_held_out(self) -> None:
        figures = self.history[-1]
        if self.names[self.number] == "use" and self.config.held_out and figures["use_segments"]:
            self.reporter.note(
                f"held out: of {figures['use_segments']:,} segments not taught (seen {MEASURED_USES} times or more) "
                f"{figures['class_accuracy']:.1%} are put into their class of {len(set(self.classes.tolist()))}, "
                f"{figures['class_among_five_accuracy']:.1%} into it or four others, and the cosine to their vector is "
                f"{figures['use_cosine']:.2f}; now all are taught"
            )

    def _planned(self, name: str) -> tuple[int, int]:
        """Return the steps planned for a stage, and the most it may take."""
        config, batch = self.config, self.config.batch_size
        if name == "use":
            steps = min(len(self.segments) * _USE_PASSES // batch, config.max_steps // 10)
            steps = steps if config.use_steps is None else config.use_steps
            return steps, steps
        limit = config.max_steps if name == "decoder" else config.steps_for_codes
        if name == "joint":
            return limit, limit
        return min(limit, max(_LEAST_STEPS, len(self.segments) * _PASSES[name] // batch)), limit

    def _expected(self) -> int:
        """Return how many steps training is expected to take in all."""
        later = sum(self._planned(name)[0] for name in self.names[self.number + 1 :])
        return min(self.schedule.expected_end(self.step) + later, self.config.max_steps)

    def _held_out(self) -> npt.NDArray[np.bool_]:
        """Return which segments are not taught at first, (segments,)."""
        order = np.random.default_rng(self.config.seed).permutation(len(self.segments))
        held = np.zeros(len(self.segments), np.bool_)
        held[order[: int(self.config.held_out * len(self.segments))]] = True
        return held

    def _objective(self, held: npt.NDArray[np.bool_]) -> UseObjective:
        assert self.vectors is not None
        return UseObjective(self.network, self.table, self.vectors, self.classes, self.weights, ~held)

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
        self.outcome, self.history = str(record["outcome"]), list(record["history"])
        cut = record.get("cut")
        self.cut = (int(cut[0]), int(cut[1])) if cut else None

    def result(self) -> TrainedNetwork:
        """Measure the whole network, on the CPU and in fp32, as an artifact's check will."""
        network = self.network.cpu().eval()
        table = SegmentTable.of(self.segments, network.max_length)
        trip = network.roundtrip_table(table, self.weights)
        use: dict[str, float | int] = {}
        if self.vectors is not None and network.use_head is not None:
            self.table = table
            use = self._objective(np.zeros(len(table), np.bool_)).figures(np.ones(len(table), np.bool_))
        return TrainedNetwork(
            network=network,
            roundtrip=trip,
            eligible=eligible(trip, self.weights, self.config),
            steps=self.step,
            minutes=self.seconds / 60,
            finished=self.outcome,
            history=tuple(self.history),
            use=use,
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
