"""The plan follows from the text alone: what is cut where, and what a document is."""

from __future__ import annotations

import json
import os

import pytest
from support.sharding import flat, prose, texts_of

from tokframe.corpus.files import Corpus
from tokframe.corpus.formats import text as text_format
from tokframe.shards.planning import automatic_size


@pytest.mark.parametrize("size", [1_000, 7_919, 100_000, 10**9])
def test_parts_of_a_text_joined_are_the_text_and_end_with_lines(write, size):
    text = prose(50_000)
    parts = ["".join(unit) for unit in texts_of([write("a.txt", text)], size)]
    assert "".join(parts) == text
    assert all(part.endswith("\n") for part in parts)
    assert len(parts) == -(-len(text.encode()) // size)


@pytest.mark.parametrize("size", [1_000, 7_919, 10**9])
def test_records_and_lines_and_blocks_are_the_same_for_every_shard_size(write, size):
    lines = [f"line {i} " + "ä" * (i % 50) for i in range(2_000)]
    blocks = ["\n".join(lines[i : i + 3]) for i in range(0, 2_000, 3)]
    records = write("r.jsonl", "\n".join(json.dumps({"text": line}) for line in lines))
    assert flat(texts_of([records], size)) == lines
    assert flat(texts_of([write("l.txt", "\r\n".join(lines) + "\n\n")], size, "line")) == lines
    text = write("b.txt", "\n \t\n" + "\n\n\n".join(blocks))
    assert flat(texts_of([text], size, "blank-line")) == blocks


def test_a_text_without_line_ends_is_cut_between_characters(write, monkeypatch):
    monkeypatch.setattr(text_format, "_CUT_WINDOW_BYTES", 100)
    text = "三🙂ä" * 3_000
    units = texts_of([write("a.txt", text)], 5_000)
    assert len(units) == 6 and "".join(flat(units)) == text


def test_a_record_longer_than_a_shard_stays_whole(write, monkeypatch):
    monkeypatch.setattr(text_format, "_CUT_WINDOW_BYTES", 100)
    records = ["a" * 5_000, "b", "c" * 9_000, "d"]
    path = write("r.jsonl", "\n".join(json.dumps({"text": text}) for text in records))
    assert flat(texts_of([path], 1_000)) == records


def test_small_files_share_a_shard_and_are_not_cut(write):
    paths = [write(f"{i:02}.txt", prose(4_000, i)) for i in range(20)]
    units = texts_of(paths, 10_000)
    assert [len(unit) for unit in units] == [2] * 10
    assert flat(units) == [path.read_text(encoding="utf-8") for path in paths]


def test_an_indented_block_keeps_its_indentation(write):
    assert texts_of([write("a.py", "\n\n    x = 1\n    y = 2\n\n\n    z = 3")], split="blank-line") == [
        ["    x = 1\n    y = 2", "    z = 3"]
    ]


def test_parquet_is_cut_between_row_groups(write, tmp_path):
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    rows = [prose(1_000, i) for i in range(40)]
    path = tmp_path / "a.parquet"
    parquet.write_table(pa.table({"body": [*rows, None], "n": range(41)}), path, row_group_size=10, compression="none")
    units = texts_of([path], 15_000, column="body")
    assert len(units) > 2 and flat(units) == rows


def test_the_size_of_shards_follows_the_corpus(write):
    path = write("a.txt", "x\n")
    for size, expected in ((1_000, 4_000_000), (640_000_000, 10_000_000), (640_000_000_000, 256_000_000)):
        os.truncate(path, size)  # with a hole, which takes no place
        assert automatic_size(Corpus.open([path])) == expected
