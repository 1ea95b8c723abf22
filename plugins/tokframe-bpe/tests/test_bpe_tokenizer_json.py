"""`tokenizer.json` is read only if it is what this plugin writes: else ids would change or bytes be lost."""

from __future__ import annotations

import json

import pytest
from tokenizers import decoders
from tokframe_bpe import tokenizer_json
from tokframe_bpe.tokenizer import BPETokenizer

from tokframe.errors import ArtifactCorruptError
from tokframe.storage.state import State
from tokframe.tokenizer.table import SPECIAL_TOKENS


def rename(data, old, new):
    vocab = data["model"]["vocab"]
    data["model"]["vocab"] = {new if name == old else name: number for name, number in vocab.items()}


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda d: d.pop("model"), "has no 'model'"),
        (lambda d: d["model"].update(type="WordLevel"), "is not byte-level BPE"),
        (lambda d: d["pre_tokenizer"].update(add_prefix_space=True), "is not byte-level BPE"),
        (lambda d: d.update(normalizer={"type": "NFC"}), "has a 'normalizer'"),
        (lambda d: d["model"].update(dropout=0.1), "a model option"),
        (
            lambda d: d.update(
                added_tokens=[
                    {"id": 0, "content": "<pad>", "special": True, "normalized": False}
                    | {"single_word": False, "lstrip": False, "rstrip": False}
                ]
            ),
            "has a 'added_tokens'",
        ),
        (lambda d: rename(d, "<pad>", "[PAD]"), "does not begin with <pad>"),
        (lambda d: d["model"]["vocab"].update({"zz": 9999}), "cannot be read by Hugging Face|has no"),
    ],
)
def test_a_file_that_would_change_ids_is_refused(bpe, change, problem):
    data = json.loads(bpe.state().files[tokenizer_json.FILE])
    change(data)
    with pytest.raises(ArtifactCorruptError, match=problem) as error:
        BPETokenizer.from_state(State(files={tokenizer_json.FILE: json.dumps(data).encode()}))
    assert error.value.file == tokenizer_json.FILE


@pytest.mark.parametrize(
    ("instead", "problem"), [("aa", "no token for the byte 0x61"), ("\u4e00", "'\u4e00', which stands for no byte")]
)
def test_a_file_without_one_of_the_bytes_is_refused(instead, problem):
    data = json.loads(tokenizer_json.dump(tokenizer_json.blank()))
    names = [instead if name == "a" else name for name in sorted(tokenizer_json.pre_tokenizer().alphabet())]
    data["model"]["vocab"] = {name: number for number, name in enumerate([*SPECIAL_TOKENS, *names])}
    with pytest.raises(ArtifactCorruptError, match=problem):
        tokenizer_json.read(json.dumps(data).encode())


@pytest.mark.parametrize("files", [{}, *({tokenizer_json.FILE: data} for data in (b"", b"\xff", b"[]", b"null"))])
def test_a_file_that_is_missing_or_no_tokenizer_is_refused(files):
    with pytest.raises(ArtifactCorruptError, match=r"tokenizer\.json" if files else "missing"):
        BPETokenizer.from_state(State(files=files))


def test_the_bytes_of_ids_are_those_of_hugging_faces_own_decoder(bpe):
    outside = decoders.ByteLevel()
    vocab = json.loads(bpe.state().files[tokenizer_json.FILE])["model"]["vocab"]
    for name, number in vocab.items():
        if number >= len(SPECIAL_TOKENS):
            assert outside.decode([name]) == bpe.token_bytes(number).decode("utf-8", "replace")
