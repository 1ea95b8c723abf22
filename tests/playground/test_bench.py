"""What the playground asks of tokenizers: cuts of a text, and ids with their codes and neighbors."""

from __future__ import annotations

import numpy as np
import pytest
from support.toys import LossyToy
from toy_bytes.tokenizer import ToyTokenizer

from tokframe.errors import UnsupportedError
from tokframe.playground.bench import Bench


class CodedTokenizer(ToyTokenizer):
    """Gives the 256 bytes the digits of their number in base 4; special tokens and longer pieces have none."""

    levels = (4, 4, 4, 4)

    def codes(self, ids=None):
        tokens = np.arange(self.vocab_size) if ids is None else np.asarray(ids)
        return np.where((tokens >= 4) & (tokens < 260), tokens - 4, -1)

    def digits(self, ids=None):
        codes = self.codes(ids)
        return np.where(codes[:, None] < 0, -1, codes[:, None] // np.array([1, 4, 16, 64]) % 4)


class WithoutDigits(CodedTokenizer):
    levels = ()

    def digits(self, ids=None):
        raise UnsupportedError("no digits here", capability="digits")


@pytest.fixture
def bench():
    return Bench(
        {
            "toy": ToyTokenizer([b"the "]),
            "./models/coded": CodedTokenizer([b"th"]),
            "lossy": LossyToy(),
            "vq": WithoutDigits(),
        }
    )


def test_about_tells_what_there_is(bench):
    about = bench.about()
    assert [each["name"] for each in about] == ["toy", "./models/coded", "lossy", "vq"]
    assert [each["label"] for each in about] == ["toy", "coded", "lossy", "vq"]
    assert [each["codes"] for each in about] == [False, True, False, False]
    assert [each["lossless"] for each in about] == [True, True, False, True]
    assert about[0]["vocab_size"] == 261


def test_lengths_add_up_to_the_text(bench):
    found = bench.segment("toy", "the thé".encode())
    assert found["ids"] == [260, 120, 108, 199, 173] and found["lengths"] == [4, 1, 1, 1, 1]
    assert "pieces" not in found and found["ms"] >= 0
    assert bench.segment("toy", b"")["ids"] == []


def test_ids_that_do_not_spell_the_text_come_as_pieces(bench):
    found = bench.segment("lossy", "é\n".encode())
    assert found["pieces"] == ["<unk>", "<unk>", "\\n"] and "lengths" not in found


def test_an_id_is_told_with_its_bytes(bench):
    assert bench.token("toy", 260) == {"id": 260, "text": "the ", "hex": "74 68 65 20", "bytes": 4, "special": False}
    assert bench.token("toy", 2)["special"] and bench.token("toy", 2)["text"] == "<s>"
    assert bench.token("toy", 4 + 0xFF)["text"] == "\\xff"


def test_neighbors_are_ids_the_fewest_steps_away_by_code(bench):
    found = bench.token("./models/coded", 4)
    assert (found["code"], found["digits"], found["levels"]) == (0, [0, 0, 0, 0], [4, 4, 4, 4])
    # one step: one digit is 1; two: a digit is 2, or two are 1; the lower id comes first
    assert [(near["id"] - 4, near["steps"]) for near in found["nearest"]] == [
        (1, 1), (4, 1), (16, 1), (64, 1), (2, 2), (5, 2), (8, 2), (17, 2)
    ]  # fmt: skip
    assert found["nearest"][0]["digits"] == [1, 0, 0, 0]


def test_an_id_without_a_code_has_no_neighbors(bench):
    assert "code" not in bench.token("./models/coded", 260)
    assert "code" not in bench.token("vq", 4)


def test_neighbors_never_hold_ids_without_a_code_or_the_id_itself(bench):
    for token in (4, 5, 255 + 4):
        near = [each["id"] for each in bench.token("./models/coded", token)["nearest"]]
        assert len(near) == 8 and token not in near and min(near) >= 4 and max(near) < 260


class Knowing(ToyTokenizer):
    def classes(self):
        return np.arange(self.vocab_size) // 100

    def embed(self, items):
        raise AssertionError("the page asks for no vectors")

    def nearest(self, item, k=5, by="use"):
        return [(4 + 0x41, 0.5), (4, 0.123456)] if by == "use" else [(4 + 0x42, 1.0)]


def test_neighbors_by_use_and_by_spelling_are_told_where_there_are_vectors():
    found = Bench({"knowing": Knowing()}).token("knowing", 200)
    assert found["class"] == 2
    assert found["use"] == [{"id": 69, "text": "A", "similarity": 0.5}, {"id": 4, "text": "\\x00", "similarity": 0.123}]
    assert found["spelling"] == [{"id": 70, "text": "B", "similarity": 1.0}]
