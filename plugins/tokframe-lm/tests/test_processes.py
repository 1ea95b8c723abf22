"""Language models trained in several processes: the same end as one, and a lost process costs nothing."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from support.networks import assert_same
from tokframe_lm.training import _share
from tokframe_torch.processes import Processes

pytestmark = pytest.mark.trains

if not (torch.distributed.is_available() and torch.distributed.is_gloo_available() and hasattr(os, "fork")):
    pytest.skip("needs gloo and fork", allow_module_level=True)


def weights(folder) -> dict[str, np.ndarray]:
    return load_file(folder / "model.safetensors")


def losses(folder) -> list:
    return [loss for _, loss in json.loads((folder / "model.json").read_text())["training"]["loss"]]


def test_two_processes_come_to_the_losses_and_weights_of_one(in_processes, small, tmp_path):
    in_processes("lm_processes", "in_one_and_two", small.text, small.tokenizers["bpe"])
    np.testing.assert_allclose(losses(tmp_path / "one"), losses(tmp_path / "two"), rtol=1e-4)
    one, two = (weights(tmp_path / name) for name in ("one", "two"))
    apart = sum(float(((one[name] - two[name]) ** 2).sum()) for name in one)
    assert apart < 1e-6 * sum(float((one[name] ** 2).sum()) for name in one)
    records = [json.loads((tmp_path / name / "model.json").read_text())["training"] for name in ("one", "two")]
    assert records[0]["tokens"] == records[1]["tokens"] and records[0]["bytes"] == records[1]["bytes"]
    assert not list(tmp_path.glob("*.training"))


def test_a_killed_process_stops_the_other_and_the_resumed_run_is_the_same(in_processes, small, tmp_path):
    steps = in_processes("lm_processes", "killed_and_stopped", small.text, small.tokenizers["bpe"]).split()
    assert steps == ["4", "4"]
    assert_same(weights(tmp_path / "whole"), weights(tmp_path / "killed"))
    assert losses(tmp_path / "whole") == losses(tmp_path / "killed")


def test_the_command_under_torchrun_survives_a_killed_process(torchrun, small, tmp_path):
    config = {"d_model": 16, "layers": 1, "heads": 2, "context": 16, "batch": 4, "steps": 10, "checkpoint_every": 4}
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    words = ["lm", "train", "--tokenizer", small.tokenizers["bpe"], "--corpus", small.text, "--out", "two", "--json"]
    words += ["--config", "config.json"]
    killed = ["tokframe_lm.data.windows:Windows.read", 7]
    done = torchrun("killed_once", *killed, *words, options=["--max-restarts", "1"])
    assert done.returncode == 0, done.stderr
    assert "in process 1 of 2: training in 2 processes failed" in done.stderr
    assert json.loads(done.stdout)["steps"] == 10  # said once
    small.train("bpe", tmp_path / "one", config=config | {"learning_rate": 0.001})
    np.testing.assert_allclose(losses(tmp_path / "one"), losses(tmp_path / "two"), rtol=1e-4)


@pytest.mark.parametrize(("batch", "count"), [(16, 1), (16, 2), (5, 2), (7, 3), (2, 3), (1, 4)])
def test_shares_of_a_batch_are_its_mean(batch, count):
    values = np.random.default_rng(0).random(batch)
    total, seen = 0.0, []
    for number in range(count):
        processes = Processes(torch.device("cpu"))
        processes.world_size, processes.rank = count, number
        rows, weight = _share(processes, batch)
        total += values[rows].mean() * weight
        seen += values[rows].tolist() if weight else []
    assert total == pytest.approx(values.mean())
    assert seen == values.tolist()
