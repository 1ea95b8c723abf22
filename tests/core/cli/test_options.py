"""Options that take several values, or one or none."""

from __future__ import annotations

import json
import os

import click
import pytest

from tokframe.cli.options import Command, corpus_option, json_file_option
from tokframe.loading.loading import load
from tokframe.shards import TokenShards


@pytest.mark.parametrize(
    ("words", "names", "corpus", "target"),
    [
        (["a", "b", "--corpus", "x", "y", "--corpus", "z"], ("a", "b"), ("x", "y", "z"), None),
        (["a", "--corpus", "-", "x", "--json"], ("a",), ("-", "x"), "-"),
        (["--json", "a", "--corpus=x", "b"], ("a", "b"), ("x",), "-"),
        (["--json", "out.json", "a"], ("a",), (), "out.json"),
        (["--json=out", "a"], ("a",), (), "out"),
        (["--json", "-", "a"], ("a",), (), "-"),
        (["a", "--json", "folder/out"], ("a",), (), "folder/out"),
        (["--json", "./folder", "a"], ("./folder", "a"), (), "-"),
        (["--corpus", "x", "--", "--json"], ("--json",), ("x",), None),
    ],
)
def test_corpus_takes_several_values_and_json_a_file_or_none(tmp_path, monkeypatch, words, names, corpus, target):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    got = {}

    @click.command(cls=Command)
    @click.argument("names", nargs=-1)
    @corpus_option(required=False)
    @json_file_option
    def command(**values):
        got.update(values)

    command.main(words, standalone_mode=False)
    assert got == {"names": names, "corpus": corpus, "json_to": target}


def test_an_option_without_its_values_is_a_usage_error(shipped, run):
    assert run("compare", "shipped", "--corpus")[0] == 2
    assert run("train", "shipped", "--corpus", "--out", "x")[0] == 2


def test_the_json_of_a_command_is_described_after_its_options(run):
    code, out, _ = run("encode", "--help")
    text = out.decode()
    assert code == 0 and text.index("Options:") < text.index("\nJSON:\n") < text.index("Example:")
    assert text.count('{"ids"') == 1


@pytest.fixture
def rows(shipped):
    """Records of which the text is in `meta.body`, and one that is no JSON; returns the JSON said of them."""
    path = shipped / "rows.jsonl"
    path.write_text('{"meta": {"body": "the theatre"}}\n{nope\n{"meta": {"body": "the"}}\n' * 20)
    return path


def reading(path, shipped):
    words = ["--corpus", path, "--column", "meta.body"]
    return {
        "train": ["train", "shipped", *words, "--out", shipped / "trained", "--json"],
        "compare": ["compare", "shipped", *words, "--rounds", "1", "--json"],
        "analyze": ["analyze", "shipped", *words, "--json"],
        "tokenize": ["tokenize", "shipped", *words, "--out", shipped / "shards", "--workers", "1", "--json"],
    }


@pytest.mark.parametrize("name", ["compare", "analyze", "tokenize"])
def test_every_command_reads_the_field_named_and_says_what_it_left_out(shipped, run, rows, name, given_footprint):
    words = reading(rows, shipped)[name]
    code, out, err = run(*words)
    reason = "20 records, first: rows.jsonl, line 2: not JSON"
    said = json.loads(out)["corpus"]
    assert code == 0 and f"left out: {reason}" in err and err.count("left out") == 1
    assert said["skipped"][0].startswith(reason) and (said["files"], said["skipped_records"]) == (1, 20)
    code, out, err = run(*(word for word in words if word not in ("--column", "meta.body")))
    assert code == 1 and "its fields are 'meta.body'. Name the one that holds the text: --column NAME" in err


@pytest.mark.parametrize("name", ["train", "compare", "analyze", "tokenize"])
def test_every_command_stops_at_the_first_fault_on_request(shipped, run, rows, name):
    if name == "train":  # the toy reads nothing, so that only the start of a file can stop it
        rows.write_text("{nope\n" + rows.read_text())
    code, out, err = run(*reading(rows, shipped)[name], "--on-error", "stop")
    assert code == 1 and ", line " in err and "not JSON" in err and not out


def test_many_faults_are_a_bounded_number_of_notes(shipped, run):
    (shipped / "docs").mkdir()
    for number in range(50):
        (shipped / "docs" / f"{number}.txt").write_bytes(b"a line\ncaf\xe9\n")
    code, out, err = run("analyze", "shipped", "--corpus", "docs", "--json")
    assert code == 0 and err.count("left out: 1 line:") == 20 and "left out: all or part of 30 more files" in err
    said = json.loads(out)["corpus"]
    assert said["skipped_records"] == len(said["skipped"]) == 50


@pytest.mark.skipif(os.name == "nt", reason="names there are text")
def test_names_that_are_not_utf8_are_escaped_in_json_in_tables_and_on_the_way_out(shipped, run, given_footprint):
    name = os.fsdecode(b"caf\xe9")
    (shipped / name).mkdir()
    (shipped / name / os.fsdecode(b"\xff.txt")).write_text("the theatre\n")
    code, out, _ = run("compare", "shipped", "--rounds", "1", "--corpus", name, "--json", f"{name}/r.json")
    assert code == 0 and "1 file" in out.decode()
    (key,) = json.loads((shipped / name / "r.json").read_bytes())["tokenizers"]["shipped"]["files"]
    assert key == "caf\\xe9/\\xff.txt"
    code, out, _ = run("tokenize", "shipped", "--corpus", name, "--out", f"{name}/out", "--workers", "1", "--json")
    assert code == 0 and json.loads(out)["out"] == f"{name}/out"
    code, out, _ = run("train", "shipped", "--corpus", name, "--out", f"{name}/mine")
    assert code == 0 and "caf\\udce9/mine" in out.decode()


def test_a_tilde_is_the_home_folder_wherever_a_path_is_given(shipped, run, monkeypatch):
    home = shipped / "home"
    (home / "texts").mkdir(parents=True)
    (home / "texts" / "t.txt").write_text("the theatre\n" * 9)
    (home / "config.json").write_text("{}")
    monkeypatch.setenv("HOME", str(home))
    text = "--corpus=~/texts/t.txt"
    assert run("train", "shipped", text, "--out=~/mine", "--config=~/config.json")[0] == 0
    assert run("analyze", "~/mine", text, "--json=~/said.json")[0] == 0
    assert run("tokenize", "~/mine", text, "--out=~/shards", "--workers", "1")[0] == 0
    assert run("encode", "~/mine", "~/texts/t.txt")[0] == 0
    (home / "aliases.toml").write_text('[aliases]\nours = "~/mine"\nnobodys = "~no-such-user/mine"\n')
    monkeypatch.setenv("TOKFRAME_CONFIG", "~/aliases.toml")
    assert run("encode", "ours", "~/texts/t.txt")[0] == 0
    code, _, err = run("encode", "nobodys", "~/texts/t.txt")
    assert code == 1 and "~no-such-user/mine" in err and "RuntimeError" not in err
    load("ours").save("~/again")
    assert len(TokenShards.open("~/shards")) == 1
    assert {path.name for path in home.iterdir()} >= {"mine", "said.json", "shards", "again"}
    assert not list(shipped.glob("~*"))
