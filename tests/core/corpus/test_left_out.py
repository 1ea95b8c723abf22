"""What cannot be read as text: left out of a folder, counted and named, or the end of the run."""

from __future__ import annotations

import gzip
import os

import pytest
from support.corpora import TEXT, joined

from tokframe.corpus.files import Corpus
from tokframe.errors import CorpusError

posix = pytest.mark.skipif(os.name == "nt", reason="of POSIX systems")


def test_damage_in_a_folder_is_told_or_ends_the_run(write, tmp_path):
    write("docs/a.txt")
    write("docs/b.txt.gz", gzip.compress(TEXT.encode() * 9)[:40])
    with pytest.raises(CorpusError, match=r"b\.txt\.gz is truncated"):
        joined([tmp_path / "docs"])
    corpus = Corpus.open([tmp_path / "docs"])
    assert "".join(corpus.documents()) == TEXT and corpus.summary()["skipped_files"] == 1
    assert corpus.skipped[0].startswith("docs/b.txt.gz is truncated")
    with pytest.raises(CorpusError, match="on_error is 'ignore'; expected 'skip' or 'stop'"):
        Corpus.open([tmp_path / "docs"], on_error="ignore")


@pytest.mark.parametrize("place", [0, 100, 20_000, 2_500_000])
def test_a_line_that_is_not_utf8_is_left_out_wherever_it_is(write, tmp_path, place):
    lines = b"a line of words\n" * 200_000
    write("docs/a.txt", lines[: place // 16 * 16] + b"caf\xe9\n" + lines[place // 16 * 16 :])
    for path in (tmp_path / "docs", tmp_path / "docs/a.txt", tmp_path / "d*/*"):
        corpus = Corpus.open([path])
        assert "".join(corpus.documents()).encode() == lines
        list(corpus.documents())
        assert (corpus.faults.files, corpus.faults.records) == (0, 1), "reading again counts again"
        told = f"byte 0xe9 at offset {place // 16 * 16 + 3}"
        assert corpus.skipped[0].startswith("1 line: ") and told in corpus.skipped[0]


def test_a_file_whose_first_lines_are_all_in_another_encoding_is_left_out_whole(write, tmp_path):
    write("docs/latin.txt", "ein Text mit Ümlauten\n".encode("latin-1") * 1_000 + b"plain\n")
    write("docs/a.txt")
    corpus = Corpus.open([tmp_path / "docs"])
    assert [file.name for file in corpus.files] == ["docs/a.txt"] and "iconv -f LATIN1" in corpus.skipped[0]
    with pytest.raises(CorpusError, match="byte 0xdc at offset 13"):
        Corpus.open([tmp_path / "docs/latin.txt"])


def test_bad_records_are_left_out_counted_and_the_first_is_named(write):
    bad = ['{"text": 7}', "{nope", '{"text": "\\ud83d"}', "[" * 200_000, '{"text": "caf\\u00"}', "[]"]
    rows = ['{"text": "first"}', *bad, '{"text": null}', "", '{"text": "last"}']
    data = "\n".join(rows).encode() + b'\n{"text": "caf\xe9"}\n{"text": "\xed\xa0\xbd"}\n'
    corpus = Corpus.open([write("rows.jsonl", data)])
    assert list(corpus.documents()) == ["first", "last"], "null is no text, as in .parquet"
    assert corpus.faults.records == len(bad) + 2 and len(corpus.skipped) == 1
    assert corpus.skipped[0].startswith(
        '8 records, first: rows.jsonl, line 2: expected a string "text", it is of type int'
    )


def test_a_field_that_no_record_has_is_an_error_that_lists_those_there_are(write, tmp_path):
    rows = '{"id": 1, "meta": {"body": "the text", "lang": "en"}}\n'
    with pytest.raises(CorpusError, match=r"its fields are 'id', 'meta\.body', 'meta\.lang'.*--column NAME"):
        Corpus.open([write("docs/rows.jsonl", rows * 3)])
    write("docs/more.jsonl", '{"meta.body": "flat"}\n{"meta": {"body": "nested"}}\n')
    assert list(Corpus.open([tmp_path / "docs"], column="meta.body").documents()) == [
        "flat",
        "nested",
        *["the text"] * 3,
    ]
    write("docs/a.txt", "plain\n")
    corpus = Corpus.open([tmp_path / "docs"])
    assert list(corpus.documents()) == ["plain\n"] and corpus.faults.files == 2


def test_a_search_for_the_first_good_record_ends(write, monkeypatch):
    path = write("rows.jsonl", '{"txt": "a"}\n' * 2_000 + '{"text": "late"}\n')
    with pytest.raises(CorpusError, match="line 1: expected a string"):
        Corpus.open([path])


@posix
def test_what_a_folder_holds_and_is_not_read_is_told(write, tmp_path):
    write("docs/a.txt")
    write("other/b.txt")
    os.mkfifo(tmp_path / "docs/pipe")
    (tmp_path / "docs/linked").symlink_to(tmp_path / "other")
    (tmp_path / "docs/loop").symlink_to(tmp_path / "docs")
    (tmp_path / "docs/gone").symlink_to(tmp_path / "nowhere")
    (tmp_path / "docs/again.txt").symlink_to(tmp_path / "docs/a.txt")
    (tmp_path / "docs/self").symlink_to("self")
    corpus = Corpus.open([tmp_path / "docs"], on_error="stop")
    assert "".join(corpus.documents()) == TEXT, "a file of two names is read once"
    assert sorted(reason.split()[0] for reason in corpus.skipped) == [
        "docs/gone", "docs/linked", "docs/loop", "docs/pipe", "docs/self"
    ]  # fmt: skip
    assert any(
        "linked is a link to a folder" in reason and "Give the folder itself" in reason for reason in corpus.skipped
    )
    with pytest.raises(CorpusError, match="self cannot be read"):
        Corpus.open([tmp_path / "docs/self"])


@posix
@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root reads everything")
def test_what_may_not_be_read_is_left_out_of_a_folder(write, tmp_path):
    write("docs/a.txt")
    write("docs/locked.txt").chmod(0)
    write("docs/closed/b.txt").parent.chmod(0)
    try:
        corpus = Corpus.open([tmp_path / "docs"])
        assert [file.name for file in corpus.files] == ["docs/a.txt"] and corpus.faults.files == 2
    finally:
        (tmp_path / "docs/closed").chmod(0o700)


def test_a_file_that_vanishes_is_no_fault_of_the_text(write):
    path = write("a.txt")
    corpus = Corpus.open([path])
    path.unlink()
    with pytest.raises(CorpusError, match=r"a\.txt cannot be read: No such file"):
        list(corpus.documents())
