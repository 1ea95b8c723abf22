"""Reading the formats of a corpus: text, compressed files, .jsonl, .parquet; in which pieces, how damage is told."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import json
import lzma
import sys

import click
import pytest
from support.corpora import TEXT, joined

from tokframe.cli.options import corpus_option
from tokframe.corpus.compression import SUFFIXES
from tokframe.corpus.files import Corpus
from tokframe.corpus.formats import FORMATS, format_of, jsonl
from tokframe.corpus.formats import text as module
from tokframe.errors import CorpusError


@pytest.mark.parametrize("name", ["a.txt", "a.md", "a.rst", "a.py", "README", "a.log"])
def test_any_text_file_is_read_as_it_is(write, name):
    path = write(name, "BOM \ufeff\r\nand NUL \x00\rend without line end")
    assert joined([path]) == "BOM \ufeff\r\nand NUL \x00\rend without line end"


@pytest.mark.parametrize(("name", "data"), [("a.txt", "the text\n"), ("a.jsonl", '{"text": "the text\\n"}\n')])
def test_a_byte_order_mark_is_no_text(write, name, data):
    assert joined([write(name, "\ufeff" + data)]) == "the text\n"


def zstd(data):
    return pytest.importorskip("zstandard").ZstdCompressor().compress(data)


PACKERS = {"gz": gzip.compress, "xz": lzma.compress, "bz2": bz2.compress, "zst": zstd}


@pytest.mark.parametrize("suffix", PACKERS)
def test_compressed_files_are_unpacked_all_their_parts(write, suffix):
    pack = PACKERS[suffix]
    (file,) = Corpus.open([write(f"a.txt.{suffix}", pack(TEXT.encode()) + pack(b"second\n"))]).files
    assert ("".join(file.documents()), file.size, file.source) == (TEXT + "second\n", None, "a")


@pytest.mark.parametrize("suffix", PACKERS)
@pytest.mark.parametrize("kept", [0.3, 0.9])
def test_a_truncated_compressed_file_is_named(write, suffix, kept):
    packed = PACKERS[suffix](bytes(range(32, 127)) * 3000 + hashlib.sha512(b"x").hexdigest().encode() * 50)
    path = write(f"cut.txt.{suffix}", packed[: int(len(packed) * kept)])
    with pytest.raises(CorpusError, match="truncated or corrupt") as caught:
        joined([path])
    assert caught.value.path.name == f"cut.txt.{suffix}"


@pytest.mark.parametrize("suffix", ["gz", "xz", "bz2"])
def test_a_compressed_file_altered_in_one_byte_is_named(write, suffix):
    packed = bytearray(PACKERS[suffix](TEXT.encode() * 20))
    packed[len(packed) // 2] ^= 0x10
    with pytest.raises(CorpusError, match=rf"bad\.txt\.{suffix} is truncated or corrupt"):
        joined([write(f"bad.txt.{suffix}", bytes(packed))])


@pytest.mark.parametrize("suffix", PACKERS)
def test_a_compressed_file_under_another_name_is_told(write, suffix):
    with pytest.raises(CorpusError, match=rf"a\.txt is compressed\. Unpack it, or .* ends in \.{suffix}"):
        Corpus.open([write("a.txt", PACKERS[suffix](TEXT.encode()))])


def test_zst_without_its_package_says_what_to_install(write, monkeypatch):
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with pytest.raises(CorpusError, match=r"needs zstandard: pip install .*\[zstd\]'"):
        joined([write("a.zst", b"\x28\xb5\x2f\xfd")])


def test_long_files_come_in_bounded_pieces_cut_after_line_ends(write):
    text = "".join(f"{number} ünd mehr\n" for number in range(250_000))
    pieces = list(Corpus.open([write("long.txt", text)]).documents())
    assert "".join(pieces) == text
    assert len(pieces) > 2 and all(piece.endswith("\n") for piece in pieces)
    assert max(len(piece.encode()) for piece in pieces) < 2_100_000


def test_a_line_without_end_is_cut_at_a_whole_character(write, monkeypatch):
    monkeypatch.setattr(module, "CHUNK_BYTES", 1000)
    monkeypatch.setattr(module, "_MAX_LINE_BYTES", 4000)
    text = "x" + "🙂" * 5000
    pieces = list(Corpus.open([write("line.txt", text)]).documents())
    assert "".join(pieces) == text and len(pieces) > 2


def test_bytes_that_are_not_utf8_are_named_with_their_offset(write):
    path = write("late.txt", b"a line\n" * 400_000 + b"caf\xe9\n")
    with pytest.raises(CorpusError, match=r"late\.txt is not UTF-8: byte 0xe9 at offset 2800003.*iconv"):
        joined([path])


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"caf\xe9\n", "offset 3"),
        ("a character cut 🙂".encode()[:-1], "offset 16"),
        ("wide".encode("utf-16"), "iconv -f UTF-16"),
    ],
)
def test_text_in_another_encoding_is_an_error_at_once(write, data, said):
    with pytest.raises(CorpusError, match=said):
        Corpus.open([write("a.txt", data)])


def test_a_probe_that_ends_inside_a_character_is_no_error(write):
    text = "x" * (module._PROBE_BYTES - 1) + "🙂"
    assert joined([write("edge.txt", text)]) == text


def test_jsonl_gives_a_document_per_record(write):
    lines = [json.dumps({"id": 1, "text": "erste\nzwei"}), "", json.dumps({"text": ""}), json.dumps({"text": "🙂"})]
    path = write("a.jsonl.gz", gzip.compress("\n".join(lines).encode()))
    (file,) = Corpus.open([path]).files
    assert list(file.documents()) == ["erste\nzwei", "🙂"]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('{"txt": "a"}', "line 2: expected a string \"text\", there is none; its fields are 'txt'"),
        ('{"text": 7}', 'line 2: expected a string "text", it is of type int'),
        ("[1]", 'line 2: expected a string "text"'),
        ("{nope", "line 2: not JSON"),
        ('{"text": "\\ud800"}', "line 2: character 0 of the text is a lone surrogate"),
    ],
)
def test_a_bad_jsonl_record_is_named_by_its_line(write, line, told):
    with pytest.raises(CorpusError) as caught:
        joined([write("a.jsonl", '{"text": "fine"}\n' + line + "\n")])
    assert told in str(caught.value) and "a.jsonl" in str(caught.value)


def test_each_format_has_suffixes_of_its_own_and_is_named_in_the_help():
    suffixes = [suffix for each in FORMATS for suffix in each.suffixes]
    assert len(set(suffixes)) == len(suffixes) and not set(suffixes) & set(SUFFIXES)
    assert all(format_of(suffix).suffixes.count(suffix) == 1 for suffix in suffixes) and format_of(".rst") is FORMATS[0]
    params = corpus_option(required=False)(click.command()(lambda corpus: None)).params
    (option,) = [param for param in params if param.name == "corpus"]
    help_text = option.get_help_record(click.Context(click.Command("any")))[1]
    assert all(each.suffixes[0] in help_text for each in FORMATS if each.suffixes)
    assert all(suffix in help_text for suffix in SUFFIXES)


def test_parquet_without_pyarrow_says_what_to_install(write, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(CorpusError, match=r"pip install .*\[parquet\]'"):
        joined([write("a.parquet", b"PAR1")])


def test_parquet_rows_are_documents_and_nulls_are_left_out(write, tmp_path):
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    parquet.write_table(arrow.table({"text": ["one", None, "zwei 🙂"]}), tmp_path / "a.parquet")
    assert list(Corpus.open([tmp_path / "a.parquet"]).documents()) == ["one", "zwei 🙂"]
    parquet.write_table(arrow.table({"id": [1], "body": ["one"]}), tmp_path / "b.parquet")
    with pytest.raises(CorpusError, match=r"no column \"text\" of text; its fields are 'id', 'body'.*--column"):
        Corpus.open([tmp_path / "b.parquet"])
    with pytest.raises(CorpusError, match="not a readable parquet"):
        Corpus.open([write("broken.parquet", b"PAR1 and nothing else")])


def test_one_long_line_is_read_in_linear_time_and_bounded(write, monkeypatch):
    seen = []
    parts = (seen.append(None) or b"a" * 1000 for _ in range(50))
    assert list(jsonl._lines(parts)) == [b"a" * 50_000] and len(seen) == 50
    monkeypatch.setattr(jsonl, "_MAX_LINE_BYTES", 1_000)
    monkeypatch.setattr(jsonl, "CHUNK_BYTES", 100)
    long = json.dumps({"text": "a" * 2_000})
    corpus = Corpus.open([write("a.jsonl", f'{{"text": "one"}}\n{long}\n{{"text": "two"}}\n{long}')])
    assert list(corpus.documents()) == ["one", "two"]
    assert corpus.skipped[0].startswith("2 records, first: a.jsonl, line 2: longer than 0 MB")


def test_parquet_reads_nested_columns_and_leaves_out_rows_that_are_not_utf8(tmp_path):
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    nested = [{"text": "one", "lang": "en"}, None, {"text": None, "lang": "en"}, {"text": "two", "lang": "en"}]
    parquet.write_table(arrow.table({"meta": nested, "id": [1, 2, 3, 4]}), tmp_path / "a.parquet")
    corpus = Corpus.open([tmp_path / "a.parquet"], column="meta.text")
    assert list(corpus.documents()) == ["one", "two"]
    assert [span.end for file in corpus.files for span in file.format.spans(file, 10, "file")] == [1]
    ends = arrow.array([0, 3, 6, 9], arrow.int32()).buffers()[1]
    texts = arrow.Array.from_buffers(arrow.string(), 3, [None, ends, arrow.py_buffer(b"onecaf\xe9two"[:6] + b"\xe9ab")])
    parquet.write_table(arrow.table({"text": texts}), tmp_path / "b.parquet")
    corpus = Corpus.open([tmp_path / "b.parquet"])
    assert list(corpus.documents()) == ["one", "caf"]
    assert corpus.skipped == ("1 record: b.parquet, row 3: not UTF-8: byte 0xe9",)
    with pytest.raises(CorpusError, match="row 3"):
        joined([tmp_path / "b.parquet"])


def test_a_long_window_of_zstd_is_read_and_a_frame_of_little_is_no_large_piece(write):
    zstandard = pytest.importorskip("zstandard")
    long = zstandard.ZstdCompressionParameters(window_log=31, write_content_size=False)
    stream = zstandard.ZstdCompressor(compression_params=long).compressobj()
    packed = stream.compress(TEXT.encode() * 99) + stream.flush()
    skippable = b"\x50\x2a\x4d\x18\x04\x00\x00\x00abcd"
    path = write("a.txt.zst", skippable + packed + zstd(b"\n" * 9_000_000) + skippable)
    corpus = Corpus.open([path])
    assert "".join(corpus.documents()) == TEXT * 99 + "\n" * 9_000_000
    assert max(map(len, corpus.documents())) < 2_100_000


def test_a_frame_that_ends_within_a_character_is_no_end_of_text(write):
    both = zstd("é".encode()[:1]) + zstd("é".encode()[1:] + b"t\xc3\xa9\n")
    assert joined([write("a.txt.zst", both)]) == "été\n"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_text_of_other_width_is_named_with_its_encoding(write, tmp_path, encoding):
    write("docs/wide.txt", "some text\n".encode(encoding))
    write("docs/a.txt")
    name = "UTF-32" if "32" in encoding else "UTF-16"
    corpus = Corpus.open([tmp_path / "docs"])
    assert joined(corpus.files[0].path for _ in [0]) == TEXT
    assert f"docs/wide.txt is {name}" in corpus.skipped[0] and f"iconv -f {name}" in corpus.skipped[0]
    with pytest.raises(CorpusError, match=f"is {name}"):
        Corpus.open([tmp_path / "docs/wide.txt"])
