"""Bad input is named with its place; the command, its JSON and Ctrl-C."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
import time

import pytest
from support.sharding import COMMAND, content, prose

from tokframe.cli.main import main
from tokframe.corpus.files import Corpus
from tokframe.errors import CorpusError, EngineError, PluginBrokenError
from tokframe.plugins.registry import ComponentSpec
from tokframe.shards import ShardSettings, TokenShards, engines, tokenize
from tokframe.shards.job import unfinished


def test_what_cannot_be_read_is_named_with_its_place(toy, write, tmp_path):
    def reason(path, column="text", **settings):
        with pytest.raises(CorpusError) as caught:
            tokenize(
                toy,
                corpus=Corpus.open([path], column=column, on_error="stop"),
                out=tmp_path / "out",
                workers=1,
                settings=ShardSettings(**settings),
                overwrite=True,
            )
        return str(caught.value)

    head = prose(20_000)
    bad = write("bad.txt", head.encode() + b"caf\xe9\n" + prose(20_000).encode())
    assert f"byte 0xe9 at offset {len(head.encode()) + 3}" in reason(bad, shard_size=5_000)
    records = [json.dumps({"body": "text"})] * 999
    broken = write("broken.jsonl", "\n".join([*records, '{"body": "te', *records]))
    assert "broken.jsonl, line 1000: not JSON" in reason(broken, "body", shard_size=1_000)
    missing = write("missing.jsonl", "\n".join([*records, '{"title": "x"}']))
    assert "line 1000: expected a string \"body\", there is none; its fields are 'title'" in reason(
        missing, "body", shard_size=1_000
    )
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_run_that_stopped_at_a_fault_goes_on_without_it(write, tmp_path, workers):
    sound = b"".join(b"a line and then some %d\n" % number for number in range(2_000))
    write("a.txt", sound)
    write("b.txt", sound[:30_000] + b"caf\xe9\n" + sound[30_000:])
    write("c.jsonl", '{"text": "the cat"}\n{"text": 3}\n{"text": "\\ud83d"}\n' * 2_000)
    write("d.txt.gz", gzip.compress(sound)[:-30])
    folder = tmp_path / "text"

    def made(on_error, **options):
        settings = ShardSettings(shard_size=20_000)
        text = Corpus.open([folder], on_error=on_error)
        tokenize("bpe", corpus=text, out=tmp_path / "out", settings=settings, **options)
        return content(tmp_path / "out"), text.summary()

    with pytest.raises(CorpusError, match=r"b\.txt is not UTF-8: byte 0xe9") as caught:
        made("stop", workers=1)
    assert "--on-error skip" in caught.value.__notes__[0]
    resumed, told = made("skip", workers=workers, resume=True)
    index = json.loads(resumed["index.json"])
    assert index["skipped_files"] == told["skipped_files"] == 1
    assert index["skipped_records"] == told["skipped_records"] == 4_001
    assert index["skipped"] == told["skipped"] and [reason.partition(" is ")[0] for reason in index["skipped"]] == [
        "1 line: text/b.txt",
        '4,000 records, first: text/c.jsonl, line 2: expected a string "text", it',
        "text/d.txt.gz",
    ]
    assert (resumed, told) == made("skip", workers=1, overwrite=True), "the shards depend on how they were made"


def test_shards_of_no_text_at_all_are_not_written(toy, write, tmp_path):
    write("cut.txt.gz", gzip.compress(prose(50_000).encode())[:-30])
    with pytest.raises(CorpusError, match=r"no text of the corpus can be read; text/cut\.txt\.gz is truncated"):
        tokenize(toy, corpus=[tmp_path / "text"], out=tmp_path / "out", workers=1)


def test_the_command_writes_shards_and_its_json_says_what(toy, write, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write("a.jsonl", '{"body": "the cat"}\n{"body": "the mat"}\n')
    words = ["tokenize", toy, "--corpus", "text/a.jsonl", "--column", "body", "--out", "out", "--workers", "1"]
    assert main([*words, "--end", "</s>", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert {key: said[key] for key in ("documents", "bytes", "shards", "engine", "dtype", "out")} == {
        "documents": 2, "bytes": 14, "shards": 1, "engine": "local", "dtype": "uint16", "out": "out",
    }  # fmt: skip
    assert said["tokens"] == TokenShards.open("out").tokens
    assert main(["tokenize", toy, "--corpus", "text/a.jsonl", "--out", "other"]) == 1
    assert "its fields are 'body'. Name the one that holds the text: --column NAME" in capsys.readouterr().err
    assert main([*words, "--overwrite"]) == 0
    assert "2 documents, 0.0 MB of text: 1 shard at ./out" in capsys.readouterr().out
    assert main(words) == 1
    assert "out already exists; nothing was written" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "size"), [("64MB", 64_000_000), ("1.5gb", 1_500_000_000), ("300k", 300_000), ("5000", 5_000)]
)
def test_sizes_are_understood(given, size):
    from tokframe.cli.tokenize import _Size

    assert _Size().convert(given, None, None) == size


@pytest.mark.parametrize("given", ["", "MB", "-1", "0", "64", "1TBx", "ten"])
def test_what_is_no_size_is_told(toy, write, given, capsys):
    words = ["tokenize", toy, "--corpus", str(write("a.txt", "x")), "--out", "out"]
    assert main([*words, "--shard-size", given]) == 2
    assert "is not a size; expected one such as 64MB" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_ctrl_c_says_how_to_go_on_and_that_works(text, alone, tmp_path):
    words = ["tokenize", "bpe", "--corpus", *map(str, text), "--out", "out", "--shard-size", "300000", "--workers", "2"]
    run = subprocess.Popen(
        [sys.executable, "-c", COMMAND, *words], cwd=tmp_path, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    while run.poll() is None and not list(unfinished(tmp_path / "out").glob("units/unit-*.json")):
        time.sleep(0.002)
    os.killpg(run.pid, signal.SIGINT)  # as a terminal does: the workers get it too
    told = run.communicate()[1]
    assert run.returncode == 130, told
    assert "parts of the corpus done; they are kept in" in told
    command = told.split("Continue with:\n  tokframe ")[1].split("\n")[0].split()
    assert sorted(command) == sorted([*words, "--resume"])
    again = subprocess.run([sys.executable, "-c", COMMAND, *command], cwd=tmp_path, check=False)
    assert again.returncode == 0 and content(tmp_path / "out") == alone


def unlike(*_, **__):
    return None


def foreign(work, items, *, workers, should_stop):
    yield from items


def early(work, items, *, workers, should_stop):
    yield from ()


@pytest.mark.parametrize(
    ("target", "said"),
    [
        (print, "cannot be called as"),
        (unlike, "returned None"),
        (foreign, "yielded Unit"),
        (early, "ended with 0 of 1"),
    ],
)
def test_an_engine_of_a_plugin_that_breaks_its_contract_is_named(
    toy, toy_host, write, tmp_path, monkeypatch, target, said
):
    spec = ComponentSpec(kind="engine", name="acme", target="acme:run", distribution="tokframe-acme")
    monkeypatch.setattr("tokframe.plugins.registry.Registry.component", lambda *_: spec)
    monkeypatch.setattr(engines, "load_target", lambda _: target)
    with pytest.raises((PluginBrokenError, EngineError), match=said) as caught:
        tokenize(toy, corpus=[write("a.txt", "the end")], out=tmp_path / "out", engine="acme")
    assert "acme" in str(caught.value) and not (tmp_path / "out").exists()
