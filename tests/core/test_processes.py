"""Processes started together: what the environment says of them, and that only the first speaks and writes."""

import pytest

import tokframe
from tokframe.errors import UnsupportedError
from tokframe.training import torchrun as processes


@pytest.fixture
def started(monkeypatch):
    """Return a function that makes this process one of several: `started(number, count)`."""

    def start(number, count, **more):
        for name, value in {"RANK": number, "WORLD_SIZE": count, **more}.items():
            monkeypatch.setenv(name, str(value))

    for name in ("RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "TORCHELASTIC_RESTART_COUNT"):
        monkeypatch.delenv(name, raising=False)
    return start


def test_a_process_of_its_own_is_the_first_of_one(started):
    assert (processes.count(), processes.number(), processes.is_first()) == (1, 0, True)
    assert processes.command() == ["tokframe"] and not processes.restarted()


@pytest.mark.parametrize(("number", "count"), [(3, 1), ("x", "y"), ("", ""), ("-1", "-2")])
def test_a_number_without_others_means_nothing(started, number, count):
    started(number, count)
    assert (processes.count(), processes.number()) == (1, 0)


def test_the_environment_of_torchrun_is_read(started):
    started(1, 4, LOCAL_WORLD_SIZE=4)
    assert (processes.count(), processes.number(), processes.is_first()) == (4, 1, False)
    assert processes.command() == ["torchrun", "--standalone", "--nproc-per-node", "4", "-m", "tokframe"]
    assert not processes.restarted()
    started(1, 4, LOCAL_WORLD_SIZE=2, TORCHELASTIC_RESTART_COUNT=1)
    assert processes.command() == ["torchrun", "...", "-m", "tokframe"]  # on several machines it is not ours to know
    assert processes.restarted()


@pytest.fixture
def toy(toy_host, tmp_path):
    from toy_bytes.tokenizer import ToyTokenizer

    text = tmp_path / "text.txt"
    text.write_text("the cat and the dog " * 50, encoding="utf-8")
    return ToyTokenizer, text


def test_a_tokenizer_that_trains_alone_says_so(toy, started, tmp_path):
    _, text = toy
    started(0, 2)
    with pytest.raises(UnsupportedError, match=r"'toy' is trained by one process, and 2 .* without torchrun"):
        tokframe.train("toy", corpus=[text], out=tmp_path / "out")


def test_only_the_first_process_writes(toy, started, tmp_path, monkeypatch):
    kind, text = toy
    monkeypatch.setattr(kind, "trains_in_processes", True)
    started(1, 2)
    made = tokframe.train("toy", corpus=[text], out=tmp_path / "out")
    assert made.vocab_size > 0 and not (tmp_path / "out").exists()
    started(0, 2)
    tokframe.train("toy", corpus=[text], out=tmp_path / "out")
    assert (tmp_path / "out").exists()


def test_only_the_first_process_speaks(toy, started, tmp_path, monkeypatch, capsys):
    from tokframe.cli.main import main

    kind, text = toy
    monkeypatch.setattr(kind, "trains_in_processes", True)
    words = ["train", "toy", "--corpus", str(text)]
    started(1, 2)
    assert main([*words, "--out", str(tmp_path / "other")]) == 0
    assert capsys.readouterr() == ("", "")
    assert main(["train", "toy", "--corpus", str(tmp_path / "none"), "--out", str(tmp_path / "x")]) == 1
    assert capsys.readouterr().err.startswith("Error in process 2 of 2:")  # but an error is one
    started(0, 2)
    assert main([*words, "--out", str(tmp_path / "out")]) == 0
    assert "saved at" in capsys.readouterr().out


def test_python_m_tokframe_is_the_command(fresh):
    source = "import runpy, sys; sys.argv[1:] = ['--version']; runpy.run_module('tokframe', run_name='__main__')"
    assert fresh(source).stdout == f"tokframe {tokframe.__version__}\n"
