"""The shipped `autoencoder-fsq`: exact for anything, sound against its network, the same in every process."""

import json
import pickle
import random
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tokframe
from tokframe.corpus.files import Corpus
from tokframe.errors import EncodingError, InvalidTokenError
from tokframe.loading.inspection import verify
from tokframe.tokenizer.hard_texts import HARD_TEXTS
from tokframe.training.progress import SilentReporter

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def shipped() -> tokframe.ITokenizer:
    return tokframe.load("autoencoder-fsq")


@pytest.fixture(scope="module")
def bpe() -> tokframe.ITokenizer:
    return tokframe.load("bpe")


@pytest.mark.parametrize(
    "text",
    [
        *HARD_TEXTS,
        "é" * 100_000,
        "🙂" * 100_000,
        "\n" * 100_000,
        "a\r\nb\rc\n\r",
        "\u0301\u0301lone marks",
        "مرحبا بالعالم שלום",
        "\ufeffBOM\x00NUL",
        "<pad><s></s><unk>",
    ],
    ids=lambda text: repr(text[:12]),
)
def test_hard_texts_come_back_exactly(shipped, text):
    assert shipped.decode(shipped.encode(text)) == text
    assert all(token > 3 for token in shipped.encode(text))


@given(text=st.text())
def test_any_text_comes_back_exactly(shipped, text):
    ids = shipped.encode(text)
    assert shipped.decode(ids) == text
    assert shipped.encode_array(text).tolist() == ids
    assert shipped.count(text) == len(ids)


@given(data=st.binary())
def test_any_bytes_come_back_exactly(shipped, data):
    ids = shipped.encode_bytes(data)
    assert shipped.decode_bytes(ids) == data
    assert b"".join(map(shipped.token_bytes, ids)) == data


def test_all_byte_values_in_every_sampled_order_come_back(shipped):
    order = list(range(256))
    for seed in range(50):
        random.Random(seed).shuffle(order)
        assert shipped.decode_bytes(shipped.encode_bytes(bytes(order))) == bytes(order)


def test_a_lone_surrogate_is_an_error_that_names_its_position(shipped):
    with pytest.raises(EncodingError, match="character 3 is the lone surrogate U\\+D800") as caught:
        shipped.encode("abc\ud800")
    assert caught.value.position == 3


@pytest.mark.parametrize("token", [-1, 32768, 10**9])
def test_an_id_outside_the_vocabulary_is_an_error_that_names_it(shipped, token):
    with pytest.raises(InvalidTokenError, match=f"id {token} at position 1"):
        shipped.decode([300, token])


def test_every_id_has_bytes_of_its_own(shipped):
    pieces = [shipped.token_bytes(token) for token in range(4, shipped.vocab_size)]
    assert shipped.vocab_size == 32768
    assert all(pieces)
    assert len(set(pieces)) == len(pieces)


def test_every_id_encodes_back_to_itself_alone(shipped):
    for token in range(4, shipped.vocab_size):
        assert shipped.encode_bytes(shipped.token_bytes(token)) == [token]


def test_ids_are_the_same_in_another_process_and_in_any_batch(shipped):
    texts = [text for text in HARD_TEXTS if text] + ["The quick brown fox — " * 50]
    script = (
        "import sys, json, tokframe; t = tokframe.load('autoencoder-fsq');"
        "print(json.dumps([t.encode(x) for x in json.load(sys.stdin)]))"
    )
    out = subprocess.run(
        [sys.executable, "-c", script], input=json.dumps(texts), capture_output=True, text=True, check=True, timeout=60
    )
    alone = [shipped.encode(text) for text in texts]
    assert json.loads(out.stdout) == alone
    for size in (1, 3, 500):
        repeated = (texts * size)[:size]
        assert shipped.encode_batch(repeated, threads=2) == (alone * size)[:size]


def test_loading_and_encoding_never_import_torch():
    script = (
        "import sys, tokframe; t = tokframe.load('autoencoder-fsq'); t.decode(t.encode('a b'));"
        "bad = [m for m in ('torch', 'cattrs', 'numba', 'transformers') if m in sys.modules]; assert not bad, bad"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def test_where_torch_is_missing_the_network_says_what_to_install():
    script = (
        "import sys; sys.modules['torch'] = None; import tokframe; t = tokframe.load('autoencoder-fsq')\n"
        "assert t.decode(t.encode('works without')) == 'works without'\n"
        "try: t.network()\n"
        "except tokframe.RegistryError as error: assert \"pip install 'tokframe-autoencoder[train]'\" in str(error)\n"
        "else: raise SystemExit('no error')"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def test_pickling_keeps_ids_and_network(shipped):
    again = pickle.loads(pickle.dumps(shipped))
    assert again.encode("pickled, with its network") == shipped.encode("pickled, with its network")
    assert np.array_equal(again.codes(), shipped.codes())


def test_verify_rederives_the_tables_from_the_network(shipped):
    report = verify("autoencoder-fsq")
    assert report.ok, [check for check in report.checks if not check.ok]
    names = {check.name for check in report.checks}
    assert {"codes", "one code each", "decoder: code to bytes", "encoder: bytes to code"} <= names


def test_verify_notices_a_network_that_does_not_fit_the_tables(shipped):
    from tokframe_autoencoder.codebook import Codebook
    from tokframe_autoencoder.pipeline.verify import check_against_network

    tables = shipped.vocabulary.tensors()
    codes = tables["codes"].copy()
    codes[[400, 401]] = codes[[401, 400]]
    swapped = Codebook.from_tensors({**tables, "codes": codes})
    failed = [check for check in check_against_network(swapped, shipped.network(), SilentReporter()) if not check.ok]
    assert [check.name for check in failed] == ["decoder: code to bytes", "encoder: bytes to code"]
    assert "id 400" in failed[0].detail


def test_codes_spell_out_as_digits_of_the_levels(shipped):
    codes, digits = shipped.codes(), shipped.digits()
    basis = np.array([1, 8, 64, 512, 4096, 32768, 163840, 819200])
    coded = codes >= 0
    assert (digits[coded] @ basis == codes[coded]).all()
    assert (digits[~coded] == -1).all()
    assert coded[260:].all()


def test_it_is_denser_than_bpe_on_text_neither_saw(shipped, bpe):
    text = "".join(file.text() for file in Corpus.open(["stdlib:heldout"]).files[:40])
    assert shipped.count(text) * 1.1 < bpe.count(text)
