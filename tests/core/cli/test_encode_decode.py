"""encode and decode: the exact bytes come back, and bad ids are named."""

from __future__ import annotations

import json

import pytest


@pytest.mark.parametrize(
    "data",
    [b"", b"the cat\n", b"\x00\xff\xfe any bytes \r\n", "🙂 né".encode() * 3, bytes(range(256)) * 40],
    ids=["empty", "text", "no UTF-8", "emoji", "every byte"],
)
def test_decode_gives_back_exactly_the_bytes_that_encode_took(shipped, run, data):
    code, ids, err = run("encode", "shipped", "-", stdin=data)
    assert (code, err) == (0, "") and ids.endswith(b"\n") and ids.count(b"\n") == 1
    assert run("decode", "shipped", stdin=ids) == (0, data, "")
    code, out, _ = run("encode", "shipped", "--json", stdin=data)
    assert json.loads(out) == {"ids": list(map(int, ids.split())), "tokens": len(ids.split()), "bytes": len(data)}
    assert run("decode", "shipped", stdin=out) == (0, data, "")


def test_ids_do_not_depend_on_how_the_input_is_cut(shipped, run, monkeypatch):
    data = b"the theatre of the absurd " * 40
    whole = run("encode", "shipped", stdin=data)[1]
    monkeypatch.setattr("tokframe.loading.counting.BLOCK_BYTES", 7)
    monkeypatch.setattr("tokframe.cli.decode.BLOCK_BYTES", 5)
    assert run("encode", "shipped", stdin=data)[1] == whole
    assert run("decode", "shipped", stdin=whole)[1] == data


def test_files_are_read_and_a_missing_one_is_named(shipped, run):
    (shipped / "in.txt").write_bytes(b"the end")
    ids = run("encode", "shipped", "in.txt")[1]
    (shipped / "in.ids").write_bytes(ids.replace(b" ", b"\n\t "))
    assert run("decode", "shipped", "in.ids")[1] == b"the end"
    code, out, err = run("encode", "shipped", "gone.txt")
    assert (code, out, err) == (1, b"", "Error: cannot read 'gone.txt': No such file or directory\n")


def test_special_tokens_are_added_and_shown_on_request(shipped, run):
    run("train", "shipped", "--corpus", "a.txt", "--out", "wrapped", "--seed", "7")
    assert run("encode", "./wrapped", "--special", stdin=b"a")[1] == b"2 101 3\n"
    assert run("encode", "./wrapped", stdin=b"a")[1] == b"101\n"
    assert run("decode", "./wrapped", stdin=b"2 101 3")[1] == b"a"
    assert run("decode", "./wrapped", "--special", stdin=b"2 101 3")[1] == b"<s>a</s>"


def test_decode_as_json_keeps_bytes_that_are_no_text(shipped, run):
    assert json.loads(run("decode", "shipped", "--json", stdin=b"101 102")[1]) == {
        "text": "ab", "base64": "YWI=", "bytes": 2, "tokens": 2,
    }  # fmt: skip
    assert json.loads(run("decode", "shipped", "--json", stdin=b"259")[1])["text"] is None


@pytest.mark.parametrize(
    ("ids", "told"),
    [
        (b"100 100 999", "id 999 at position 2 is outside the vocabulary of shipped; ids are 0 to 260"),
        (b"100 -1", "id -1 at position 1"),
        (b"100 x1", "'x1' at position 1 is not an id"),
        (b"100 1.5", "'1.5' at position 1 is not an id"),
        (b'{"ids": [1, "2"]}', 'expected {"ids": [numbers]}'),
        (b'{"ids": [1,', "not valid JSON"),
        (b"99999999999999999999999999", "id 99999999999999999999999999 at position 0"),
    ],
)
def test_bad_ids_are_named_with_their_position(shipped, run, ids, told):
    code, _, err = run("decode", "shipped", stdin=ids)
    assert code == 1 and told in err and "Traceback" not in err
