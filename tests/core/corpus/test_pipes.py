"""Pipes, stdin and devices as a corpus: read once, kept for later readings, and left nowhere."""

from __future__ import annotations

import gzip
import io
import os
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest
from support.corpora import TEXT, joined

from tokframe.corpus import pipes
from tokframe.corpus.files import Corpus
from tokframe.errors import CorpusError

posix = pytest.mark.skipif(os.name == "nt", reason="of POSIX systems")


def test_a_pipe_given_twice_is_read_once(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"some text\n")))
    assert joined(["-", "-"]) == "some text\n"


def test_stdin_is_read_more_than_once(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(TEXT.encode())))
    corpus = Corpus.open(["-"])
    assert [file.name for file in corpus.files] == ["stdin"]
    assert "".join(corpus.documents()) == "".join(corpus.documents()) == TEXT


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="a file without a name is opened through /proc")
def test_stdin_leaves_no_file_and_another_process_can_read_it(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(TEXT.encode())))
    corpus = Corpus.open(["-"])
    assert not list(tmp_path.iterdir())
    (path,) = [file.path for file in corpus.files]
    code = "import sys; sys.stdout.buffer.write(open(sys.argv[1], 'rb').read())"
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, check=True)
    assert done.stdout.decode() == TEXT


def test_the_same_text_on_stdin_is_the_same_corpus_to_a_resumed_run(monkeypatch):
    def times(*texts):
        for text in texts:
            monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text)))
            yield Corpus.open(["-"]).files[0].path.stat().st_mtime_ns

    first, second, other = times(b"a text", b"a text", b"a test")
    assert first == second != other


def test_errors_about_stdin_name_it(monkeypatch):
    for data, told in ((b"", "stdin is empty"), (b"caf\xe9", "stdin is not UTF-8")):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
        with pytest.raises(CorpusError, match=told):
            Corpus.open(["-"])
    monkeypatch.setattr(sys, "stdin", io.StringIO("a notebook's"))
    with pytest.raises(CorpusError, match="there is no stdin"):
        Corpus.open(["-"])


@posix
def test_pipes_are_read_once_and_kept(write, tmp_path):
    read, write_end = os.pipe()
    os.write(write_end, TEXT.encode())
    os.close(write_end)
    os.mkfifo(tmp_path / "rows.jsonl.gz")
    packed = gzip.compress(b'{"text": "packed"}\n')
    writer = threading.Thread(target=lambda: (tmp_path / "rows.jsonl.gz").write_bytes(packed))
    writer.start()
    corpus = Corpus.open([f"/dev/fd/{read}", tmp_path / "rows.jsonl.gz", write("a.txt", "a file\n")])
    writer.join()
    os.close(read)
    assert list(corpus.documents()) == list(corpus.documents()) == [TEXT, "packed", "a file\n"]
    assert corpus.files[0].name == f"/dev/fd/{read}"


@posix
def test_a_removed_file_is_read_through_its_descriptor(write):
    path = write("here-document.txt")
    with path.open() as stream:
        path.unlink()
        assert joined([f"/dev/fd/{stream.fileno()}"]) == TEXT


@posix
def test_a_pipe_that_nobody_writes_to_is_told_then_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(pipes, "_NOTICE_S", 0.1)
    monkeypatch.setattr(pipes, "WRITER_TIMEOUT_S", 0.7)
    os.mkfifo(tmp_path / "silent")
    with (
        pytest.warns(UserWarning, match="waiting for a process to write to .*silent"),
        pytest.raises(CorpusError, match=r"no process writes to the pipe .*silent"),
    ):
        Corpus.open([tmp_path / "silent"])


@posix
def test_devices_and_sockets_are_no_text(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # a socket's name is short
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
        for path in ("/dev/zero", "/dev/null", "socket"):
            with pytest.raises(CorpusError, match="is a device or socket, not a file"):
                Corpus.open([path])


def test_a_copy_of_a_pipe_that_does_not_fit_names_the_folder(monkeypatch, tmp_path):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    monkeypatch.setattr(tempfile, "NamedTemporaryFile", full)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"text")))
    with pytest.raises(CorpusError, match=r"cannot keep a copy of stdin in .*No space left.*TMPDIR"):
        Corpus.open(["-"])
