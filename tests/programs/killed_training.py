"""Kill a small training at random moments until it was killed often enough; it must always end in the same weights.

Arguments: an empty folder, the number of kills. Prints kills, runs that ended, and different steps of the kills.
Children are forked, so that torch is imported once; the kills are real SIGKILLs.
"""

import hashlib
import os
import random
import signal
import sys
import time
from pathlib import Path

import numpy as np
import torch
from attrs import evolve
from support.networks import tiny_autoencoder
from tokframe_autoencoder.training.config import TrainingConfig
from tokframe_autoencoder.training.loop import train_network
from tokframe_torch.checkpoint import read_checkpoint

torch.set_num_threads(1)
segments = [bytes([a, b]) for a in range(65, 73) for b in range(97, 105)]
config = TrainingConfig(
    batch_size=16, max_steps=120, code_steps=40, eval_interval=5, precision="fp32", threads=1, guide="front-length-back"
)


def train(folder, config=config):
    weights = np.arange(len(segments), 0, -1.0)
    made = train_network(tiny_autoencoder, segments, weights, config, workdir=folder, resume=True, device="cpu")
    digest = hashlib.sha256()
    for name, array in sorted(made.network.arrays().items()):
        digest.update(name.encode() + array.tobytes())
    (folder / "end").write_text(f"{made.steps} {digest.hexdigest()}")


def start(folder):
    folder.mkdir(exist_ok=True)
    child = os.fork()
    if child == 0:
        train(folder)
        os._exit(0)
    return child


os.fsync = lambda descriptor: None  # a kill loses no write; what a power cut loses is in test_power_cut.py
root, wanted = Path(sys.argv[1]), int(sys.argv[2])
(root / "warm").mkdir()
train(root / "warm", evolve(config, max_steps=6, code_steps=3, eval_interval=3))  # torch imports much at a first step
begun = time.monotonic()
assert os.waitstatus_to_exitcode(os.waitpid(start(root / "whole"), 0)[1]) == 0
longest = (time.monotonic() - begun) / 4
whole = (root / "whole" / "end").read_text()
rng = random.Random(0)
kills = lives = 0
steps = set()
idle = 0
while kills < wanted or not lives:
    folder = root / f"life{lives}"
    child = start(folder)
    time.sleep(rng.uniform(0, longest))
    os.kill(child, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code == 0:
        assert (folder / "end").read_text() == whole, (folder, whole, (folder / "end").read_text())
        lives += 1
        continue
    assert code == -signal.SIGKILL, code  # a child that fails by itself could not continue
    kills += 1
    found = read_checkpoint(folder)  # whole, or none yet
    step = (lives, found.record["step"] if found else 0)
    idle = idle + 1 if step in steps else 0
    steps.add(step)
    if idle >= 5:
        longest *= 2  # a slow machine: let it live long enough to get anywhere
        idle = 0
print(kills, lives, len(steps))
