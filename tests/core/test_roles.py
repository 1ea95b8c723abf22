"""Roles of special tokens by their names, whatever library they come from."""

from __future__ import annotations

import pytest

from tokframe.tokenizer.roles import role_of, token_of


@pytest.mark.parametrize(
    ("role", "texts"),
    [
        ("bos", ["<s>", "<bos>", "[BOS]", "<|begin_of_text|>", "<|startoftext|>", "<｜begin▁of▁sentence｜>"]),
        ("eos", ["</s>", "<eos>", "[EOS]", "<|endoftext|>", "<|end_of_text|>", "<｜end▁of▁sentence｜>"]),
        ("pad", ["<pad>", "[PAD]", "<|padding|>", "<PAD>"]),
        ("unk", ["<unk>", "[UNK]", "<UNK>"]),
        ("mask", ["<mask>", "[MASK]"]),
        ("cls", ["<cls>", "[CLS]"]),
        ("sep", ["<sep>", "[SEP]"]),
        (None, ["s", "pad", "<unused 7>", "<|im_start|>", "", "<", "<s]", "[/INST]"]),
    ],
)
def test_a_role_is_known_by_name(role, texts):
    assert {role_of(text) for text in texts} == {role}


def test_of_several_tokens_of_a_role_the_more_usual_name_is_taken():
    special = ["<|begin_of_text|>", "<bos>", "<s>", "[PAD]"]
    assert token_of("bos", special) == "<s>" and token_of("bos", special[:2]) == "<bos>"
    assert token_of("pad", special) == "[PAD]" and token_of("mask", special) is None
