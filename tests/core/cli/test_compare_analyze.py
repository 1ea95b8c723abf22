"""compare and analyze: tables for people, JSON for machines."""

from __future__ import annotations

import json
import os

import pytest


def test_compare_takes_names_and_paths_and_writes_json_alone_or_to_a_file(shipped, run, given_footprint):
    run("train", "shipped", "--corpus", "a.txt", "--out", "new")
    code, out, err = run("compare", "shipped", "./new", "--corpus", "a.txt", "--rounds", "1", "--json")
    assert (code, err) == (0, "")
    assert list(json.loads(out)["tokenizers"]) == ["shipped", "./new"]
    code, out, err = run("compare", "--json", "out.json", "shipped", "./new", "--corpus", "a.txt", "--rounds", "1")
    assert code == 0 and "bytes per token" in out.decode() and "wrote out.json" in err
    assert json.loads((shipped / "out.json").read_text())["tokenizers"]["./new"]["files"]["a.txt"]["bytes"] == 600


def test_compare_without_names_or_corpus_uses_what_is_ready_on_held_out_code(
    shipped, run, given_footprint, monkeypatch
):
    monkeypatch.setattr("tokframe.cli.compare._DEFAULT", str(shipped / "a.txt"))
    code, out, err = run("compare", "--rounds", "1", "--json")
    assert (code, err) == (0, "")
    assert list(json.loads(out)["tokenizers"]) == ["shipped"]


def test_compare_says_when_nothing_is_ready_and_what_was_left_out(toy_host, run):
    code, out, err = run("compare")
    assert (code, out) == (1, b"") and "toy is left out" in err and "no installed tokenizer is ready" in err


def test_analyze_shows_writes_and_draws(shipped, run):
    pytest.importorskip("matplotlib")
    code, out, err = run("analyze", "shipped", "--corpus", "a.txt", "--plots", "plots", "--json", "a.json")
    assert code == 0 and "utilization" in out.decode() and "plots/lengths.png" in err
    assert json.loads((shipped / "a.json").read_text())["bytes"] == 600
    code, out, err = run("analyze", "shipped", "--corpus", "a.txt", "--json")
    assert (code, err) == (0, "") and json.loads(out)["tokenizer"] == "shipped"


def test_results_go_to_a_folder_whose_parent_is_closed_and_to_none_that_is_closed(run, shipped, monkeypatch):
    import tempfile

    before, closed = tempfile.TemporaryFile, {shipped}

    def refused(*given, dir, **more):
        if dir in closed:
            raise PermissionError(13, "Permission denied", str(dir))
        return before(*given, dir=dir, **more)

    monkeypatch.setattr(tempfile, "TemporaryFile", refused)
    (shipped / "plots").mkdir()
    words = ["analyze", "shipped", "--corpus", "a.txt", "--plots", shipped / "plots"]
    assert run(*words)[0] == 0
    closed.add(shipped / "plots")
    code, _, err = run(*words)
    assert code == 2 and "Permission denied" in err


@pytest.mark.parametrize("command", ["compare", "analyze"])
@pytest.mark.parametrize("option", ["--json", "--html", "--plots"])
def test_a_place_that_cannot_be_written_is_told_before_the_text_is_read(shipped, run, monkeypatch, command, option):
    if (command, option) == ("compare", "--plots"):
        return
    monkeypatch.setattr("tokframe.corpus.files.Corpus.open", None)
    code, out, err = run(command, "shipped", "--corpus", "a.txt", option, "a.txt/report")
    assert (code, out) == (2, b"") and f"Invalid value for '{option}'" in err


def test_two_results_do_not_go_to_one_place(shipped, run, monkeypatch):
    monkeypatch.setattr("tokframe.corpus.files.Corpus.open", None)
    code, out, err = run("compare", "shipped", "--corpus", "a.txt", "--json=r.html", "--html", "./r.html")
    assert (code, out) == (2, b"") and "where the results of --" in err
    code, out, err = run("compare", "shipped", "--corpus", "a.txt", "--html", "-")
    assert (code, out) == (2, b"") and "name a file" in err


@pytest.mark.parametrize("command", ["compare", "analyze"])
def test_what_was_measured_is_shown_though_it_cannot_be_written(shipped, run, monkeypatch, given_footprint, command):
    def full(path, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tokframe.storage.atomic.write_file", full)
    code, out, err = run(command, "shipped", "--corpus", "a.txt", "--json", "r.json")
    assert code == 1 and b"shipped" in out and "cannot write" in err and "No space left" in err


def test_names_may_follow_the_corpus(shipped, run, given_footprint):
    code, out, err = run("compare", "--corpus", "a.txt", "shipped", "--rounds", "1", "--json")
    assert (code, err) == (0, "") and list(json.loads(out)["tokenizers"]) == ["shipped"]
    code, out, err = run("analyze", "--corpus", "a.txt", "shipped", "--json")
    assert (code, err) == (0, "") and json.loads(out)["tokenizer"] == "shipped"
    (shipped / "shipped").write_text("a file of that name is text\n")
    code, out, err = run("compare", "shipped", "--corpus", "a.txt", "shipped", "--rounds", "1", "--json")
    assert (code, err) == (0, "") and json.loads(out)["corpus"]["files"] == 2


def test_a_tokenizer_where_text_is_expected_is_named(shipped, run):
    for words in (
        ["analyze", "shipped", "--corpus", "shipped"],
        ["train", "shipped", "--out", "o", "--corpus=shipped"],
    ):
        code, out, err = run(*words)
        assert (code, out) == (2, b"") and "'shipped' is a tokenizer, and there is no file of that name" in err


def test_a_name_given_twice_is_compared_once_and_told(shipped, run, given_footprint):
    code, _, err = run("compare", "shipped", "shipped", "--corpus", "a.txt", "--rounds", "1")
    assert code == 0 and "shipped is named 2 times and compared once" in err


def test_skipped_files_of_a_folder_are_told_on_stderr(shipped, run):
    (shipped / "docs").mkdir()
    (shipped / "docs" / "a.txt").write_text("the theatre\n")
    (shipped / "docs" / "a.png").write_bytes(b"\0")
    code, out, err = run("analyze", "shipped", "--corpus", "docs", "--json")
    assert code == 0 and "left out: docs/a.png is binary" in err and json.loads(out)["bytes"] == 12


def test_results_are_written_whole_or_the_old_ones_stay(shipped, run, monkeypatch):
    pytest.importorskip("matplotlib")
    (shipped / "plots").mkdir()
    files = [shipped / "report.json", shipped / "plots" / "lengths.png"]
    for file in files:
        file.write_bytes(b"old")

    def full(path, data):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr("tokframe.storage.atomic.write_file", full)
    words = ["analyze", "shipped", "--corpus", "a.txt"]
    for more in (["--json", "report.json"], ["--plots", "plots"]):
        code, _, err = run(*words, *more)
        assert code == 1 and "No space left on device" in err
    assert [file.read_bytes() for file in files] == [b"old", b"old"]
    assert {path.name for path in (shipped / "plots").iterdir()} == {"lengths.png"}


@pytest.mark.skipif(os.name == "nt", reason="of POSIX systems")
def test_results_go_through_links_and_into_pipes(shipped, run):
    (shipped / "real.json").write_text("old")
    (shipped / "link.json").symlink_to("real.json")
    words = ["analyze", "shipped", "--corpus", "a.txt", "--json"]
    assert run(*words, "link.json")[0] == 0
    assert (shipped / "link.json").is_symlink() and json.loads((shipped / "real.json").read_text())["bytes"] == 600
    read, write = os.pipe()
    assert run(*words, f"/dev/fd/{write}")[0] == 0
    os.close(write)
    with open(read) as stream:
        assert json.load(stream)["bytes"] == 600
    long = "n" * 250 + ".json"
    assert run(*words, long)[0] == 0 and (shipped / long).is_file()
