"""A tokenizer over a table of bytes needs three methods more, and is then like any other."""

from __future__ import annotations

import numpy as np
import pytest

from tokframe.errors import InvalidTokenError
from tokframe.storage.state import State
from tokframe.tokenizer.results import Capabilities
from tokframe.tokenizer.table import TableTokenizer


class Doubled(TableTokenizer):
    """Every byte has an id, the letter `a` a second one when it stands twice."""

    capabilities = Capabilities(lossless=True, bytes_input=True)

    def __init__(self):
        self.given = [b"<pad>", b"<s>", *(bytes([value]) for value in range(256)), b"aa"]
        super().__init__(iter(self.given), {"<pad>": 0, "<s>": 1})

    def encode_raw(self, data):
        pieces = data.split(b"aa")
        ids = [[*(2 + byte for byte in piece), 258] for piece in pieces]
        return np.asarray([token for part in ids for token in part][:-1], np.int32)

    def state(self):
        return State()

    @classmethod
    def from_state(cls, state):
        return cls()


def test_ids_stand_for_what_the_table_says():
    tokenizer = Doubled()
    assert tokenizer.vocab_size == 259
    assert [tokenizer.token_bytes(token) for token in range(259)] == tokenizer.given
    with pytest.raises(InvalidTokenError):
        tokenizer.token_bytes(259)
    with pytest.raises(InvalidTokenError):
        tokenizer.token_bytes(-1)


def test_everything_users_call_is_derived():
    tokenizer = Doubled()
    text = "aaah <s>, é\x00"
    ids = tokenizer.encode(text)
    assert len(ids) == len(text.encode()) - 1 and ids[0] == 258
    assert tokenizer.decode(ids) == text
    assert tokenizer.decode([1, *ids, 0]) == text
    assert tokenizer.decode([1, *ids], skip_special=False) == "<s>" + text
    assert tokenizer.offsets("aaa").byte_spans.tolist() == [[0, 2], [2, 3]]
    assert [ids, ids] == tokenizer.encode_batch([text, text])
    with pytest.raises(InvalidTokenError, match="id 259 at position 1"):
        tokenizer.decode([2, 259])


def test_what_a_caller_does_with_the_special_tokens_stays_with_them():
    tokenizer = Doubled()
    tokenizer.special_tokens["<pad>"] = 7
    assert tokenizer.special_tokens == {"<pad>": 0, "<s>": 1}
