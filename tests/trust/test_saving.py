"""Saving that is killed, runs out of disk or meets another saver: one whole artifact, and whoever lost is told."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from tokframe import artifact, folders
from tokframe.artifact import read, write
from tokframe.errors import ArtifactError, ArtifactExistsError
from tokframe.state import State

HEADER = {"tokenizer": {"name": "toy"}, "components": []}
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


def state(value: int) -> State:
    return State(config={"value": value}, files={"a.txt": b"%d" % value * 1000, "b.txt": b"b"})


def value_of(folder: Path) -> int:
    """Return which state a whole artifact holds."""
    found = read(folder).state
    assert found.files["a.txt"] == b"%d" % found.config["value"] * 1000
    return found.config["value"]


#: Dies, by SIGKILL, at the n-th file operation of saving, for every n; what `sys.audit` does not tell is added to it.
AT_EVERY_STEP = """
import os, signal, sys
from pathlib import Path
from tokframe import folders
from tokframe.artifact import read, write
from tokframe.state import State

folder, exchange = Path(sys.argv[1]), sys.argv[2] == "exchange"
header = {"tokenizer": {"name": "toy"}, "components": []}
def state(value):
    return State(config={"value": value}, files={"a.txt": b"%d" % value * 1000, "b.txt": b"b"})

count = dies_at = 0
def operation(event, arguments):
    global count
    if dies_at and (event in ("open", "ours") or event.startswith(("os.", "shutil."))):
        count += 1
        if count == dies_at:
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(operation)
def audited(call):
    def wrapped(*arguments):
        sys.audit("ours", "before")
        result = call(*arguments)
        sys.audit("ours", "after")
        return result
    return wrapped
os.fsync = audited(lambda descriptor: None)
folders._exchange = audited(folders._exchange if exchange else lambda first, second: False)

write(folder, header, state(0))
deaths = lost = 0
for at in range(1, 300):
    child = os.fork()
    if child == 0:
        dies_at = at
        write(folder, header, state(at), overwrite=True)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if not folder.exists():
        # Only without an atomic exchange, between two renames: the old artifact then lies whole beside its place.
        assert not exchange
        (aside,) = folder.parent.glob(".mine.old-*")
        os.rename(aside, folder)
        lost += 1
    found = read(folder).state
    value = found.config["value"]
    assert found.files["a.txt"] == b"%d" % value * 1000
    if code == 0:
        assert value == at
        break
    assert code == -signal.SIGKILL
    deaths += 1
else:
    raise SystemExit("never got through")
print(deaths, lost)
"""


@needs_fork
@pytest.mark.parametrize("way", ["exchange", "two renames"])
def test_a_kill_at_every_file_operation_leaves_the_old_artifact_or_the_new(run_alone, tmp_path, way):
    deaths, lost = map(int, run_alone(AT_EVERY_STEP, tmp_path / "mine", way).split())
    assert deaths >= 12
    assert lost <= 3 if way == "two renames" else lost == 0


@pytest.mark.parametrize("step", ["os.fsync", "os.rename", "builtins.open", "tempfile.mkdtemp"])
def test_a_full_disk_is_a_clear_error_and_leaves_nothing(tmp_path, monkeypatch, step):
    def full(*arguments, **named):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(step, full)
        with pytest.raises(ArtifactError, match=r"cannot write .*No space left on device"):
            write(tmp_path / "mine", HEADER, state(1))
    assert os.listdir(tmp_path) == []


def test_nothing_is_relied_on_before_it_is_flushed(tmp_path, monkeypatch):
    log = []
    fsync, rename = os.fsync, os.rename

    def noted_fsync(descriptor):
        log.append(("fsync", os.fstat(descriptor).st_ino))
        fsync(descriptor)

    def noted_rename(source, target):
        inside = {path.stat().st_ino for path in Path(source).iterdir()}
        log.append(("rename", inside, os.stat(source).st_ino))
        rename(source, target)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(os, "rename", noted_rename)
    write(tmp_path / "mine", HEADER, state(1))
    (at,) = [number for number, entry in enumerate(log) if entry[0] == "rename"]
    _, inside, folder = log[at]
    assert len(inside) == 4
    assert {number for _, number in log[:at]} == inside | {folder}, "every file and the folder, before the rename"
    assert log[at - 1] == ("fsync", folder), "the folder after its files"
    assert log[at + 1 :] == [("fsync", tmp_path.stat().st_ino)]


# -- two savers -------------------------------------------------------------------------------------------------


def meanwhile(monkeypatch, step: str, call) -> None:
    """Have `call` happen just before the first `step` in `tokframe.folders`."""
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


RACE = """
import os, sys
from pathlib import Path
from tokframe.artifact import read, write
from tokframe.errors import ArtifactExistsError
from tokframe.state import State
root = Path(sys.argv[1])
header = {"tokenizer": {"name": "toy"}, "components": []}
os.fsync = lambda descriptor: None
told = 0
for round in range(20):
    target = root / f"r{round}"
    ready, go = os.pipe()
    children = []
    for value in range(4):
        child = os.fork()
        if child == 0:
            os.close(go)
            os.read(ready, 1)  # ends when the parent closes its end: all start at once
            try:
                write(target, header, State(config={"value": value}, files={"a": b"%d" % value * 50000}))
            except ArtifactExistsError:
                os._exit(3)
            os._exit(0)
        children.append(child)
    os.close(ready)
    os.close(go)
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    assert sorted(codes) == [0, 3, 3, 3], codes
    found = read(target).state
    assert found.config["value"] == codes.index(0)
    assert found.files["a"] == b"%d" % found.config["value"] * 50000
assert sorted(path.name for path in root.iterdir()) == sorted(f"r{round}" for round in range(20))
"""


@needs_fork
def test_of_four_processes_saving_to_one_place_exactly_one_wins(run_alone, tmp_path):
    (tmp_path / "work").mkdir()
    run_alone(RACE, tmp_path / "work")


def test_the_manifest_sum_is_of_all_the_rest(tmp_path):
    manifest = read(write(tmp_path / "mine", HEADER, state(1))).manifest
    assert manifest["sha256"] == artifact._manifest_sum(manifest)
