"""Train a tiny autoencoder in several processes. Arguments: the function below to call, and its arguments.

`train(folder, count)` leaves the weights of process N in FOLDER-N.npz and its figures in FOLDER-N.json.
"""

import itertools
import json
import signal
import sys
from pathlib import Path

import numpy as np
from attrs import evolve
from support.networks import tiny_autoencoder
from support.stopping import never
from support.together import die, together
from tokframe_autoencoder.training.config import TrainingConfig
from tokframe_autoencoder.training.loop import train_network
from tokframe_torch.checkpoint import read_checkpoint
from tokframe_torch.processes import process_group

SEGMENTS = [bytes([a, b]) + b"!" * (b % 3) for a in range(65, 73) for b in range(97, 105)]
WEIGHTS = np.arange(len(SEGMENTS), 0, -1.0)
CONFIG = TrainingConfig(
    batch_size=16,
    max_steps=60,
    code_steps=20,
    eval_interval=5,
    learning_rate=0.005,
    precision="fp32",
    threads=1,
    guide="front-length-back",
)


def train(name, count, config=CONFIG, quantizer="fsq", should_stop=lambda number: never):
    folder = Path(name)

    def work(number):
        # only the first may touch the folder
        place = folder if number == 0 else folder / "nobody" / "writes" / "here"
        with process_group("cpu", folder) as processes:
            made = train_network(
                lambda: tiny_autoencoder(quantizer),
                SEGMENTS,
                WEIGHTS,
                config,
                workdir=place,
                resume=True,
                device="cpu",
                processes=processes,
                should_stop=should_stop(number),
            )
        figures = {"history": [record["loss"] for record in made.history], "steps": made.steps}
        Path(f"{name}-{number}.json").write_text(json.dumps(figures))
        np.savez(f"{name}-{number}.npz", **made.network.arrays())

    ends = [work(0)] and [0] if count == 1 else together(count, work)
    assert not (folder / "nobody").exists()
    return ends


def in_one_two_and_three(quantizer):
    for count in (1, 2, 3):
        assert set(train(f"of{count}", count, quantizer=quantizer)) == {0}


def killed_at_several_steps():
    """Print the step of the checkpoint after each kill."""

    def killed(victim, step):
        calls = itertools.count()
        return lambda number: lambda: next(calls) == step and number == victim and die()

    assert train("whole", 2) == [0, 0]
    for victim, step in [(1, 3), (0, 8), (1, 7), (1, 26), (0, 19)]:
        ends = train("killed", 2, should_stop=killed(victim, step))
        assert ends[victim] == -signal.SIGKILL and ends[1 - victim] == 3, ends
        said = Path(f"error-{1 - victim}").read_text()
        assert said.startswith("TrainingError") and "--resume" in said, said
        found = read_checkpoint(Path("killed"))  # whole, or none yet
        print(found.record["step"] if found else 0)
    assert train("killed", 2) == [0, 0]


def resumed_by_more():
    def told(number):  # the second process alone is told to stop, and all do
        calls = itertools.count()
        return lambda: number == 1 and next(calls) >= 13

    train("whole", 1)
    assert train("parts", 2, should_stop=told) == [3, 3]
    for number in (0, 1):
        said = Path(f"error-{number}").read_text()
        assert said.startswith("TrainingInterrupted") and "step 13" in said, said
    assert train("parts", 3) == [0, 0, 0]


def with_a_batch_too_small():
    """Print the error of the last process."""
    assert train("small", 3, evolve(CONFIG, batch_size=2)) == [3, 3, 3]
    print(Path("error-2").read_text())


train("warm", 1, evolve(CONFIG, max_steps=4, code_steps=2, eval_interval=2))  # torch imports much at a first step
globals()[sys.argv[1]](*sys.argv[2:])
