"""Finding the files of a corpus: paths, folders, globs, the standard library; their order, names and sources."""

from __future__ import annotations

import gzip
import json
import lzma
import os
import pickle
import sysconfig
from pathlib import Path

import pytest
from support.corpora import TEXT, joined

from tokframe.corpus.files import Corpus
from tokframe.errors import CorpusError

posix = pytest.mark.skipif(os.name == "nt", reason="of POSIX systems")


@pytest.mark.parametrize("given", ["https://a.b/c.txt", "HTTP://a.b/c?q=*", "s3://bucket/[a]", "hf://datasets/x"])
def test_an_address_is_told_from_a_path(given, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CorpusError, match="is an address, not a path"):
        Corpus.open([given])
    place = tmp_path / given
    place.parent.mkdir(parents=True)
    place.write_text("here", encoding="utf-8")
    assert joined([given]) == "here"


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
