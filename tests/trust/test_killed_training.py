"""Training that is killed, runs out of disk or loses power: the last checkpoint is whole and leads to the same end."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from tokframe_torch.checkpoint import Checkpoint, read_checkpoint, write_checkpoint  # noqa: E402

from tokframe.errors import TrainingError  # noqa: E402

pytestmark = pytest.mark.trains

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")

#: Trains a small network in forked children, so that torch is imported once; the kills are real SIGKILLs.
KILLED = """
import hashlib, os, random, signal, sys, time
from pathlib import Path
import numpy as np
import torch
from attrs import evolve
torch.set_num_threads(1)
from tokframe_autoencoder.network.autoencoder import Autoencoder
from tokframe_autoencoder.network.config import DecoderConfig, EncoderConfig, FSQConfig
from tokframe_autoencoder.network.decoder import DeconvDecoder
from tokframe_autoencoder.network.encoder import ConvEncoder
from tokframe_autoencoder.network.fsq import FSQ
from tokframe_torch.checkpoint import read_checkpoint
from tokframe_autoencoder.training.config import TrainingConfig
from tokframe_autoencoder.training.loop import train_network

shape = {"d_latent": 16, "max_length": 4}
segments = [bytes([a, b]) for a in range(65, 73) for b in range(97, 105)]
config = TrainingConfig(batch_size=16, max_steps=120, code_steps=40, eval_interval=5, precision="fp32", threads=1)

def build():
    encoder = ConvEncoder(EncoderConfig(d_char=8, conv_channels=(16,), kernel_sizes=(3,), strides=(1,)), **shape)
    decoder = DeconvDecoder(
        DecoderConfig(deconv_channels=(16,), kernel_sizes=(3,), strides=(2,), start_channels=16, hidden_width=32),
        **shape,
    )
    return Autoencoder(encoder, FSQ(FSQConfig(levels=(8, 8, 8)), **shape), decoder, max_length=4)

def train(folder, config=config):
    weights = np.arange(len(segments), 0, -1.0)
    made = train_network(build, segments, weights, config, workdir=folder, resume=True, device="cpu")
    digest = hashlib.sha256()
    for name, array in sorted(made.network.arrays().items()):
        digest.update(name.encode() + array.tobytes())
    (folder / "end").write_text(f"{made.steps} {digest.hexdigest()}")

def start(folder):
    folder.mkdir(exist_ok=True)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            train(folder)
            code = 0
        finally:
            os._exit(code)
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
    assert code == -signal.SIGKILL, code  # a child that fails by itself could not go on
    kills += 1
    found = read_checkpoint(folder)  # whole, or none yet
    step = (lives, found.record["step"] if found else 0)
    idle = idle + 1 if step in steps else 0
    steps.add(step)
    if idle >= 5:
        longest *= 2  # a slow machine: let it live long enough to get anywhere
        idle = 0
print(kills, lives, len(steps))
"""


@needs_fork
def test_sixty_kills_at_random_moments_end_in_the_same_weights_as_none(in_processes, tmp_path):
    kills, lives, places = map(int, in_processes(KILLED, tmp_path, 60).split())
    assert kills >= 60 and lives >= 1
    assert places >= 5, "the kills all fell at one place"


#: Dies, by SIGKILL, at the n-th file operation of writing a checkpoint, for every n.
AT_EVERY_STEP = """
import os, signal, sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from tokframe_torch.checkpoint import Checkpoint, read_checkpoint, write_checkpoint

folder = Path(sys.argv[1])
def state(value, step):
    return Checkpoint(tensors={"w": torch.full((64,), float(value))}, record={"step": step, "stage": 0})

count = dies_at = 0
def operation(event, arguments):
    global count
    if dies_at and (event == "open" or event.startswith("os.") or event == "fsync"):
        count += 1
        if count == dies_at:
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(operation)
fsync = os.fsync
def audited(descriptor):
    sys.audit("fsync", descriptor)
    fsync(descriptor)
os.fsync = audited

write_checkpoint(folder, state(0, 5))
deaths = 0
for at in range(1, 200):
    old = read_checkpoint(folder)
    child = os.fork()
    if child == 0:
        dies_at = at
        write_checkpoint(folder, state(at, 5))  # at the same step, as where one stage ends and the next begins
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    found = read_checkpoint(folder)
    value = float(found.tensors["w"][0])
    assert (found.tensors["w"] == value).all() and value in (at, float(old.tensors["w"][0])), (at, value)
    if code == 0:
        assert value == at
        break
    assert code == -signal.SIGKILL
    deaths += 1
else:
    raise SystemExit("never got through")
left = sorted(path.name for path in folder.iterdir())
assert len(left) == 2 and left[1] == "training.json", left
print(deaths)
"""


@needs_fork
def test_a_kill_at_every_file_operation_leaves_the_old_checkpoint_or_the_new(in_processes, tmp_path):
    assert int(in_processes(AT_EVERY_STEP, tmp_path / "work")) >= 8


def state(value: float, step: int = 5) -> Checkpoint:
    return Checkpoint(tensors={"w": torch.full((64,), value)}, record={"step": step, "figure": float("nan")})


@pytest.mark.parametrize("step", ["os.fsync", "os.replace", "tokframe.storage.atomic.write_file"])
def test_a_full_disk_is_a_clear_error_and_the_old_checkpoint_survives(tmp_path, monkeypatch, step):
    write_checkpoint(tmp_path, state(1))
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def full(*arguments, **named):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(step, full)
        with pytest.raises(TrainingError, match="No space left on device") as caught:
            write_checkpoint(tmp_path, state(2))
    assert "Free the space" in str(caught.value) and "--resume" in str(caught.value)
    found = read_checkpoint(tmp_path)
    assert float(found.tensors["w"][0]) == 1
    assert before.items() <= {path.name: path.read_bytes() for path in tmp_path.iterdir()}.items()
    write_checkpoint(tmp_path, state(3))
    assert len(list(tmp_path.iterdir())) == 2, "what the failure left is cleared away"


FULL = """
import resource, signal, sys
from pathlib import Path
import torch
from tokframe.errors import TrainingError
from tokframe_torch.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
folder = Path(sys.argv[1])
write_checkpoint(folder, Checkpoint(tensors={"w": torch.zeros(10)}, record={"step": 1}))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, 1 << 16))
try:
    write_checkpoint(folder, Checkpoint(tensors={"w": torch.zeros(1 << 20)}, record={"step": 2}))
except TrainingError as error:
    print(error)
assert read_checkpoint(folder).record["step"] == 1
assert len(list(folder.iterdir())) == 2
"""


@needs_fork
def test_a_system_that_refuses_to_write_more_is_the_same_clear_error(in_processes, tmp_path):
    assert "cannot write the checkpoint" in in_processes(FULL, tmp_path / "work")


def test_nothing_is_relied_on_before_it_is_flushed(tmp_path, monkeypatch):
    """Writes that were not flushed are lost when power is cut, so the order of flushes and renames is what counts."""
    write_checkpoint(tmp_path, state(1))
    log = []
    fsync, replace, unlink = os.fsync, os.replace, Path.unlink

    def noted_unlink(path, missing_ok=False):
        if path.exists() and not path.name.endswith(".lock"):  # which says nothing about what is on disk
            log.append(("unlink", path.name))
        unlink(path, missing_ok)

    def noted_fsync(descriptor):
        log.append(("fsync", os.fstat(descriptor).st_ino))
        fsync(descriptor)

    def noted_replace(source, target):
        log.append(("rename", os.stat(source).st_ino, Path(target).name))
        replace(source, target)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(os, "replace", noted_replace)
    monkeypatch.setattr(Path, "unlink", noted_unlink)
    write_checkpoint(tmp_path, state(2, 6))
    folder = os.stat(tmp_path).st_ino
    (data, record) = [entry for entry in log if entry[0] == "rename"]
    removed = [entry for entry in log if entry[0] == "unlink"]
    assert len(removed) == 1 and removed[0][1].startswith("training-5-")
    expected = [("fsync", data[1]), data, ("fsync", folder), ("fsync", record[1]), record, ("fsync", folder), *removed]
    assert log == expected
    assert data[2].startswith("training-6-") and record[2] == "training.json"


def test_any_byte_of_a_checkpoint_altered_is_noticed(tmp_path):
    write_checkpoint(tmp_path, state(1))
    for path in tmp_path.iterdir():
        data = path.read_bytes()
        for position in range(0, len(data), 1 if path.suffix == ".json" else 5):
            altered = bytearray(data)
            altered[position] ^= 1 << position % 7
            path.write_bytes(altered)
            with pytest.raises(TrainingError, match="--resume"):
                read_checkpoint(tmp_path)
        path.write_bytes(data)
    assert read_checkpoint(tmp_path) is not None
