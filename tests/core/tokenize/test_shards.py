"""What is written reads back: ids, documents, layouts, the ids around documents."""

from __future__ import annotations

import gzip
import json
import lzma
import pickle

import numpy as np
import pytest
from support.sharding import flat, prose, texts_of

import tokframe
from tokframe.errors import EncodingError, ShardsError
from tokframe.shards import ShardSettings, TokenShards, tokenize


@pytest.mark.parametrize("layout", ["bin", "npy"])
def test_what_is_written_reads_back(toy, write, tmp_path, layout):
    text = write("a.txt", prose(30_000))
    made = tokenize(
        toy, corpus=[text], out=tmp_path / "out", workers=1, settings=ShardSettings(shard_size=7_000, layout=layout)
    )
    tokenizer = tokframe.load(toy)
    opened = TokenShards.open(tmp_path / "out")
    opened.verify()
    expected = [tokenizer.encode(part) for unit in texts_of([text], 7_000) for part in unit]
    assert [ids.tolist() for ids in opened] == expected == [opened[i].tolist() for i in range(len(opened))]
    assert opened[-1].tolist() == expected[-1] and [len(ids) for ids in opened[1:3]] == [len(e) for e in expected[1:3]]
    every = flat(expected)
    assert (opened.tokens, opened.bytes, opened.dtype) == (len(every), text.stat().st_size, "uint16")
    assert len(made.shards) == 5
    for start, length in ((0, 5), (0, 10**9), (len(opened.shard(0)) - 2, 4), (len(every) - 3, 100), (7, 0)):
        assert opened.window(start, length).tolist() == every[start : start + length]
    first = opened.index["shards"][0]
    if layout == "npy":
        loaded = np.load(tmp_path / "out" / first.file, mmap_mode="r")
    else:
        loaded = np.memmap(tmp_path / "out" / first.file, "<u2", mode="r")
    assert loaded.tolist() == opened.shard(0).tolist()
    assert pickle.loads(pickle.dumps(opened))[0].tolist() == expected[0]


def test_ids_beyond_the_type_of_a_shard_are_refused(toy, write, tmp_path, monkeypatch):
    tokenizer = tokframe.load(toy)
    for ids, value in (([5, 1 << 16], "65536"), ([-1, 5], "-1")):
        monkeypatch.setattr(type(tokenizer), "encode_raw", lambda self, data, ids=ids: np.asarray(ids, np.int32))
        with pytest.raises(ShardsError, match=f"{value} is outside 0 to 65535, which is what tokens-0"):
            tokenize(tokenizer, corpus=[write("a.txt", "the")], out=tmp_path / "out", workers=1)


def test_positions_outside_are_told(toy, write, tmp_path):
    shards = tokenize(toy, corpus=[write("a.txt", "the cat\n")], out=tmp_path / "out", workers=1)
    for call in (lambda: shards[1], lambda: shards[-2], lambda: shards.window(10**6, 1), lambda: shards.window(-1, 1)):
        with pytest.raises(IndexError, match="outside"):
            call()


@pytest.mark.parametrize("sides", [{"begin": "<s>"}, {"end": "</s>"}, {"begin": "<s>", "end": "</s>"}])
def test_a_token_that_the_template_adds_is_not_added_again(toy, write, tmp_path, sides):
    tokenizer = tokframe.load(toy)
    text = [write("a.jsonl", '{"text": "the"}\n{"text": "cat"}\n')]
    found = tokenize(tokenizer, corpus=text, out=tmp_path / "out", workers=1, settings=ShardSettings(**sides))
    assert found[0].tolist() == tokenizer.encode("the") and found[0][0] == 2
    swapped = ShardSettings(begin="</s>", end="<s>")  # others are added around the template
    found = tokenize(tokenizer, corpus=text, out=tmp_path / "other", workers=1, settings=swapped)
    assert found[0].tolist() == [3, *tokenizer.encode("the"), 2]


def test_the_ids_around_documents_are_as_asked(toy, write, tmp_path):
    text = [write("a.jsonl", '{"text": "the"}\n{"text": "cat"}\n')]

    def first(out, **settings):
        return tokenize(toy, corpus=text, out=tmp_path / out, workers=1, settings=ShardSettings(**settings))[0].tolist()

    tokenizer = tokframe.load(toy)
    assert first("a") == tokenizer.encode("the")
    assert first("b", add_special=False) == tokenizer.encode("the", add_special=False)
    assert first("c", add_special=False, begin="<s>", end="</s>") == [2, *tokenizer.encode("the", False), 3]
    with pytest.raises(EncodingError, match=r"'<eot>' is not a special token of toy; it has <pad>, <unk>, <s>, </s>"):
        first("d", end="<eot>")
    assert not (tmp_path / "d").exists()


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress], ids=["gz", "xz"])
def test_a_compressed_file_fills_as_many_shards_as_its_text_does(toy, write, tmp_path, pack):
    lines = prose(40_000).splitlines()
    data = "\n".join(json.dumps({"text": line}) for line in lines).encode()
    path = write("a.jsonl.xz" if pack is lzma.compress else "a.jsonl.gz", pack(data))
    shards = tokenize(toy, corpus=[path], out=tmp_path / "out", workers=1, settings=ShardSettings(shard_size=9_000))
    tokenizer = tokframe.load(toy)
    assert [ids.tolist() for ids in shards] == [tokenizer.encode(line) for line in lines]
    assert len(shards.shards) == 5 and all(9_000 <= shard.bytes < 9_200 for shard in shards.shards[:-1])


def test_a_large_vocabulary_takes_four_bytes_an_id(toy, write, tmp_path, monkeypatch):
    from toy_bytes.tokenizer import ToyTokenizer

    monkeypatch.setattr(ToyTokenizer, "vocab_size", property(lambda self: 70_000))
    shards = tokenize(toy, corpus=[write("a.txt", "the cat\n")], out=tmp_path / "out", workers=1)
    assert shards.dtype == "int32"
    assert shards[0].tolist() == tokframe.load(toy).encode("the cat\n")
