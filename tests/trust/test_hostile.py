"""Artifacts made with ill intent, sums and all: refused, as our own error, in bounded time and memory."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save
from support.stored import edit_manifest, replace_file

import tokframe
from tokframe.errors import ArtifactCorruptError, ConfigError, InvalidTokenError, TokframeError
from tokframe.loading.reference import resolve
from tokframe.shards import TokenShards
from tokframe.storage import artifact
from tokframe.storage.manifest import FolderFormat
from tokframe.storage.strictjson import parse_json


@pytest.fixture
def fsq(tmp_path):
    return Path(shutil.copytree(resolve("autoencoder-fsq").folder(), tmp_path / "fsq"))


# -- JSON -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "bomb",
    [
        '{"a":' * 100 + "1" + "}" * 100,
        '{"a":' + "[" * 900 + "]" * 900 + "}",
        '{"a":' + "[" * 1_000_000,
        '{"a":' * 200_000 + "1" + "}" * 200_000,
        '{"a":' + "9" * 5000 + "}",
        '{"a": 1e400}',
        '{"a": -Infinity}',
        '{"a": {"b": 1, "b": 2}}',
    ],
    ids=["100 deep", "900 lists", "a million open", "200000 deep", "long number", "inf", "-inf", "twice"],
)
@pytest.mark.parametrize("name", ["manifest.json", "config.json"])
def test_json_bombs_are_refused(fsq, name, bomb):
    if name == "manifest.json":
        (fsq / name).write_text(bomb)
    else:
        replace_file(fsq, name, bomb.encode())
    with pytest.raises(ArtifactCorruptError) as caught:
        tokframe.load(fsq)
    assert caught.value.file == name and len(str(caught.value)) < 1000


def test_64_levels_of_json_are_read_and_65_are_not():
    def nested(levels):
        return '{"a":' * levels + "1" + "}" * levels

    assert parse_json(nested(64), "x")
    assert parse_json('{"a": [' + ",".join(["{}"] * 1000) + "]}", "x"), "wide is not deep"
    for levels in (65, 66, 500):
        with pytest.raises(ConfigError, match="more than 64 levels"):
            parse_json(nested(levels), "x")


@given(st.binary(max_size=200) | st.text(max_size=100).map(str.encode))
def test_any_bytes_as_json_are_data_or_our_error(raw):
    try:
        assert isinstance(parse_json(raw, "x"), dict)
    except ConfigError:
        pass


# -- sizes ------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(os.name == "nt", reason="needs sparse files")
@pytest.mark.parametrize(("name", "size"), [("config.json", 1 << 25), ("training.json", 1 << 33), ("x.bin", 1 << 40)])
def test_a_sparse_file_of_any_size_is_refused_unread(fsq, monkeypatch, name, size):
    with open(fsq / name, "wb") as file:
        try:
            file.truncate(size)
        except OSError:
            pytest.skip("this file system has no files so large")
    edit_manifest(fsq, lambda manifest: manifest["files"].update({name: {"sha256": "0" * 64, "bytes": size}}))
    monkeypatch.setattr(FolderFormat, "_open", lambda *_: pytest.fail("a file was opened"))
    with pytest.raises(ArtifactCorruptError, match="is larger than") as caught:
        tokframe.load(fsq)
    assert caught.value.file == name


def test_a_manifest_of_any_size_is_read_up_to_a_megabyte(fsq):
    with open(fsq / "manifest.json", "r+b") as file:
        file.truncate(1 << 34)
    with pytest.raises(ArtifactCorruptError, match="is larger than 1048576 bytes"):
        tokframe.load(fsq)


@pytest.mark.parametrize("stated", [1 << 25, 1 << 40, (1 << 64) - 1])
def test_an_oversized_tensor_header_is_refused(fsq, stated):
    replace_file(fsq, "codebook.safetensors", stated.to_bytes(8, "little") + b"{}" * 100)
    with pytest.raises(ArtifactCorruptError, match="header is larger than") as caught:
        tokframe.load(fsq)
    assert caught.value.file == "codebook.safetensors"


def raw_tensors(header: object, data: bytes = b"\0" * 16) -> bytes:
    text = (header if isinstance(header, str) else json.dumps(header)).encode()
    return len(text).to_bytes(8, "little") + text + data


def entry(*span: int, shape=(8,), dtype="U8"):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(span)}


@pytest.mark.parametrize(
    "header",
    [
        {"a": entry(0, 8), "b": entry(4, 12)},
        {"a": entry(0, 16, shape=[16]), "b": entry(0, 16, shape=[16])},
        {"a": entry(0, 8)},
        {"a": entry(8, 16)},
        {"a": entry(8, 0)},
        {"a": entry(0, 1 << 62, shape=[1 << 62])},
        {"a": entry(0, 16, shape=[1 << 32, 1 << 32])},
        {"a": entry(0, 16, shape=[4])},
        {"a": entry(0, 16, shape=[-16])},
        {"a": entry(0, 16, dtype="F99")},
        '{"a":' * 5000,
    ],
    ids=["overlap", "the same", "rest", "gap", "backwards", "beyond", "overflow", "shape", "negative", "type", "deep"],
)
def test_overlapping_and_impossible_tensor_tables_are_refused(fsq, header):
    replace_file(fsq, "codebook.safetensors", raw_tensors(header))
    with pytest.raises(ArtifactCorruptError) as caught:
        tokframe.load(fsq)
    assert caught.value.file == "codebook.safetensors"


# -- the codebook -----------------------------------------------------------------------------------------------


def damage(name, at, value):
    def change(tables):
        tables[name] = tables[name].copy()
        tables[name][at] = value

    return change


def repeat_segment(tables):
    """Give two learned ids the same bytes."""
    lengths, blob = tables["segment_lengths"], tables["segment_bytes"].copy()
    ends = np.cumsum(lengths.astype(np.int64))
    same = next(i for i in range(300, len(lengths) - 1) if lengths[i] == lengths[i + 1])
    size = int(lengths[same])
    blob[ends[same] : ends[same] + size] = blob[ends[same] - size : ends[same]]
    tables["segment_bytes"] = blob


CODEBOOKS = {
    "code twice": lambda t: damage("codes", 5000, t["codes"][5001])(t),
    "code negative": damage("codes", 5000, -2),
    "code of a special token": damage("codes", 0, 3),
    "count negative": damage("counts", 9, -1),
    "length 0": damage("segment_lengths", 300, 0),
    "length 255": damage("segment_lengths", 300, 255),
    "other bytes first": damage("segment_bytes", 65, 66),
    "repeated segment": repeat_segment,
    "too few ids": lambda t: t.update(codes=t["codes"][:-1]),
    "no codes": lambda t: t.pop("codes"),
    "floats": lambda t: t.update(counts=t["counts"].astype(np.float32) * np.nan),
    "matrix": lambda t: t.update(codes=t["codes"].reshape(2, -1)),
    "empty": lambda t: t.update({name: array[:0] for name, array in t.items()}),
}


@pytest.mark.parametrize("change", CODEBOOKS.values(), ids=CODEBOOKS)
def test_codebooks_that_contradict_themselves_are_refused(fsq, change):
    tables = dict(artifact.read(fsq).state.tensors["codebook"])
    change(tables)
    replace_file(fsq, "codebook.safetensors", save({name: np.ascontiguousarray(a) for name, a in tables.items()}))
    with pytest.raises(ArtifactCorruptError):
        tokframe.load(fsq)


@pytest.mark.parametrize(
    "section",
    [
        5,
        "x",
        None,
        [],
        {"levels": 5},
        {"levels": "88"},
        {"levels": [8, None]},
        {"levels": [1e300]},
        {"levels": [2] * 99},
    ],
)
def test_levels_that_are_none_are_refused_when_digits_are_asked_for(fsq, section):
    config = json.loads((fsq / "config.json").read_bytes())
    replace_file(fsq, "config.json", json.dumps(config | {"fsq": section}).encode())
    tokenizer = tokframe.load(fsq)
    assert tokenizer.decode(tokenizer.encode("text")) == "text"
    for ask in (tokenizer.digits, tokenizer.analysis):
        with pytest.raises(ArtifactCorruptError, match=r"config\.json"):
            ask()


# -- the vocabularies of the others -----------------------------------------------------------------------------


BPE = {
    "id out of range": lambda d: d["model"]["vocab"].update(zzz=4_000_000_000),
    "id negative": lambda d: d["model"]["vocab"].update(zzz=-1),
    "id twice": lambda d: d["model"]["vocab"].update({list(d["model"]["vocab"])[-1]: 300}),
    "merge of itself": lambda d: d["model"]["merges"].insert(0, ["zzz", "zzz"]),
    "merge of nothing": lambda d: d["model"]["merges"].append(["", ""]),
    "no model": lambda d: d.pop("model"),
    "a prefix that no token has": lambda d: d["model"].update(continuing_subword_prefix="x" * 1000),
    "a prefix that cuts characters": lambda d: d["model"].update(continuing_subword_prefix="\0"),
    "a suffix": lambda d: d["model"].update(end_of_word_suffix="</w>"),
    "merges of numbers": lambda d: d["model"].update(merges=[[1, 2]]),
    "ids beyond 64 bits": lambda d: d["model"]["vocab"].update(zzz=10**400),
    "a vocabulary that is a list": lambda d: d["model"].update(vocab=[]),
}


@pytest.mark.parametrize("change", BPE.values(), ids=BPE)
def test_merges_that_make_no_sense_are_refused(tmp_path, change):
    folder = Path(shutil.copytree(resolve("bpe").folder(), tmp_path / "bpe"))
    data = json.loads((folder / "tokenizer.json").read_bytes())
    change(data)
    replace_file(folder, "tokenizer.json", json.dumps(data).encode())
    with pytest.raises(ArtifactCorruptError):
        tokframe.load(folder)


@pytest.mark.parametrize("raw", [b"[" * 100_000, b'{"a":' * 100_000, b"1e999"])
@pytest.mark.parametrize(("name", "file"), [("bpe", "tokenizer.json"), ("word", "vocab.json")])
def test_vocabularies_that_are_json_bombs_are_refused(tmp_path, name, file, raw):
    folder = Path(shutil.copytree(resolve(name).folder(), tmp_path / name))
    replace_file(folder, file, raw)
    with pytest.raises(ArtifactCorruptError):
        tokframe.load(folder)


# -- names and places -------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_whatever_a_config_says_is_a_tokenizer_or_our_error(fsq):
    config = json.loads((fsq / "config.json").read_bytes())
    values = [None, True, -1, 0, 1e300, 10**300, "x" * 1000, [], {}, [[]] * 50]
    for section in config:
        for value in values:
            replace_file(fsq, "config.json", json.dumps(config | {section: value}).encode())
            try:
                tokframe.load(fsq).encode("text")
            except TokframeError:
                pass


@pytest.mark.parametrize(
    "name", ["./a\0b", "./\ud800", "./" + "x" * 10_000, "x" * 10_000, "a\0b", "/dev/null", "/dev/zero"]
)
def test_names_that_no_folder_has_are_our_errors(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    asked = [tokframe.load, TokenShards.open, lambda name: tokframe.load("word").save(name)]
    if "\0" not in name and name.isascii():  # what the environment can hold
        monkeypatch.setenv("TOKFRAME_ALIASES", f"mine={name}")
        asked.append(lambda _: tokframe.load("mine"))
    for ask in asked:
        with pytest.raises(TokframeError):
            ask(name)


@pytest.mark.parametrize("token", [10**5000, -(10**5000), 10**400, 2**63, float("nan"), "1", None], ids=range(7))
def test_ids_of_any_size_and_kind_are_refused_by_name(token):
    tokenizer = tokframe.load("word")
    for ask in (lambda: tokenizer.decode([4, token]), lambda: tokenizer.token_bytes(token)):
        with pytest.raises(InvalidTokenError) as caught:
            ask()
        assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    "config", [[1], 5, "x", {5: 3}, {"vocab_size": 10**5000}, {"mining": {"weights": {"a": 10**5000}}}]
)
@pytest.mark.parametrize("name", ["bpe", "dictionary", "autoencoder-fsq"])
def test_configs_of_any_kind_are_config_errors(tmp_path, name, config):
    with pytest.raises(ConfigError) as caught:
        tokframe.train(name, corpus=[__file__], out=tmp_path / "out", config=config)
    assert len(str(caught.value)) < 1000
