"""Training that is killed, runs out of disk or loses power: the last checkpoint is whole and leads to the same end."""

from __future__ import annotations

import errno
import os

import pytest

torch = pytest.importorskip("torch")

from tokframe_torch.checkpoint import Checkpoint, read_checkpoint, write_checkpoint  # noqa: E402

from tokframe.errors import TrainingError  # noqa: E402

pytestmark = pytest.mark.trains

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


@needs_fork
def test_sixty_kills_at_random_moments_end_in_the_same_weights_as_none(in_processes, tmp_path):
    kills, lives, places = map(int, in_processes("killed_training", tmp_path, 60).split())
    assert kills >= 60 and lives >= 1
    assert places >= 5, "the kills all fell at one place"


@needs_fork
def test_a_kill_at_every_file_operation_leaves_the_old_checkpoint_or_the_new(in_processes, tmp_path):
    assert int(in_processes("killed_checkpoint", tmp_path / "work")) >= 8


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
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == [".tokframe-run", "training.checkpoint"], "what the failure left is cleared away"


def test_a_run_whose_folder_was_moved_away_is_not_continued_at_the_old_place(tmp_path):
    with pytest.raises(
        TrainingError,
        match=r"cannot write the checkpoint to .*: No such file or directory; it was moved or removed during the run",
    ):
        write_checkpoint(tmp_path / "moved" / "run.training", state(1))
    assert not list(tmp_path.iterdir())


def test_a_first_checkpoint_that_cannot_be_written_promises_none(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(TrainingError, match=r"cannot write the checkpoint.*: Not a directory; it was moved"):
        write_checkpoint(tmp_path / "file" / "folder", state(1))


@needs_fork
def test_a_system_that_refuses_to_write_more_is_the_same_clear_error(in_processes, tmp_path):
    assert "cannot write the checkpoint" in in_processes("full_disk", tmp_path / "work")


def test_any_byte_of_a_checkpoint_altered_is_noticed(tmp_path):
    write_checkpoint(tmp_path, state(1))
    path = tmp_path / "training.checkpoint"
    data = path.read_bytes()
    for position in range(len(data)):
        altered = bytearray(data)
        altered[position] ^= 1 << position % 7
        path.write_bytes(altered)
        with pytest.raises(TrainingError, match=r"was altered.*to start again, remove"):
            read_checkpoint(tmp_path)
    for left in (0, 30, len(data) - 1):
        path.write_bytes(data[:left])
        with pytest.raises(TrainingError, match="was altered"):
            read_checkpoint(tmp_path)
    path.write_bytes(data)
    assert read_checkpoint(tmp_path) is not None
