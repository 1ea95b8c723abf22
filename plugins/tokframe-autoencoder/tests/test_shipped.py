"""The shipped `autoencoder-fsq`: tables that agree with its network, without torch; the rest is in its contract."""

import numpy as np
import pytest

import tokframe
from tokframe.corpus.files import Corpus
from tokframe.loading.inspection import verify
from tokframe.testing.fresh import run_fresh
from tokframe.training.progress import SilentReporter

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def shipped() -> tokframe.ITokenizer:
    return tokframe.load("autoencoder-fsq")


@pytest.mark.parametrize("character", ["é", "🙂", "\n"])
def test_long_runs_are_decoded_exactly(shipped, character):
    assert shipped.decode(shipped.encode(character * 100_000)) == character * 100_000


def test_every_id_has_bytes_of_its_own(shipped):
    pieces = [shipped.token_bytes(token) for token in range(4, shipped.vocab_size)]
    assert shipped.vocab_size == 32768
    assert all(pieces)
    assert len(set(pieces)) == len(pieces)


def test_every_id_encodes_back_to_itself_alone(shipped):
    for token in range(4, shipped.vocab_size):
        assert shipped.encode_bytes(shipped.token_bytes(token)) == [token]


def test_use_imports_no_torch_and_where_it_is_missing_the_network_says_what_to_install():
    source = """
    import sys, tokframe
    t = tokframe.load("autoencoder-fsq")
    assert t.decode(t.encode("works without")) == "works without"
    assert not {"torch", "cattrs", "numba", "transformers"} & set(sys.modules)
    sys.modules["torch"] = None
    try:
        t.network()
    except tokframe.RegistryError as error:
        assert "pip install 'tokframe-autoencoder[train]'" in str(error)
    else:
        raise SystemExit("no error")
    """
    run_fresh(source)


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


def test_it_is_denser_than_bpe_on_text_neither_saw(shipped):
    text = "".join(text for file in Corpus.open(["stdlib:heldout"]).files[:40] for text in file.documents())
    assert shipped.count(text) * 1.1 < tokframe.load("bpe").count(text)
