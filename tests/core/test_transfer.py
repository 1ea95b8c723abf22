"""Embeddings carried from one tokenizer to another: where each row comes from, both libraries, what is refused."""

from __future__ import annotations

import numpy as np
import pytest

import tokframe
from tokframe.errors import ConfigError, UnsupportedError
from tokframe.tokenizer.table import SPECIAL_TOKENS, TableTokenizer
from tokframe.tokenizer.transfer.pursuit import pursuit


class Words(TableTokenizer):
    """Words between single spaces, which are left out; in lower case; all others are <unk>."""

    capabilities = tokframe.Capabilities(lossless=False, bytes_input=False)
    known = ("the", "cat", "sat", "dog", "dogs", "catalog")

    def __init__(self):
        super().__init__([text.encode() for text in (*SPECIAL_TOKENS, *self.known)], SPECIAL_TOKENS)
        self.ids = {word: number for number, word in enumerate(self.known, 4)}

    def encode_raw(self, data):
        return self.offsets(data.decode()).ids

    def offsets(self, text):
        spans, at = [], 0
        for word in text.split(" "):
            if word:
                spans.append((at, at + len(word)))
            at += len(word) + 1
        ids = np.array([self.ids.get(text[a:b].lower(), 1) for a, b in spans], np.int32)
        both = np.array(spans, np.int32).reshape(-1, 2)
        return tokframe.Encoding(ids=ids, byte_spans=both, char_spans=both)

    def state(self):
        raise NotImplementedError

    @classmethod
    def from_state(cls, state):
        raise NotImplementedError


class Pieces(TableTokenizer):
    """Any list of pieces as ids; never asked to encode."""

    capabilities = tokframe.Capabilities(lossless=True, bytes_input=True)

    def __init__(self, *pieces, special=SPECIAL_TOKENS):
        super().__init__([*(text.encode() for text in special), *pieces], special)

    def encode_raw(self, data):
        raise AssertionError("conversion needs the pieces only")

    def state(self):
        raise NotImplementedError

    @classmethod
    def from_state(cls, state):
        raise NotImplementedError


@pytest.fixture
def old():
    return Words()


@pytest.fixture
def matrix(old):
    return np.random.default_rng(0).normal(size=(old.vocab_size, 8)).astype(np.float32)


PIECES = (b" the", b"The cat", b" the sat", b"catalogs", b"\xff\xfe", b" ", b"zzz cat")


def test_a_row_is_copied_composed_or_guessed_and_each_is_counted(old, matrix):
    new = Pieces(*PIECES)
    made, report = tokframe.convert_embeddings(old, new, matrix)
    the, cat, sat = (old.ids[word] for word in ("the", "cat", "sat"))
    assert np.array_equal(made[:5], matrix[[0, 1, 2, 3, the]])  # special tokens, and a word behind a space
    np.testing.assert_allclose(made[5], (matrix[the] + matrix[cat]) / 2, rtol=1e-5)  # in lower case; three bytes each
    np.testing.assert_allclose(made[6], (matrix[the] + matrix[sat]) / 2, rtol=1e-5)
    assert not np.allclose(made[7], matrix.mean(0)), "catalogs is like catalog"
    np.testing.assert_allclose(made[8:10], np.tile(matrix.mean(0), (2, 1)), rtol=1e-4)
    assert (report.copied, report.composed, report.guessed) == (5, 3, 3)
    assert report.copied_share is None


def test_shares_of_a_text_are_by_the_counts_given(old, matrix):
    new = Pieces(*PIECES)
    counts = np.zeros(new.vocab_size)
    counts[[4, 5, 7]] = 6, 3, 1
    _, report = tokframe.convert_embeddings(old, new, matrix, counts=counts)
    assert (report.copied_share, report.composed_share, report.guessed_share) == (0.6, 0.3, 0.1)


def test_what_is_read_takes_most_of_its_last_part_and_what_is_predicted_of_its_first(old, matrix):
    new = Pieces(b"the cat")
    read = tokframe.convert_embeddings(old, new, matrix, side="input")[0][4]
    said = tokframe.convert_embeddings(old, new, matrix, side="output")[0][4]
    first, last = matrix[old.ids["the"]], matrix[old.ids["cat"]]

    def distance(one, other):
        return float(np.linalg.norm(one - other))

    assert distance(read, last) < distance(read, first) and distance(said, first) < distance(said, last)
    mean = tokframe.convert_embeddings(old, new, matrix, method="mean", side="input")[0][4]
    np.testing.assert_allclose(mean, (first + last) / 2, rtol=1e-5)


def test_special_tokens_follow_their_role_and_what_begins_a_text_begins_the_other(old, matrix):
    new = Pieces(b"the", special={"[MASK]": 0, "[UNK]": 1, "[EOS]": 2, "[BOS]": 3})
    made, _ = tokframe.convert_embeddings(old, new, matrix)
    assert np.array_equal(made[1:4], matrix[[1, 3, 2]])
    only = Pieces(b"the", special={"<|endoftext|>": 0})
    assert np.array_equal(tokframe.convert_embeddings(old, only, matrix)[0][0], matrix[3])


@pytest.mark.parametrize("method", ["mean", "weighted", "omp"])
def test_a_tensor_gives_a_tensor_of_its_kind_with_the_values_of_the_array(old, matrix, method):
    torch = pytest.importorskip("torch")
    new = Pieces(*PIECES)
    expected, report = tokframe.convert_embeddings(old, new, matrix, method=method)
    for dtype in (torch.float32, torch.bfloat16, torch.float64):
        given = torch.nn.Parameter(torch.from_numpy(matrix).to(dtype))
        made, same = tokframe.convert_embeddings(old, new, given, method=method)
        assert made.dtype == dtype and not made.requires_grad and same == report
        torch.testing.assert_close(made.float(), torch.from_numpy(expected), atol=0.02, rtol=0.02)
    half, _ = tokframe.convert_embeddings(old, new, matrix.astype(np.float16), method=method)
    assert half.dtype == np.float16
    biases, _ = tokframe.convert_embeddings(old, new, matrix[:, 0], method=method)
    np.testing.assert_allclose(biases, expected[:, 0], rtol=1e-4, atol=1e-5)


def test_what_has_no_parts_is_solved_for_in_the_tokenizers_own_vectors_where_it_has_some(old, matrix):
    class Embedded(Pieces):
        table = None

        def embed(self, items):
            if self.table is None:
                raise UnsupportedError("no vectors", capability="vectors")
            return self.table[items]

    new = Embedded(b"the", b"cat", b"dog", b"\xff")
    spelled, _ = tokframe.convert_embeddings(old, new, matrix, method="omp")
    new.table = np.zeros((8, 3), np.float32)
    new.table[4:7] = np.eye(3)
    new.table[7] = [0.5, 0.0, -2.0]
    made, report = tokframe.convert_embeddings(old, new, matrix, method="omp")
    the, dog = matrix[old.ids["the"]], matrix[old.ids["dog"]]
    np.testing.assert_allclose(made[7], 0.5 * the - 2 * dog, rtol=1e-4, atol=1e-5)
    assert report.guessed == 1 and not np.allclose(spelled[7], made[7])


def test_pursuit_finds_the_few_atoms_that_a_target_is_made_of():
    random = np.random.default_rng(0)
    atoms = random.normal(size=(300, 64)).astype(np.float32)
    wanted = np.stack([3 * atoms[5] - atoms[7], 2 * atoms[250], 0 * atoms[0]])
    places, factors = pursuit(atoms, wanted, 2)
    assert {*places[0].tolist()} == {5, 7} and places[1][0] == 250
    found = np.einsum("np,npd->nd", factors, atoms[places])
    np.testing.assert_allclose(found, wanted, atol=1e-3)


@pytest.mark.parametrize(
    ("change", "options", "problem"),
    [
        (lambda rows: rows[:-1], {}, "matrix: has 9 rows, .* has 10 ids. It belongs to another tokenizer"),
        (lambda rows: np.vstack([rows, rows]), {}, r"matrix: has 20 rows.*give matrix\[:10\]"),
        (lambda rows: rows[None], {}, "expected vectors"),
        (lambda rows: rows.astype(np.int64), {}, "floats, got .* of int64"),
        (lambda rows: rows, {"counts": [1, 2]}, r"counts: has the shape \(2,\).* 11 ids"),
        (lambda rows: rows, {"counts": [-1] * 11}, "counts: holds a count that is none"),
        (lambda rows: rows, {"counts": ["a"] * 11}, "counts: has the shape"),
        (lambda rows: rows, {"method": "magic"}, "'magic' is not one of weighted, mean, omp"),
        (lambda rows: rows, {"side": "left"}, "'left' is not one of tied, input, output"),
    ],
)
def test_what_does_not_fit_is_named(old, matrix, change, options, problem):
    with pytest.raises(ConfigError, match=problem):
        tokframe.convert_embeddings(old, Pieces(*PIECES), change(matrix), **options)


def test_rows_that_are_no_numbers_are_named_with_their_tokens(old, matrix):
    matrix[[5, 8], 3] = np.nan, np.inf
    with pytest.raises(ConfigError, match=r"has 2 rows that are not finite numbers, the first that of id 5 \(b'cat'\)"):
        tokframe.convert_embeddings(old, Pieces(*PIECES), matrix)
