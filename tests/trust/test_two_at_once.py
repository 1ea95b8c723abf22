"""Two runs at one output place: one is refused at once, and neither harms what the other has."""

from __future__ import annotations

import errno
import os
import signal
import threading
import time
from pathlib import Path

import pytest

import tokframe
from tokframe.cli.main import main
from tokframe.errors import ArtifactError, ShardsError, TokframeError
from tokframe.shards import tokenize
from tokframe.storage.locks import exclusive

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")


def forked(work):
    """Run `work` in a forked process, which then ends at once; return its id."""
    child = os.fork()
    if child:
        return child
    try:
        work()
        os._exit(0)
    except BaseException:
        os._exit(1)


@pytest.fixture
def held_elsewhere(tmp_path):
    """`tmp_path / "out"` is being written by another process: its id."""
    reader, writer = os.pipe()

    def hold():
        with exclusive(tmp_path / "out"):
            os.write(writer, b"1")
            time.sleep(600)

    child = forked(hold)
    os.read(reader, 1)
    yield child
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


COMMANDS = {
    "train": "train word --corpus text --out out --resume",
    "tokenize": "tokenize bpe --corpus text --out out --resume",
    "export": "export bpe --format huggingface --out out",
    "import": "import nothing.json --out out",
    "prune": "prune nothing/there --vocab-size 300 --out out",
    "extend": "extend autoencoder-fsq --corpus text --vocab-size 40000 --out out",
    "new-plugin": "new-plugin tokframe-x --kind tokenizer --out out",
    "lm train": "lm train --tokenizer bpe --corpus text --out out --resume",
    "lm finetune": "lm finetune nothing --corpus text --out out --resume",
    "lm migrate": "lm migrate nothing --to bpe --out out",
    "lm compare": "lm compare bpe --corpus text --eval text --out out",
}


@needs_fork
@pytest.mark.parametrize("command", COMMANDS)
def test_a_second_run_is_refused_at_once_with_the_process_that_writes(
    command, held_elsewhere, tmp_path, monkeypatch, capsys
):
    if command.startswith("lm"):
        pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    Path("text").write_text("some words of text\n" * 100)
    assert main(COMMANDS[command].split()) == 1
    assert f"another process is writing to {tmp_path / 'out'} (pid {held_elsewhere})" in capsys.readouterr().err
    assert sorted(os.listdir()) == [".out.lock", "text"]


@needs_fork
def test_the_lock_of_a_killed_process_does_not_block(tmp_path, held_elsewhere):
    os.kill(held_elsewhere, signal.SIGKILL)
    os.waitid(os.P_PID, held_elsewhere, os.WEXITED | os.WNOWAIT)
    with exclusive(tmp_path / "out"):
        pass
    assert not os.listdir(tmp_path)


def test_a_second_thread_is_refused_and_the_first_keeps_its_lock(tmp_path):
    place, told = tmp_path / "made" / "for" / "out", []

    def second():
        for _ in range(3):
            try:
                with exclusive(place):
                    told.append("taken")
            except ArtifactError as error:
                told.append(str(error))

    with exclusive(place):
        thread = threading.Thread(target=second)
        thread.start()
        thread.join()
    assert len(told) == 3
    assert all(f"another thread of this process is writing to {place} (pid {os.getpid()})" in text for text in told)
    assert not os.listdir(tmp_path), "folders made for it are removed too"


@needs_fork
def test_a_forked_child_neither_keeps_nor_releases_the_lock(tmp_path):
    gate, opened = os.pipe()
    with exclusive(tmp_path / "out"):
        child = os.fork()
        if not child:
            os.close(opened)
            os.read(gate, 1)  # until the parent is done
            os._exit(0)

        def leave():
            raise SystemExit

        other = os.fork()  # which leaves the body as the parent will
        if other:
            assert os.waitstatus_to_exitcode(os.waitpid(other, 0)[1]) == 0
            with pytest.raises(ArtifactError, match="is writing to"), exclusive(tmp_path / "out"):
                pass
    if not other:
        os._exit(0)
    with exclusive(tmp_path / "out"):
        pass
    os.close(opened)
    os.waitpid(child, 0)


def test_two_names_of_one_place_are_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to(tmp_path, target_is_directory=True)
    with exclusive(Path("out")):
        for name in (tmp_path / "out", Path("link/out")):
            with pytest.raises(ArtifactError, match="is writing to"), exclusive(name):
                pass
        with exclusive(Path("other")):
            pass


def test_a_place_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").touch()
    told = r"cannot write to .*file.*Choose a path in a folder"
    with pytest.raises(ArtifactError, match=told), exclusive(tmp_path / "file" / "out"):
        pass
    (tmp_path / ".out.lock").symlink_to(tmp_path / "file")
    with pytest.raises(ArtifactError, match=r"\.out\.lock: is a link"), exclusive(tmp_path / "out"):
        pass


def test_a_full_disk_costs_the_name_of_the_process_alone(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "ftruncate", full)
    with exclusive(tmp_path / "out"):
        told = rf"is writing to {tmp_path / 'out'}\. Wait until"
        with pytest.raises(ArtifactError, match=told), exclusive(tmp_path / "out"):
            pass


def test_without_locks_it_is_told_and_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr("tokframe.storage.locks.try_lock", lambda _: None)
    told = "has no locks: see to it that no other run writes to"
    with pytest.warns(UserWarning, match=told), exclusive(tmp_path / "out"):
        pass
    assert not os.listdir(tmp_path)


def test_a_lock_is_held_for_the_whole_run_and_no_longer(tmp_path):
    (tmp_path / "a.txt").write_text("some words of text\n" * 100)
    told = []

    def try_another():
        try:
            tokenize("bpe", corpus=[tmp_path / "a.txt"], out=tmp_path / "out", workers=1)
        except ShardsError as error:
            told.append(str(error))
        try:
            tokframe.train("word", corpus=[tmp_path / "a.txt"], out=tmp_path / "out")
        except TokframeError as error:
            told.append(str(error))
        return False

    tokframe.train("word", corpus=[tmp_path / "a.txt"], out=tmp_path / "out", should_stop=try_another)
    assert told and all("is writing to" in text for text in told)
    assert sorted(os.listdir(tmp_path)) == ["a.txt", "out"]


@needs_fork
def test_checkpoints_of_two_writers_are_always_whole(tmp_path):
    torch = pytest.importorskip("torch")
    from tokframe_torch.checkpoint import Checkpoint, read_checkpoint, write_checkpoint

    def write(value):
        write_checkpoint(tmp_path, Checkpoint(tensors={"w": torch.full((2000,), value)}, record={"value": value}))

    write(0.0)
    children = [forked(lambda start=start: [write(start + n) for n in range(40)]) for start in (1.0, 100.0)]
    while children:
        found = read_checkpoint(tmp_path)
        assert found is not None and (found.tensors["w"] == found.record["value"]).all()
        ended, status = os.waitpid(children[0], os.WNOHANG)
        if ended:
            assert status == 0
            children.pop(0)
    assert sorted(os.listdir(tmp_path)) == [".tokframe-run", "training.checkpoint"]
