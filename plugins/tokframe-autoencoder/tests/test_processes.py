"""Training in several processes: the same end as one, a lost process is a clean stop, and a resumed run is the same."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file
from support.networks import assert_same

import tokframe
from tokframe.loading.inspection import verify

pytestmark = pytest.mark.trains

torch = pytest.importorskip("torch")
if not (torch.distributed.is_available() and torch.distributed.is_gloo_available() and hasattr(os, "fork")):
    pytest.skip("needs gloo and fork", allow_module_level=True)


def weights(folder: Path, name: str, number: int = 0) -> dict[str, np.ndarray]:
    with np.load(folder / f"{name}-{number}.npz") as found:
        return dict(found)


def distance(first: dict[str, np.ndarray], second: dict[str, np.ndarray]) -> float:
    """How far apart two sets of weights are, as a share of their length."""
    one, two = (np.concatenate([w[name].ravel() for name in sorted(first)]).astype(float) for w in (first, second))
    return float(np.linalg.norm(one - two) / np.linalg.norm(one))


@pytest.mark.parametrize("quantizer", ["fsq", "vq"])
def test_any_number_of_processes_comes_to_the_weights_of_one(in_processes, tmp_path, quantizer):
    # Three shares of 16 are uneven; VQ's codebook follows whole batches, so it has to see all shares.
    in_processes("autoencoder_processes", "in_one_two_and_three", quantizer)
    one = weights(tmp_path, "of1")
    for count in (2, 3):
        for number in range(1, count):
            assert_same(weights(tmp_path, f"of{count}"), weights(tmp_path, f"of{count}", number))
        assert distance(one, weights(tmp_path, f"of{count}")) < 1e-4
        losses = [json.loads((tmp_path / f"of{n}-0.json").read_text())["history"] for n in (1, count)]
        np.testing.assert_allclose(*losses, rtol=1e-4)


def test_a_process_killed_at_any_step_stops_the_others_and_costs_nothing(in_processes, tmp_path):
    steps = [int(line) for line in in_processes("autoencoder_processes", "killed_at_several_steps").split()]
    assert steps == sorted(steps) and steps[-1] >= 40, steps
    assert_same(weights(tmp_path, "whole"), weights(tmp_path, "killed"))
    assert_same(weights(tmp_path, "whole"), weights(tmp_path, "killed", 1))


def test_a_run_goes_on_with_another_number_of_processes(in_processes, tmp_path):
    in_processes("autoencoder_processes", "resumed_by_more")
    assert distance(weights(tmp_path, "whole"), weights(tmp_path, "parts")) < 1e-4
    assert json.loads((tmp_path / "parts-0.json").read_text())["steps"] == 60


def test_a_batch_smaller_than_the_processes_is_an_error(in_processes):
    said = in_processes("autoencoder_processes", "with_a_batch_too_small")
    assert "batch of 2 cannot be split over 3 processes" in said


def test_the_command_under_torchrun_survives_a_killed_process(torchrun, tmp_path, corpus, config):
    config["training"] |= {"max_steps": 120, "code_steps": 40, "eval_interval": 10, "precision": "fp32"}
    config["fsq"]["vocab_size"] = 300
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    words = ["train", "autoencoder-fsq", "--corpus", corpus, "--config", "config.json", "--out", "two", "--json"]
    killed = ["tokframe_autoencoder.training.loop:_Run.update", 30]
    done = torchrun("killed_once", *killed, *words, options=["--max-restarts", "1"])
    assert done.returncode == 0, done.stderr
    assert "in process 1 of 2: training in 2 processes failed" in done.stderr
    assert json.loads(done.stdout)["out"] == "two"  # said once
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.json", "two"]
    assert verify(tmp_path / "two").ok
    tokframe.train("autoencoder-fsq", corpus=[corpus], config=config, out=tmp_path / "one")
    one, two = (load_file(tmp_path / name / "weights.safetensors") for name in ("one", "two"))
    assert distance(one, two) < 1e-3
