"""Places of results: what cannot be written is said ahead of the work, and what is there already is kept whole."""

from __future__ import annotations

import os

import pytest

from tokframe.errors import ArtifactError, ArtifactNotFoundError
from tokframe.storage.artifact import read
from tokframe.storage.places import check_file, check_place, check_writable, write_output


@pytest.fixture
def readonly(tmp_path, monkeypatch):
    """A folder in which nothing can be made, whoever runs the tests."""
    import tempfile

    before = tempfile.TemporaryFile
    folder = tmp_path / "readonly"
    folder.mkdir()

    def refused(*given, dir, **more):
        if dir == folder:
            raise PermissionError(13, "Permission denied", str(dir))
        return before(*given, dir=dir, **more)

    monkeypatch.setattr(tempfile, "TemporaryFile", refused)
    return folder


def test_a_place_under_a_file_or_in_a_closed_folder_is_refused(tmp_path, readonly):
    (tmp_path / "file").touch()
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    for path, why in {
        tmp_path / "file" / "out": "Not a directory",
        tmp_path / "file" / "deep" / "out": "is not a folder|Not a directory",
        tmp_path / "dangling" / "out": "is not a folder",
        readonly / "out": "Permission denied in",
        readonly / "new" / "out": "Permission denied in",
        tmp_path / ("n" * 256): "File name too long",
    }.items():
        for check in (check_writable, check_place):
            with pytest.raises(ArtifactError, match=why):
                check(path)
    assert sorted(os.listdir(tmp_path)) == ["dangling", "file", "readonly"]


def test_a_place_of_new_folders_is_fine_and_stays_as_it_is(tmp_path):
    check_place(tmp_path / "new" / "deep" / "out")
    check_writable(tmp_path / "new" / "deep" / "out")
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize("path", ["https://a.b/out", "s3://bucket/out", "file:///out"])
def test_an_address_is_no_place(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for check in (check_file, check_place, check_writable):
        with pytest.raises(ArtifactError, match="is an address, not a path"):
            check(path)
    with pytest.raises(ArtifactNotFoundError, match="Download it first"):
        read(path)
    assert not os.listdir(tmp_path)


def test_a_file_needs_its_folder(tmp_path, readonly):
    for path, why in {
        tmp_path / "nowhere" / "r.json": "there is no folder .*nowhere; create it first",
        f"{tmp_path}/new/": "is a folder; name a file in it",
        tmp_path: "is a folder",
        readonly / "r.json": "Permission denied",
    }.items():
        with pytest.raises(ArtifactError, match=why):
            check_file(path)
    (tmp_path / "old.json").write_bytes(b"old")
    for path in (tmp_path / "new.json", tmp_path / "old.json", os.devnull):
        check_file(path)
    assert (tmp_path / "old.json").read_bytes() == b"old" and not (tmp_path / "new.json").exists()


def test_output_replaces_a_file_whole_follows_a_link_and_writes_into_a_pipe(tmp_path, monkeypatch):
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to("real")
    write_output(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "real").read_bytes() == b"new"
    end, start = os.pipe()
    write_output(f"/dev/fd/{start}", b"through a pipe")
    assert os.read(end, 100) == b"through a pipe"
    os.close(end)
    os.close(start)

    def full(path, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tokframe.storage.atomic.write_file", full)
    with pytest.raises(ArtifactError, match=r"cannot write .*real: No space left on device"):
        write_output(tmp_path / "real", b"newer")
    assert (tmp_path / "real").read_bytes() == b"new"
