"""The corpus reader: what is read, in which order, in which pieces, and how damage is told."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import json
import lzma
import os
import pickle
import socket
import subprocess
import sys
import sysconfig
import tempfile
import threading
from pathlib import Path

import click
import pytest

from tokframe.cli.options import corpus_option
from tokframe.corpus import pipes
from tokframe.corpus.compression import SUFFIXES
from tokframe.corpus.files import Corpus
from tokframe.corpus.formats import FORMATS, format_of, jsonl
from tokframe.corpus.formats import text as module
from tokframe.errors import CorpusError

posix = pytest.mark.skipif(os.name == "nt", reason="of POSIX systems")
TEXT = "one line\nzwei Zeilen: ä ö ü\n三行\n"


@pytest.fixture
def write(tmp_path):
    def make(name, data=TEXT):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.encode() if isinstance(data, str) else data)
        return path

    return make


def joined(paths, on_error="stop"):
    return "".join(Corpus.open(paths, on_error=on_error).documents())


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


@pytest.mark.parametrize("given", ["https://a.b/c.txt", "HTTP://a.b/c?q=*", "s3://bucket/[a]", "hf://datasets/x"])
def test_an_address_is_told_from_a_path(given, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CorpusError, match="is an address, not a path"):
        Corpus.open([given])
    place = tmp_path / given
    place.parent.mkdir(parents=True)
    place.write_text("here", encoding="utf-8")
    assert joined([given]) == "here"


def test_a_pipe_given_twice_is_read_once(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"some text\n")))
    assert joined(["-", "-"]) == "some text\n"


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


def test_folders_are_read_recursively_in_order_without_hidden_binary_and_empty_files(write, tmp_path):
    for name in ("b.txt", "a/z.md", "a/b.txt", ".hidden", ".git/config", "__pycache__/x.py"):
        write(f"docs/{name}", name)
    write("docs/picture.png", b"\x89PNG\x00\x00")
    write("docs/latin.txt", b"caf\xe9")
    write("docs/empty.txt", b"")
    corpus = Corpus.open([tmp_path / "docs"])
    assert [file.name for file in corpus.files] == ["docs/a/b.txt", "docs/a/z.md", "docs/b.txt"]
    assert {file.source for file in corpus.files} == {"docs"}
    assert len(corpus.skipped) == 3 and any("picture.png is binary" in reason for reason in corpus.skipped)


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


@posix
@pytest.mark.parametrize(
    "name", [b"caf\xe9.txt", b"a\nb.txt", b"\x1b[2J.txt", "🙂 \"'.txt".encode(), b"n" * 250 + b".txt"]
)
def test_any_file_name_is_text_that_json_holds_and_the_file_is_found(tmp_path, name):
    (tmp_path / "docs").mkdir()
    path = os.fsencode(tmp_path / "docs") + b"/" + name
    with open(path, "wb") as file:
        file.write(TEXT.encode())
    corpus = Corpus.open([tmp_path / "docs"])
    assert joined([os.fsdecode(path)]) == joined([tmp_path / "docs"]) == TEXT
    shown = corpus.files[0].name
    assert json.loads(json.dumps(shown, ensure_ascii=False).encode()) == shown and shown.isprintable()
    escaped = name.decode(errors="backslashreplace").replace("\n", "\\x0a").replace("\x1b", "\\x1b")
    assert shown == f"docs/{escaped}"
    with pytest.raises(CorpusError, match="is not UTF-8") as caught:
        with open(path, "wb") as file:
            file.write(b"\xe9")
        joined([os.fsdecode(path)])
    assert str(caught.value).encode().decode().isprintable()


@posix
def test_names_that_look_alike_once_escaped_stay_apart(tmp_path):
    for name in (b"caf\xe9.txt", b"caf\\xe9.txt"):
        with open(os.fsencode(tmp_path) + b"/" + name, "wb") as file:
            file.write(name + b" text"[5:] if b"\\" in name else b"bytes")
    assert len({file.name for file in Corpus.open([tmp_path]).files}) == 2


def test_a_tilde_is_the_home_folder_unless_a_file_is_named_so(write, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    write("home/t.txt", "home\n")
    write("~$notes.txt", "literal\n")
    assert joined(["~/t.txt"]) == joined(["~/*.txt"]) == "home\n"
    assert joined(["~$notes.txt"]) == "literal\n"
    with pytest.raises(CorpusError, match="no file or folder '~nobody-of-this-name/x'"):
        Corpus.open(["~nobody-of-this-name/x"])
    write("~/t.txt", "a folder of that name\n")
    assert joined(["~/t.txt"]) == "a folder of that name\n"


def test_globs_are_sorted_and_of_several_paths_each_file_counts_once(write, tmp_path):
    first, second = write("x/2.txt", "2"), write("x/1.txt", "1")
    write("x/deep/3.txt", "3")
    assert joined([tmp_path / "x/*.txt"]) == "12"
    assert joined([f"{tmp_path}/x/**/*.txt"]) == "123"
    assert joined([first, tmp_path / "x", second]) == "213"


def test_names_are_unique_and_sources_leave_out_the_split(write):
    paths = [
        write("a/books.train.txt.xz", lzma.compress(b"a")),
        write("b/books.dev.txt"),
        write("c/books.dev.txt", "c"),
    ]
    corpus = Corpus.open(paths)
    assert [file.name for file in corpus.files] == ["books.train.txt.xz", "b/books.dev.txt", "c/books.dev.txt"]
    assert {source: len(files) for source, files in corpus.sources().items()} == {"books": 3}


@pytest.mark.slow
def test_a_corpus_travels_to_another_process(write):
    corpus = pickle.loads(pickle.dumps(Corpus.open([write("a.txt"), "stdlib:heldout"])))
    assert next(corpus.documents()) == TEXT


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


@pytest.mark.slow
def test_the_standard_library_is_split_by_file_name_for_good():
    train, held_out = Corpus.open(["stdlib:train"]), Corpus.open(["stdlib:heldout"])
    names = {file.name for file in train.files}, {file.name for file in held_out.files}
    assert not names[0] & names[1]
    assert names[0] | names[1] == {file.name for file in Corpus.open(["stdlib"]).files}
    # by hand: int(sha256(b"ast.py").hexdigest(), 16) % 10 == 0, and 3 for argparse.py
    assert "stdlib/ast.py" in names[1] and "stdlib/argparse.py" in names[0]
    assert 0.05 < len(names[1]) / (len(names[0]) + len(names[1])) < 0.15
    assert list(held_out.sources()) == ["stdlib"]


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_a_library_file_of_two_names_is_in_one_part(tmp_path, monkeypatch):
    for number in range(60):
        (tmp_path / f"m{number}.py").write_text(f"x = {number}\n")
        (tmp_path / f"another_{number}.py").symlink_to(tmp_path / f"m{number}.py")
    monkeypatch.setattr("sysconfig.get_path", lambda name: str(tmp_path))
    train, held_out, whole = (
        [file.path for file in Corpus.open([name]).files] for name in ("stdlib:train", "stdlib:heldout", "stdlib")
    )
    assert held_out and not set(train) & set(held_out) and len(set(whole)) == len(whole) == 60
    assert sorted(train + held_out) == sorted(whole)


@pytest.mark.slow
def test_standard_library_files_are_one_document_each_and_belong_to_python_itself():
    corpus = Corpus.open(["stdlib:heldout"])
    root = Path(sysconfig.get_path("stdlib")).resolve()
    for file in corpus.files[:40]:
        assert file.path.is_relative_to(root) and not {"site-packages", "__pycache__"} & set(file.path.parts)
        assert list(file.documents()) == [file.path.read_bytes().decode()]
        assert file.size == len("".join(file.documents()).encode())


@pytest.mark.parametrize(
    ("name", "data", "told"),
    [
        ("nowhere.txt", None, "no file or folder"),
        ("*.nothing", None, "no file matches"),
        ("void.txt", b"", "void.txt is empty"),
        ("a.jsonl", b'{"text": ""}\n', "a.jsonl is empty"),
        ("a.tar.gz", gzip.compress(b"tar"), "is an archive"),
        ("void", {}, "no text in folder"),
        ("pictures", {"a.png": b"\0\1"}, "no text in folder"),
        ("", None, "a path of the corpus is empty"),
    ],
)
def test_a_path_without_text_is_an_error_that_names_it(write, tmp_path, name, data, told):
    if isinstance(data, bytes):
        write(name, data)
    elif data is not None:
        (tmp_path / name).mkdir()
        for inside, content in data.items():
            write(f"{name}/{inside}", content)
    with pytest.raises(CorpusError) as caught:
        Corpus.open([str(tmp_path / name) if name else ""])
    assert told in str(caught.value)


def test_a_link_to_nothing_is_told_as_one(tmp_path):
    (tmp_path / "a.txt").symlink_to("moved.txt")
    with pytest.raises(CorpusError, match=r"a\.txt' is a link to nothing: 'moved\.txt' is not there"):
        Corpus.open([tmp_path / "a.txt"])


def test_no_path_is_an_error_and_a_near_miss_gets_a_suggestion(write, tmp_path):
    with pytest.raises(CorpusError, match="no corpus given"):
        Corpus.open([])
    write("notes.txt")
    with pytest.raises(CorpusError, match=r"Did you mean '.*notes\.txt'"):
        Corpus.open([tmp_path / "note.txt"])
    with pytest.raises(CorpusError, match="Did you mean 'stdlib'"):
        Corpus.open(["stdlb"])


def test_an_unreadable_file_is_an_error_with_the_systems_reason(write, monkeypatch):
    path = write("locked.txt")

    def refuse(self, *_, **__):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(CorpusError, match=r"locked\.txt cannot be read: Permission denied"):
        Corpus.open([path])
