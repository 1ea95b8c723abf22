"""The run loop and the optimizer: resumed bit for bit, refused where a checkpoint does not fit."""

from __future__ import annotations

import hashlib
import itertools
import os
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from tokframe_torch.checkpoint import (  # noqa: E402
    Checkpoint,
    has_checkpoint,
    read_checkpoint,
    write_checkpoint,
)
from tokframe_torch.optimizer import Optimizer  # noqa: E402
from tokframe_torch.processes import Processes  # noqa: E402
from tokframe_torch.run import StepRun  # noqa: E402

from tokframe.errors import TrainingError, TrainingInterrupted  # noqa: E402
from tokframe.training.progress import SilentReporter  # noqa: E402

pytestmark = pytest.mark.trains


def optimizer(module: Any, **options: Any) -> Optimizer:
    settings = {"weight_decay": 0.1, "clip": 1.0, "processes": Processes("cpu")} | options
    return Optimizer({"learning_rate": (module.parameters(), 0.1)}, **settings)


class Line(StepRun):
    """Fits a line to points that the step alone decides."""

    def __init__(self, folder: Path, *, steps: int = 12, identity: str = "line", reporter: Any = None) -> None:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            module = torch.nn.Linear(3, 1)
        super().__init__(
            module,
            optimizer(module),
            self.error,
            steps=steps,
            warmup=0.25,
            checkpoint_every=5,
            tokens=lambda steps: 8 * steps,
            workdir=folder,
            identity=identity,
            reporter=reporter or SilentReporter(),
        )
        self.scale = 1.0

    def error(self, step: int) -> tuple[Any, dict[str, Any]]:
        points = torch.randn(8, 3, generator=torch.Generator().manual_seed(step))
        error = (self.module(points)[:, 0] - points.sum(1)).square().mean() * self.scale
        return error, {"error": error, "bias": self.module.bias.abs().sum()}


def weights(run: Line) -> list[float]:
    return [value for p in run.module.parameters() for value in p.flatten().tolist()]


def finished(folder: Path, **options: Any) -> Line:
    run = Line(folder, **options)
    run.begin(resume=True)
    run.run(lambda: False)
    return run


def stopped(folder: Path, after: int) -> Line:
    run, calls = Line(folder), itertools.count()
    run.begin(resume=True)
    with pytest.raises(TrainingInterrupted, match=f"at step {after}") as caught:
        run.run(lambda: next(calls) >= after)
    assert caught.value.checkpoint == folder
    return run


@pytest.mark.parametrize("after", [0, 1, 5, 11])
def test_a_resumed_run_is_the_uninterrupted_one_bit_for_bit(tmp_path, after):
    whole = finished(tmp_path / "whole")
    stopped(tmp_path / "parts", after)
    parts = finished(tmp_path / "parts")
    assert weights(parts) == weights(whole)
    assert parts.curve == whole.curve and [point[0] for point in whole.curve] == list(range(1, 13))
    assert parts.seconds > 0


def test_a_run_learns_and_reports_each_step(tmp_path, listener):
    run = finished(tmp_path, steps=300, reporter=listener)
    assert listener.done == list(range(1, 301)) and set(listener.figures[0]) == {"error", "bias", "tokens_per_s"}
    assert run.curve[-1][1] < 0.01 < run.curve[0][1]


def test_a_finished_run_resumes_without_a_step(tmp_path):
    first = finished(tmp_path)
    again = Line(tmp_path)
    again.begin(resume=True)
    again.run(lambda: pytest.fail("it trained"))
    assert weights(again) == weights(first) and again.curve == first.curve


def test_a_loss_that_is_no_number_ends_the_run_and_keeps_the_last_checkpoint(tmp_path):
    run = stopped(tmp_path, 5)
    for parameter in run.module.parameters():
        parameter.data.fill_(float("nan"))
    with pytest.raises(TrainingError, match=r"diverged at step 6: error nan.*lower .*The last checkpoint is in"):
        run.run(lambda: False)
    assert finished(tmp_path).step == 12


def test_a_checkpoint_of_another_run_is_refused(tmp_path):
    finished(tmp_path)
    with pytest.raises(TrainingError, match=r"of another run.*another output folder"):
        finished(tmp_path, identity="circle")


def test_a_folder_has_a_checkpoint_once_one_is_written(tmp_path):
    assert not has_checkpoint(tmp_path) and read_checkpoint(tmp_path) is None
    finished(tmp_path)
    assert has_checkpoint(tmp_path)


@pytest.mark.parametrize("spoil", ["module", "optimizer", "moments", "record", "curve", "step"])
def test_a_signed_checkpoint_that_does_not_fit_is_an_error(tmp_path, spoil):
    stopped(tmp_path, 5)
    found = read_checkpoint(tmp_path)
    tensors, record = dict(found.tensors), dict(found.record)
    if spoil == "module":
        del tensors["module.weight"]
    elif spoil == "optimizer":
        tensors = {name: value for name, value in tensors.items() if not name.startswith("optimizer.0.")}
        tensors["optimizer.0.exp_avg"] = torch.zeros(7)
    elif spoil == "moments":
        tensors = {name: torch.zeros(7) if name.endswith("exp_avg_sq") else t for name, t in tensors.items()}
    elif spoil == "step":
        record["step"] = -3
    elif spoil == "record":
        del record["seconds"]
    else:
        record["curve"] = 5
    write_checkpoint(tmp_path, Checkpoint(tensors=tensors, record=record))
    with pytest.raises(TrainingError, match=r"cannot be read.*to start again, remove"):
        finished(tmp_path)


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"\2\0\0\0\0\0\0\0{}", b"\xff" * 20, (6 * 10**5).to_bytes(8, "little") + b'{"a":' * 10**5]
)
def test_a_checkpoint_with_a_sum_that_agrees_with_nonsense_is_an_error(tmp_path, data):
    finished(tmp_path)
    digest = hashlib.sha256(data).digest()
    (tmp_path / "training.checkpoint").write_bytes(b"tokframe checkpoint 5\n" + digest + data)
    with pytest.raises(TrainingError, match=r"cannot be read.*to start again, remove"):
        read_checkpoint(tmp_path)


def test_a_pipe_in_the_place_of_a_checkpoint_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "training.checkpoint")
    with pytest.raises(TrainingError, match="not a regular file"):
        read_checkpoint(tmp_path)


def test_a_checkpoint_of_another_format_is_refused(tmp_path):
    finished(tmp_path)
    place = tmp_path / "training.checkpoint"
    place.write_bytes(place.read_bytes().replace(b"checkpoint 5", b"checkpoint 6", 1))
    with pytest.raises(TrainingError, match="written by another version of tokframe; to start again, remove"):
        finished(tmp_path)


def test_a_loss_that_is_not_finite_ends_the_run(tmp_path):
    run = Line(tmp_path)
    run.scale = float("inf")
    run.begin(resume=False)
    with pytest.raises(TrainingError, match=r"diverged at step 1: error inf.*lower \"learning_rate\" \(now 0.1\)"):
        run.run(lambda: False)


def test_matrices_decay_and_vectors_do_not():
    module = torch.nn.Linear(2, 1)
    with torch.no_grad():
        module.weight.fill_(1.0)
        module.bias.fill_(1.0)
    optimizer(module, weight_decay=0.5).update(0.0 * (module.weight.sum() + module.bias.sum()), 1.0)
    assert module.weight.tolist() == [[pytest.approx(0.95)] * 2] and module.bias.tolist() == [1.0]


def test_what_is_frozen_is_left_alone():
    module = torch.nn.Linear(2, 1)
    module.bias.requires_grad_(False)
    before = module.bias.item()
    made = optimizer(module)
    made.update(module(torch.ones(2)).sum(), 1.0)
    assert module.bias.item() == before and len(made.parameters) == 1


def test_the_rate_is_a_share_of_each_groups_peak():
    first, second = torch.nn.Parameter(torch.zeros(1)), torch.nn.Parameter(torch.zeros(1))
    made = Optimizer(
        {"a": ([first], 0.1), "b": ([second], 0.01)}, weight_decay=0.0, clip=10.0, processes=Processes("cpu")
    )
    made.update((first + second).sum(), 0.5)  # Adam's first step is the rate itself
    assert (first.item(), second.item()) == (pytest.approx(-0.05, rel=1e-4), pytest.approx(-0.005, rel=1e-4))
