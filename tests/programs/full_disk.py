"""Write a checkpoint larger than the system allows a file to be; print the error. Argument: the folder."""

import resource
import signal
import sys
from pathlib import Path

import torch
from tokframe_torch.checkpoint import Checkpoint, read_checkpoint, write_checkpoint

from tokframe.errors import TrainingError

folder = Path(sys.argv[1])
write_checkpoint(folder, Checkpoint(tensors={"w": torch.zeros(10)}, record={"step": 1}))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, 1 << 16))
try:
    write_checkpoint(folder, Checkpoint(tensors={"w": torch.zeros(1 << 20)}, record={"step": 2}))
except TrainingError as error:
    print(error)
assert read_checkpoint(folder).record["step"] == 1
assert sorted(path.name for path in folder.iterdir()) == [".tokframe-run", "training.checkpoint"]
