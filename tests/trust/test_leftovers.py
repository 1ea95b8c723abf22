"""What killed savers leave behind: cleared away by the next save to that place, and only that."""

from __future__ import annotations

import errno
import os
import platform
import shlex
import signal
import time
from pathlib import Path

import pytest
from support.numbered import HEADER, state

from tokframe.storage import atomic as folders
from tokframe.storage.artifact import read, write
from tokframe.storage.atomic import temporary_sibling, write_atomically

fcntl = pytest.importorskip("fcntl")


def leftover(
    target: Path, *, host: str | None = None, age: float = 0, token: str = "0123456789ab"
) -> tuple[Path, Path]:
    """Make what a saver that was killed leaves: half a folder and its lock file, which nobody holds."""
    place = target.with_name(f".{target.name}.tmp-{token}")
    place.mkdir()
    (place / "config.json").write_text("{}")
    lock = Path(f"{place}.lock")
    lock.write_text(platform.node() if host is None else host)
    for path in (place, lock):
        os.utime(path, (time.time() - age,) * 2)
    return place, lock


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_what_a_killed_saver_left_is_removed_by_the_next_save(tmp_path):
    target = tmp_path / "place" / "mine"
    child = os.fork()
    if child == 0:
        folders.write_file = lambda *arguments: os.kill(os.getpid(), signal.SIGKILL)
        write(target, HEADER, state(0))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    left = names(target.parent)
    assert len(left) == 2 and left[0].startswith(".mine.tmp-") and left[1] == f"{left[0]}.lock"
    write(target, HEADER, state(1))
    assert names(target.parent) == ["mine"]


def test_what_a_killed_writer_of_one_file_left_is_removed_too(tmp_path):
    place = tmp_path / ".report.html.tmp-0123456789ab"
    place.write_bytes(b"half")
    Path(f"{place}.lock").write_text(platform.node())
    write_atomically(tmp_path / "report.html", b"whole")
    assert names(tmp_path) == ["report.html"] and (tmp_path / "report.html").read_bytes() == b"whole"


def test_a_live_saver_s_folder_is_never_removed(tmp_path):
    target = tmp_path / "mine"
    with temporary_sibling(target) as first:
        (first / "a").write_text("of the first")
        with temporary_sibling(target) as second:  # its start clears leftovers
            assert first != second
            write(target, HEADER, state(1))
            assert (first / "a").read_text() == "of the first" and second.is_dir()
        os.utime(first, (0, 0))
        os.utime(f"{first}.lock", (0, 0))
        write(target, HEADER, state(2), overwrite=True)
        assert (first / "a").exists(), "however old it looks"
    assert names(tmp_path) == ["mine"]


def test_another_host_s_leftovers_are_left_for_a_day(tmp_path):
    """Some shared file systems keep locks to one host, so a lock that can be taken there proves nothing."""
    target = tmp_path / "mine"
    place, lock = leftover(target, host="another-host", age=23 * 3600)
    write(target, HEADER, state(1))
    assert place.is_dir() and lock.is_file()
    for path in (place, lock):
        os.utime(path, (time.time() - 25 * 3600,) * 2)
    write(target, HEADER, state(2), overwrite=True)
    assert names(tmp_path) == ["mine"]


def test_without_a_lock_file_nothing_is_removed(tmp_path):
    target = tmp_path / "mine"
    place, lock = leftover(target)
    lock.unlink()
    write(target, HEADER, state(1))
    assert place.is_dir()


def test_what_is_another_place_s_or_no_leftover_is_left(tmp_path):
    kept = [leftover(tmp_path / name)[0] for name in ("other", "mine2", "[a-z]*")]
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("x")
    (tmp_path / ".mine.tmp-link").symlink_to(outside)
    (tmp_path / ".mine.tmp-link.lock").write_text(platform.node())
    (tmp_path / ".mine.tmp-2.lock").symlink_to(outside / "precious")
    (tmp_path / ".mine.tmp-3.lock").mkdir()
    write(tmp_path / "mine", HEADER, state(1))
    assert all(place.is_dir() for place in kept)
    assert (outside / "precious").read_text() == "x", "links are not followed"
    assert not (tmp_path / ".mine.tmp-link").is_symlink()
    assert (tmp_path / ".mine.tmp-2.lock").is_symlink() and (tmp_path / ".mine.tmp-3.lock").is_dir()


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="needs users")
def test_another_user_s_leftover_is_left(tmp_path, monkeypatch):
    place, _ = leftover(tmp_path / "mine")
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    write(tmp_path / "mine", HEADER, state(1))
    assert place.is_dir()


def test_where_there_are_no_locks_saving_works_and_nothing_is_removed(tmp_path, monkeypatch):
    def none(*arguments):
        raise OSError(errno.ENOLCK, "No locks available")

    place, lock = leftover(tmp_path / "mine")
    monkeypatch.setattr(fcntl, "flock", none)
    with temporary_sibling(tmp_path / "new") as folder:
        assert not Path(f"{folder}.lock").exists(), "a lock file nobody could hold would be taken for a leftover"
    write(tmp_path / "mine", HEADER, state(1))
    write(tmp_path / "mine", HEADER, state(2), overwrite=True)
    assert read(tmp_path / "mine").state.config == {"value": 2}
    assert names(tmp_path) == [place.name, lock.name, "mine"]


def test_a_lock_file_that_is_taken_for_a_leftover_before_it_istry_lock_is_given_up(tmp_path, monkeypatch):
    real, taken = folders.try_lock, []

    def locked(descriptor):
        if not taken:  # a cleaner comes between making the file and locking it
            (lock,) = tmp_path.glob(".mine.tmp-*.lock")
            taken.append(lock)
            lock.unlink()
        return real(descriptor)

    monkeypatch.setattr(folders, "try_lock", locked)
    with temporary_sibling(tmp_path / "mine") as folder:
        assert Path(f"{folder}.lock") != taken[0] and Path(f"{folder}.lock").exists()
    assert names(tmp_path) == []


def test_a_kill_between_two_renames_is_told_with_the_way_back(tmp_path):
    from tokframe.errors import ArtifactNotFoundError

    target = write(tmp_path / "it's mine; really", HEADER, state(1))
    aside = target.rename(tmp_path / ".it's mine; really.old-0123456789ab")
    with pytest.raises(ArtifactNotFoundError, match="the one before is kept: mv ") as caught:
        read(target)
    assert shlex.join(["mv", str(aside), str(target)]) in str(caught.value)
