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
import sys
import sysconfig
from pathlib import Path

import click
import pytest

from tokframe.cli.options import corpus_option
from tokframe.corpus.compression import SUFFIXES
from tokframe.corpus.files import Corpus
from tokframe.corpus.formats import FORMATS, format_of
from tokframe.corpus.formats import text as module
from tokframe.errors import CorpusError

TEXT = "one line\nzwei Zeilen: ä ö ü\n三行\n"


@pytest.fixture
def write(tmp_path):
    def make(name, data=TEXT):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.encode() if isinstance(data, str) else data)
        return path

    return make


def joined(paths):
    return "".join(Corpus.open(paths).documents())


@pytest.mark.parametrize("name", ["a.txt", "a.md", "a.rst", "a.py", "README", "a.log"])
def test_any_text_file_is_read_as_it_is(write, name):
    path = write(name, "\ufeffBOM\r\nand NUL \x00\rend without line end")
    assert joined([path]) == "\ufeffBOM\r\nand NUL \x00\rend without line end"


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


def test_zst_without_its_package_says_what_to_install(write, monkeypatch):
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with pytest.raises(CorpusError, match=r"needs zstandard: pip install 'tokframe\[zstd\]'"):
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
        ('{"text": 7}', 'line 2: expected a string "text", it is a int'),
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
    option = corpus_option(required=False)(click.command()(lambda corpus: None)).params[0]
    help_text = option.get_help_record(click.Context(click.Command("any")))[1]
    assert all(each.suffixes[0] in help_text for each in FORMATS if each.suffixes)
    assert all(suffix in help_text for suffix in SUFFIXES)


def test_parquet_without_pyarrow_says_what_to_install(write, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(CorpusError, match=r"pip install 'tokframe\[parquet\]'"):
        joined([write("a.parquet", b"PAR1")])


def test_parquet_rows_are_documents_and_nulls_are_left_out(write, tmp_path):
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    parquet.write_table(arrow.table({"text": ["one", None, "zwei 🙂"]}), tmp_path / "a.parquet")
    assert list(Corpus.open([tmp_path / "a.parquet"]).documents()) == ["one", "zwei 🙂"]
    parquet.write_table(arrow.table({"id": [1], "body": ["one"]}), tmp_path / "b.parquet")
    with pytest.raises(CorpusError, match='no column "text"; it has id, body'):
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


def test_damage_in_a_folder_is_not_passed_over(write, tmp_path):
    write("docs/a.txt")
    write("docs/b.txt.gz", gzip.compress(TEXT.encode() * 9)[:40])
    with pytest.raises(CorpusError, match=r"b\.txt\.gz is truncated"):
        joined([tmp_path / "docs"])


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
        ("pictures", {"a.png": b"\0\1"}, "1 files were left out, e.g."),
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
        Corpus.open([tmp_path / name])
    assert told in str(caught.value)


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
    with pytest.raises(CorpusError, match=r"cannot read .*locked\.txt: Permission denied"):
        Corpus.open([path])
