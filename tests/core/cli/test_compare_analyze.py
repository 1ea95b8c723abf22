"""compare and analyze: tables for people, JSON for machines."""

from __future__ import annotations

import json

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


def test_skipped_files_of_a_folder_are_told_on_stderr(shipped, run):
    (shipped / "docs").mkdir()
    (shipped / "docs" / "a.txt").write_text("the theatre\n")
    (shipped / "docs" / "a.png").write_bytes(b"\0")
    code, out, err = run("analyze", "shipped", "--corpus", "docs", "--json")
    assert code == 0 and "left out: docs/a.png is binary" in err and json.loads(out)["bytes"] == 12
