"""Training in several processes: the same end as one, a lost process is a clean stop, and a resumed run is the same."""

from __future__ import annotations

import json
import os
from pathlib import Path
from textwrap import dedent

import numpy as np
import pytest
from safetensors.numpy import load_file

import tokframe
from tokframe.loading.inspection import verify

pytestmark = pytest.mark.trains

torch = pytest.importorskip("torch")
if not (torch.distributed.is_available() and torch.distributed.is_gloo_available() and hasattr(os, "fork")):
    pytest.skip("needs gloo and fork", allow_module_level=True)

#: A net of a few thousand weights; `train(folder, count)` trains it in so many processes.
TRAINING = """
import itertools, json, signal
from pathlib import Path
import numpy as np
from support.together import die, together
from attrs import evolve
from tokframe_autoencoder.network.autoencoder import Autoencoder
from tokframe_autoencoder.network.config import DecoderConfig, EncoderConfig, FSQConfig, VQConfig
from tokframe_autoencoder.network.decoder import DeconvDecoder
from tokframe_autoencoder.network.encoder import ConvEncoder
from tokframe_autoencoder.network.fsq import FSQ
from tokframe_autoencoder.network.vq import VQ
from tokframe_autoencoder.training.config import TrainingConfig
from tokframe_autoencoder.training.loop import train_network
from tokframe_torch.processes import process_group

shape = {"d_latent": 16, "max_length": 4}
segments = [bytes([a, b]) + b"!" * (b % 3) for a in range(65, 73) for b in range(97, 105)]
weights = np.arange(len(segments), 0, -1.0)
CONFIG = TrainingConfig(
    batch_size=16, max_steps=60, code_steps=20, eval_interval=5, learning_rate=0.005, precision="fp32", threads=1
)
never = lambda: False

def build(quantizer):
    encoder = ConvEncoder(EncoderConfig(d_char=8, conv_channels=(16,), kernel_sizes=(3,), strides=(1,)), **shape)
    decoder = DeconvDecoder(
        DecoderConfig(deconv_channels=(16,), kernel_sizes=(3,), strides=(2,), start_channels=16, hidden_width=32),
        **shape,
    )
    if quantizer == "vq":
        middle = VQ(VQConfig(codebook_size=128, vocab_size=300, revive_after=4), **shape)
    else:
        middle = FSQ(FSQConfig(levels=(8, 8, 8)), **shape)
    return Autoencoder(encoder, middle, decoder, max_length=4)

def train(folder, count, config=CONFIG, quantizer="fsq", should_stop=lambda number: never):
    def work(number):
        # only the first may touch the folder
        place = folder if number == 0 else folder / "nobody" / "writes" / "here"
        with process_group("cpu", folder) as processes:
            made = train_network(
                lambda: build(quantizer), segments, weights, config, workdir=place, resume=True, device="cpu",
                processes=processes, should_stop=should_stop(number),
            )
        figures = {"history": [record["loss"] for record in made.history], "steps": made.steps}
        Path(f"{folder.name}-{number}.json").write_text(json.dumps(figures))
        np.savez(f"{folder.name}-{number}.npz", **made.network.arrays())
    ends = [work(0)] and [0] if count == 1 else together(count, work)
    assert not (folder / "nobody").exists()
    return ends

train(Path("warm"), 1, evolve(CONFIG, max_steps=4, code_steps=2, eval_interval=2))  # torch imports much at a first step
"""


def weights(folder: Path, name: str, number: int = 0) -> dict[str, np.ndarray]:
    with np.load(folder / f"{name}-{number}.npz") as found:
        return dict(found)


def assert_same(first: dict[str, np.ndarray], second: dict[str, np.ndarray]) -> None:
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert np.array_equal(value, second[name]), name


def distance(first: dict[str, np.ndarray], second: dict[str, np.ndarray]) -> float:
    """How far apart two sets of weights are, as a share of their length."""
    one, two = (np.concatenate([w[name].ravel() for name in sorted(first)]).astype(float) for w in (first, second))
    return float(np.linalg.norm(one - two) / np.linalg.norm(one))


@pytest.mark.parametrize("quantizer", ["fsq", "vq"])
def test_any_number_of_processes_comes_to_the_weights_of_one(in_processes, tmp_path, quantizer):
    # Three shares of 16 are uneven; VQ's codebook follows whole batches, so it has to see all shares.
    source = """
    import sys
    for count in (1, 2, 3):
        assert set(train(Path(f"of{count}"), count, quantizer=sys.argv[1])) == {0}
    """
    in_processes(TRAINING + dedent(source), quantizer)
    one = weights(tmp_path, "of1")
    for count in (2, 3):
        for number in range(1, count):
            assert_same(weights(tmp_path, f"of{count}"), weights(tmp_path, f"of{count}", number))
        assert distance(one, weights(tmp_path, f"of{count}")) < 1e-4
        losses = [_figures(tmp_path, f"of{n}")["history"] for n in (1, count)]
        np.testing.assert_allclose(*losses, rtol=1e-4)


def test_a_process_killed_at_any_step_stops_the_others_and_costs_nothing(in_processes, tmp_path):
    source = """
    from tokframe_torch.checkpoint import read_checkpoint

    assert train(Path("whole"), 2) == [0, 0]
    def killed(victim, step):
        calls = itertools.count()
        return lambda number: (lambda: next(calls) == step and number == victim and die())
    for life, (victim, step) in enumerate([(1, 3), (0, 8), (1, 7), (1, 26), (0, 19)]):
        ends = train(Path("killed"), 2, should_stop=killed(victim, step))
        assert ends[victim] == -signal.SIGKILL and ends[1 - victim] == 3, ends
        said = Path(f"error-{1 - victim}").read_text()
        assert said.startswith("TrainingError") and "--resume" in said, said
        found = read_checkpoint(Path("killed"))  # whole, or none yet
        print(found.record["step"] if found else 0)
    assert train(Path("killed"), 2) == [0, 0]
    """
    steps = [int(line) for line in in_processes(TRAINING + dedent(source)).split()]
    assert steps == sorted(steps) and steps[-1] >= 40, steps
    assert_same(weights(tmp_path, "whole"), weights(tmp_path, "killed"))
    assert_same(weights(tmp_path, "whole"), weights(tmp_path, "killed", 1))


def test_a_run_goes_on_with_another_number_of_processes(in_processes, tmp_path):
    source = """
    train(Path("whole"), 1)
    def told(number):  # the second process alone is told to stop, and all do
        calls = itertools.count()
        return lambda: number == 1 and next(calls) >= 13
    assert train(Path("parts"), 2, should_stop=told) == [3, 3]
    for number in (0, 1):
        said = Path(f"error-{number}").read_text()
        assert said.startswith("TrainingInterrupted") and "step 13" in said, said
    assert train(Path("parts"), 3) == [0, 0, 0]
    """
    in_processes(TRAINING + dedent(source))
    assert distance(weights(tmp_path, "whole"), weights(tmp_path, "parts")) < 1e-4
    assert _figures(tmp_path, "parts")["steps"] == 60


def test_a_batch_smaller_than_the_processes_is_an_error(in_processes):
    said = in_processes(
        TRAINING
        + dedent("""
        assert train(Path("small"), 3, evolve(CONFIG, batch_size=2)) == [3, 3, 3]
        print(Path("error-2").read_text())
        """)
    )
    assert "batch of 2 cannot be split over 3 processes" in said


#: The command line, whose second process dies once, at its 30th step.
COMMAND = """
import os, signal, sys
from tokframe.training import torchrun as processes
from tokframe.cli.main import main
from tokframe_autoencoder.training.loop import _Run

steps, update = 0, _Run.update

def mortal(*arguments):
    global steps
    steps += 1
    if steps == 30 and processes.number() == 1 and not processes.restarted():
        os.kill(os.getpid(), signal.SIGKILL)
    return update(*arguments)

_Run.update = mortal
sys.exit(main())
"""


def test_the_command_under_torchrun_survives_a_killed_process(torchrun, tmp_path, corpus, config):
    config["training"] |= {"max_steps": 120, "code_steps": 40, "eval_interval": 10, "precision": "fp32"}
    config["fsq"]["vocab_size"] = 300
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    words = ["train", "autoencoder-fsq", "--corpus", corpus, "--config", "config.json", "--out", "two", "--json"]
    done = torchrun(COMMAND, *words, options=["--max-restarts", "1"])
    assert done.returncode == 0, done.stderr
    assert "in process 1 of 2: training in 2 processes failed" in done.stderr
    assert json.loads(done.stdout)["out"] == "two"  # said once
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.json", "started.py", "two"]
    assert verify(tmp_path / "two").ok
    tokframe.train("autoencoder-fsq", corpus=[corpus], config=config, out=tmp_path / "one")
    one, two = (_arrays(tmp_path / name / "weights.safetensors") for name in ("one", "two"))
    assert distance(one, two) < 1e-3


def _arrays(path: Path) -> dict[str, np.ndarray]:
    return load_file(path)


def _figures(folder: Path, name: str) -> dict:
    return json.loads((folder / f"{name}-0.json").read_text())
