"""Die at every file operation of writing a checkpoint; print the deaths. Argument: the folder."""

import sys
from pathlib import Path

import torch
from support.dying import deaths_of
from tokframe_torch.checkpoint import Checkpoint, read_checkpoint, write_checkpoint

torch.set_num_threads(1)
folder = Path(sys.argv[1])


def write(value):
    # At the same step each time, as where one stage ends and the next begins.
    checkpoint = Checkpoint(
        tensors={"w": torch.full((64,), float(value))}, record={"step": 5, "stage": 0, "value": value}
    )
    write_checkpoint(folder, checkpoint)


def value_now():
    found = read_checkpoint(folder)
    assert (found.tensors["w"] == found.record["value"]).all()
    return found.record["value"]


def check(at, died):
    global old
    assert value_now() in ((at, old) if died else (at,)), at
    old = value_now()


write(0)
old = 0
deaths = deaths_of(write, check)
left = sorted(path.name for path in folder.iterdir())
assert left == [".tokframe-run", "training.checkpoint"], left
print(deaths)
