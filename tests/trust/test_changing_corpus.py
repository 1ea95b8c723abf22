"""Text that changes under a run is noticed and named; what the run itself writes is no text."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from support.sharding import COMMAND
from support.stopping import stop_after

import tokframe
from tokframe.cli.main import main
from tokframe.corpus.files import Corpus
from tokframe.errors import CorpusError, ShardsInterrupted, TokframeError
from tokframe.evaluate.analysis import analyze
from tokframe.evaluate.comparison import compare
from tokframe.shards import ShardSettings, TokenShards, tokenize

LINES = "some words of text\n" * 3000


class AtFirst:
    """A reporter that acts when it first hears of progress."""

    def __init__(self, act):
        self.act, self.heard = act, False

    def advance(self, done, **figures):
        if not self.heard:
            self.heard = True
            self.act()

    def stage(self, name, total=None, unit=""):
        pass

    note = stage


@pytest.fixture
def folder(tmp_path):
    """A corpus of four files; the last is the one that changes."""
    place = tmp_path / "texts"
    place.mkdir()
    for number in range(4):
        (place / f"{number}.txt").write_text(LINES)
    return place


def replaced_alike(folder):
    """Another file in its place, of the same size and time."""
    old, new = folder / "3.txt", folder.parent / "new"
    new.write_text(LINES.replace("some", "more"))
    os.utime(new, ns=(old.stat().st_atime_ns, old.stat().st_mtime_ns))
    new.rename(old)


def rewritten(folder):
    path = folder / "3.txt"
    path.write_text(LINES.replace("some", "more"))
    os.utime(path, ns=(1, 1))


CHANGES = {
    "shortened": (r"3\.txt was changed from 57,000 to 5 bytes", lambda folder: (folder / "3.txt").write_text("short")),
    "grown": (r"3\.txt was changed from 57,000 to 57,001", lambda folder: (folder / "3.txt").write_text(LINES + "x")),
    "replaced": (r"3\.txt was replaced by another file", replaced_alike),
    "rewritten": (r"3\.txt was written to", rewritten),
    "deleted": (r"3\.txt cannot be read: No such file", lambda folder: (folder / "3.txt").unlink()),
    "renamed": (r"\d\.txt cannot be read: No such file", lambda folder: folder.rename(folder.parent / "elsewhere")),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("work", ["tokenize", "train", "compare", "analyze"])
def test_a_change_is_noticed_and_told(work, change, folder, tmp_path, given_footprint):
    told, act = CHANGES[change]
    text, reporter = Corpus.open([folder]), AtFirst(lambda: act(folder))
    settings = ShardSettings(shard_size=20_000)
    with pytest.raises(CorpusError, match=rf"{told}.* as it is until the run") as caught:
        if work == "tokenize":
            tokenize("word", corpus=text, out=tmp_path / "out", workers=1, settings=settings, reporter=reporter)
        elif work == "train":
            tokframe.train("word", corpus=text, out=tmp_path / "out", reporter=reporter)
        elif work == "compare":
            compare(["word", "bpe"], text, rounds=1, reporter=reporter)
        else:
            analyze(tokframe.load("word"), text, reporter)
    assert caught.value.path.parent == folder
    assert not (tmp_path / "out").exists()


def test_a_change_of_what_was_read_already_is_noticed_before_the_index_is_written(folder, tmp_path):
    reporter = AtFirst(lambda: (folder / "0.txt").write_text("other"))
    with pytest.raises(CorpusError, match=r"0\.txt was changed"):
        tokenize(
            "word",
            corpus=[folder],
            out=tmp_path / "out",
            workers=1,
            settings=ShardSettings(shard_size=60_000),
            reporter=reporter,
        )


def being_read(folder):
    """Return a long file and the rest of its documents, of which one was read."""
    path = folder / "long.txt"
    path.write_text("some words of text\n" * 200_000)
    (file,) = Corpus.open([path]).files
    pieces = file.documents()
    next(pieces)
    return path, pieces


def test_a_change_while_a_file_is_read_is_noticed(tmp_path):
    path, pieces = being_read(tmp_path)
    with path.open("r+") as stream:
        stream.truncate(1_500_000)
    with pytest.raises(CorpusError, match="was changed from 3,800,000 to 1,500,000 bytes"):
        list(pieces)


def test_damage_that_a_change_caused_is_told_as_a_change(tmp_path):
    path, pieces = being_read(tmp_path)
    with path.open("r+b") as stream:
        stream.seek(3_000_000)
        stream.write(b"\xff" * 100)
    os.utime(path, ns=(1, 1))
    with pytest.raises(CorpusError, match="was written to"):
        list(pieces)


@pytest.mark.slow
def test_a_language_models_tokens_are_of_text_that_stayed_as_it_was(folder, tmp_path):
    pytest.importorskip("torch")
    from tokframe_lm.data.tokens import tokenize as tokens

    reporter = AtFirst(lambda: (folder / "0.txt").write_text("other"))
    with pytest.raises(CorpusError, match=r"0\.txt was changed"):
        tokens(Corpus.open([folder]), tokframe.load("bpe"), tmp_path / "tokens", "", 0, reporter=reporter)
    assert not os.listdir(tmp_path / "tokens")


def test_another_host_may_have_a_copy(folder):
    from attrs import evolve

    (file, *_) = Corpus.open([folder]).files
    copy = evolve(file, stamp=evolve(file.stamp, host="other", inode=1, changed_ns=1))
    assert "".join(copy.documents()) == LINES
    with pytest.raises(CorpusError, match="from 7 to 57,000 bytes"):
        next(evolve(copy, stamp=evolve(copy.stamp, size=7)).documents())


# -- its own output -----------------------------------------------------------------------------------------


def test_the_output_of_a_run_below_its_corpus_is_no_text(folder, listener, monkeypatch):
    monkeypatch.chdir(folder)
    options = {"corpus": ["."], "out": "shards", "workers": 1, "settings": ShardSettings(shard_size=50_000)}
    with pytest.raises(ShardsInterrupted):
        tokenize("bpe", **options, should_stop=stop_after(2))
    made = tokenize("bpe", **options, resume=True, reporter=listener)
    assert made.bytes == 4 * len(LINES)
    (told,) = listener.notes
    assert told.startswith("left out: ") and told.endswith("shards, where the results go")
    again = tokenize("bpe", **options, overwrite=True)
    assert again.index == made.index
    trained = tokframe.train("word", corpus=["."], out="shards/../words")
    tokframe.train("word", corpus=["."], out="words", overwrite=True)
    assert tokframe.load("./words").sha256() == trained.sha256()


def test_a_file_of_results_in_the_corpus_is_no_text(folder, monkeypatch, capsys, given_footprint):
    monkeypatch.chdir(folder)
    words = ["compare", "word", "--corpus", ".", "--rounds", "1", "--json", "result.json"]
    for _ in range(2):
        assert main(words) == 0
        with open("result.json") as stream:
            assert json.load(stream)["corpus"]["files"] == 4
    assert "left out: what this command writes itself, result.json" in capsys.readouterr().err
    assert main(["compare", "word", "--corpus", "result.json", "--json", "result.json"]) == 1
    assert "all of the corpus is where the results go" in capsys.readouterr().err


def test_what_a_run_prints_into_its_corpus_is_no_text(folder):
    (folder / "log").write_text("of an earlier run\n")
    words = [sys.executable, "-c", COMMAND, "tokenize", "bpe", "--corpus", str(folder), "--out", str(folder / "out")]
    with (folder / "log").open("a") as log:
        subprocess.run([*words, "--workers", "1", "--json"], stdout=log, stderr=log, check=True)
    assert TokenShards.open(folder / "out").bytes == 4 * len(LINES)


def test_a_corpus_of_nothing_but_the_output_is_told(folder):
    tokframe.train("word", corpus=[folder], out=folder / "words")
    with pytest.raises(TokframeError, match="all of the corpus is where the results go"):
        tokframe.train("word", corpus=[folder / "words"], out=folder / "words", overwrite=True)
