"""Saving that is killed, runs out of disk or meets another saver: one whole artifact, and whoever lost is told."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from support.numbered import HEADER, state, value_of

from tokframe.errors import ArtifactError, ArtifactExistsError
from tokframe.storage import atomic as folders
from tokframe.storage.artifact import read, write
from tokframe.storage.manifest import FolderFormat

pytestmark = pytest.mark.slow

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


@needs_fork
@pytest.mark.parametrize("way", ["exchange", "two renames"])
def test_a_kill_at_every_file_operation_leaves_the_old_artifact_or_the_new(in_processes, tmp_path, way):
    deaths, lost = map(int, in_processes("killed_save", tmp_path / "mine", way).split())
    assert deaths >= 12
    assert lost <= 3 if way == "two renames" else lost == 0


@pytest.mark.parametrize("step", ["os.fsync", "os.rename", "builtins.open", "os.mkdir", "os.open", "os.write"])
def test_a_full_disk_is_a_clear_error_and_leaves_nothing(tmp_path, monkeypatch, step):
    def full(*arguments, **named):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(step, full)
        with pytest.raises(ArtifactError, match=r"cannot write .*No space left on device"):
            write(tmp_path / "mine", HEADER, state(1))
    assert os.listdir(tmp_path) == []


# -- two savers -------------------------------------------------------------------------------------------------


def meanwhile(monkeypatch, step: str, call) -> None:
    """Have `call` happen just before the first `step` in `tokframe.storage.atomic`."""
    real = getattr(folders, step)
    pending = [call]

    def wrapped(*arguments):
        if pending:
            pending.pop()()
        return real(*arguments)

    monkeypatch.setattr(folders, step, wrapped)


@pytest.mark.parametrize("step", ["write_file", "sync_folder", "_umask", "replace_folder"])
def test_of_two_new_saves_the_first_stays_whole_and_the_second_is_told(tmp_path, monkeypatch, step):
    target = tmp_path / "mine"
    meanwhile(monkeypatch, step, lambda: write(target, HEADER, state(1)))
    with pytest.raises(ArtifactExistsError, match="by another process while this one was saving") as caught:
        write(target, HEADER, state(2))
    assert caught.value.path == target
    assert value_of(target) == 1 and os.listdir(tmp_path) == ["mine"]


@pytest.mark.parametrize("step", ["write_file", "sync_folder", "_exchange"])
def test_of_two_overwriting_saves_one_wins_whole_and_the_other_is_told(tmp_path, monkeypatch, step):
    target = write(tmp_path / "mine", HEADER, state(0))
    monkeypatch.setattr(folders, "LOCK_TIMEOUT_S", 0.01)  # this thread would wait for itself
    meanwhile(monkeypatch, step, lambda: write(target, HEADER, state(1), overwrite=True))
    with pytest.raises(ArtifactExistsError, match="theirs is whole and was kept"):
        write(target, HEADER, state(2), overwrite=True)
    assert value_of(target) == 1 and os.listdir(tmp_path) == ["mine"]


def test_a_file_that_appears_meanwhile_is_kept(tmp_path, monkeypatch):
    target = tmp_path / "mine"
    meanwhile(monkeypatch, "_umask", lambda: target.write_bytes(b"mine, not yours"))
    with pytest.raises(ArtifactError):
        write(target, HEADER, state(2))
    assert target.read_bytes() == b"mine, not yours" and os.listdir(tmp_path) == ["mine"]


@needs_fork
def test_a_lock_given_up_while_another_looks_at_it_is_no_error(tmp_path, monkeypatch):
    """Another takes a new lock for a leftover and holds it first, so the writer removes it and uses another name."""
    lock = tmp_path / ".mine.tmp-0.lock"
    lock.touch()
    real = folders.is_at

    def given_up(descriptor, path):
        there = real(descriptor, path)
        if path == lock:
            lock.unlink()
        return there

    monkeypatch.setattr(folders, "is_at", given_up)
    target = write(tmp_path / "mine", HEADER, state(1))
    assert value_of(target) == 1 and os.listdir(tmp_path) == ["mine"]


@needs_fork
def test_of_four_processes_saving_to_one_place_exactly_one_wins(in_processes, tmp_path):
    (tmp_path / "work").mkdir()
    in_processes("racing_saves", tmp_path / "work")


@needs_fork
@pytest.mark.parametrize("way", ["exchange", "two renames"])
def test_of_six_processes_overwriting_one_place_one_wins_and_the_others_are_told(in_processes, tmp_path, way):
    """And with an exchange a reader always finds one whole artifact; two renames leave a gap between them."""
    (tmp_path / "work").mkdir()
    in_processes("overwriting_saves", tmp_path / "work", way, 12)


def test_a_load_that_an_overwriting_save_comes_across_begins_again(tmp_path, monkeypatch):
    target = write(tmp_path / "mine", HEADER, state(0))
    real, calls = FolderFormat.read_file, []

    def read_file(*arguments):
        calls.append(arguments[2])
        if len(calls) == 1:
            write(target, HEADER, state(1), overwrite=True)
        return real(*arguments)

    monkeypatch.setattr(FolderFormat, "read_file", read_file)
    assert value_of(target) == 1
    (target / "a.txt").write_bytes(b"x")
    with pytest.raises(ArtifactError):
        read(target)


def test_an_artifact_put_there_meanwhile_under_the_old_one_s_number_is_noticed(tmp_path, monkeypatch):
    """A file system may give a folder that is new the number of one that is gone."""
    target = write(tmp_path / "mine", HEADER, state(0))
    number = target.stat().st_ino
    before = folders.identity(target)
    write(target, HEADER, state(1), overwrite=True)
    real = os.lstat

    def same_number(path, **named):
        found = real(path, **named)
        if Path(path) != target:
            return found
        times = {"st_mtime_ns": found.st_mtime_ns, "st_atime_ns": 0, "st_ctime_ns": 0}
        return os.stat_result([found.st_mode, number, *found[2:]], times)

    monkeypatch.setattr(folders.os, "lstat", same_number)
    assert folders.identity(target)[:2] == before[:2] and folders.identity(target) != before
