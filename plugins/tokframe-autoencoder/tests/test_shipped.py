"""The shipped `autoencoder-fsq`: tables that agree with its network, without torch; the rest is in its contract."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.stored import replace_file
from tokframe_autoencoder.config import Parts

import tokframe
from tokframe.corpus.files import Corpus
from tokframe.errors import ArtifactCorruptError, ConfigError
from tokframe.loading.inspection import verify
from tokframe.loading.reference import resolve
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
        assert "tokframe-autoencoder[train]'" in str(error)
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


def with_config(folder: Path, change: Callable[[dict[str, Any]], object]) -> tokframe.ITokenizer:
    """Return the tokenizer of a copy whose config was changed by someone who knows the format."""
    copy = Path(shutil.copytree(resolve("autoencoder-fsq").folder(), folder / "copy"))
    config = json.loads((copy / "config.json").read_bytes())
    change(config)
    replace_file(copy, "config.json", json.dumps(config).encode())
    return tokframe.load(copy)


HOSTILE_SHAPES = {
    "3 GB": lambda c: c["decoder"].update(hidden_width=3_000_000),
    "another width": lambda c: c["decoder"].update(hidden_width=1000),
    "the largest width": lambda c: c["decoder"].update(hidden_width=1 << 16, hidden_blocks=64),
    "400 digits": lambda c: c["encoder"].update(d_char=10**308),
    "a layer more": lambda c: c["decoder"].update(hidden_blocks=3),
    "a million layers": lambda c: c["decoder"].update(hidden_blocks=10**6),
    "long lists": lambda c: c["encoder"].update({k: [1] * 10**4 for k in ("conv_channels", "kernel_sizes", "strides")}),
    "pairs of digits": lambda c: c["fsq"].update(levels=[1 << 20, 1 << 20]),
    "other levels": lambda c: c["fsq"].update(levels=[16, 8, 8, 8, 8, 5, 5, 5]),
}


@pytest.mark.parametrize("change", HOSTILE_SHAPES.values(), ids=HOSTILE_SHAPES)
def test_a_config_of_other_shapes_than_the_weights_is_refused_before_anything_is_allocated(
    tmp_path, change, monkeypatch
):
    devices = []
    real = Parts.network
    monkeypatch.setattr(Parts, "network", lambda parts: devices.append(torch.empty(0).device.type) or real(parts))
    with pytest.raises((ArtifactCorruptError, ConfigError)):
        with_config(tmp_path, change).network()
    assert devices in ([], ["meta"]), "memory was allocated"
