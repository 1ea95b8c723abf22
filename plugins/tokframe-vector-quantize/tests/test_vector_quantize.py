"""Codes are those of the library, configs are checked, and a learned tokenizer trains, saves and loads with them."""

from __future__ import annotations

import pytest
from support.networks import SMALL_NETWORK

import tokframe
from tokframe.errors import ConfigError
from tokframe.loading.inspection import verify
from tokframe.storage.config import structure
from tokframe.testing.fresh import run_fresh
from tokframe.testing.texts import TRAINING_TEXT

torch = pytest.importorskip("torch")
library = pytest.importorskip("vector_quantize_pytorch")

from tokframe_vector_quantize.config import LookupFreeConfig, ResidualFSQConfig  # noqa: E402
from tokframe_vector_quantize.lookupfree import LookupFreeQuantizer  # noqa: E402
from tokframe_vector_quantize.residual import ResidualFSQuantizer  # noqa: E402

pytestmark = pytest.mark.trains

PARTS = {"rfsq": {"levels": [5, 5, 5, 5], "quantizers": 2, "vocab_size": 300}, "lfq": {"bits": 10, "vocab_size": 300}}
NETWORK = {
    "encoder": {**SMALL_NETWORK["encoder"], "max_chunk_size": 8},
    "decoder": SMALL_NETWORK["decoder"],
    "training": {"batch_size": 64, "max_steps": 400, "eval_interval": 200, "learning_rate": 0.005, "threads": 1},
}


def test_the_codes_of_rfsq_are_those_of_the_library_as_digits():
    quantizer = ResidualFSQuantizer(
        ResidualFSQConfig(levels=(5, 4), quantizers=3, vocab_size=9), d_latent=6, max_length=8
    )
    latents = torch.randn(40, 6)
    _, codes = quantizer.rounds(quantizer.project_in(latents)[:, None])
    wanted = [a + 20 * b + 400 * c for a, b, c in codes[:, 0].tolist()]
    assert quantizer.codebook_size == 8000 and quantizer(latents).indices.tolist() == wanted


def test_the_codes_of_lfq_are_those_of_the_library():
    quantizer = LookupFreeQuantizer(LookupFreeConfig(bits=5, vocab_size=9), d_latent=6, max_length=8)
    latents = torch.randn(40, 6)
    signs = (quantizer.project_in(latents) > 0).long()
    wanted = (signs * torch.tensor([16, 8, 4, 2, 1])).sum(-1)
    assert quantizer(latents).indices.tolist() == wanted.tolist()
    assert float(quantizer.train()(latents).loss.detach()) != 0 and float(quantizer.eval()(latents).loss) == 0


@pytest.mark.parametrize(
    ("config", "settings", "path"),
    [
        (ResidualFSQConfig, {"levels": []}, "levels"),
        (ResidualFSQConfig, {"levels": [5, 1]}, "levels"),
        (ResidualFSQConfig, {"levels": [8] * 6}, "levels"),
        (ResidualFSQConfig, {"quantizers": 0}, "quantizers"),
        (ResidualFSQConfig, {"levels": [8] * 5, "quantizers": 5}, "quantizers"),
        (ResidualFSQConfig, {"levels": [5, 5], "quantizers": 2, "vocab_size": 626}, "vocab_size"),
        (LookupFreeConfig, {"bits": 17}, "bits"),
        (LookupFreeConfig, {"bits": 8, "vocab_size": 257}, "vocab_size"),
        (LookupFreeConfig, {"entropy_weight": -1.0}, "entropy_weight"),
    ],
)
def test_settings_that_make_no_sense_are_named(config, settings, path):
    with pytest.raises(ConfigError) as caught:
        structure(config, settings)
    assert f"$.{path}" in [where for where, _ in caught.value.problems]


@pytest.fixture(scope="module", params=sorted(PARTS))
def trained(request, tmp_path_factory):
    """A learned tokenizer with such a quantizer, saved, and the quantizer's name."""
    folder = tmp_path_factory.mktemp(request.param)
    (folder / "text.txt").write_text(TRAINING_TEXT, encoding="utf-8")
    config = NETWORK | {"quantizer": {"component": request.param, **PARTS[request.param]}}
    tokframe.train("autoencoder-fsq", corpus=[folder / "text.txt"], config=config, out=folder / "out", seed=1)
    return folder / "out", request.param


def test_a_learned_tokenizer_trains_with_it(trained):
    folder, name = trained
    tokenizer = tokframe.load(folder)
    assert tokenizer.vocab_size > 4 + 256, "it learnt at least one segment"
    assert tokenizer.decode(tokenizer.encode(TRAINING_TEXT)) == TRAINING_TEXT
    assert len(tokenizer.encode(TRAINING_TEXT)) < len(TRAINING_TEXT.encode())
    report = verify(folder)
    assert report.ok, [check for check in report.checks if not check.ok]
    uses = {use.kind: use.name for use in tokenizer.state().components}
    assert uses["quantizer"] == name


def test_the_trained_one_encodes_without_torch_and_without_the_library(trained):
    folder, _ = trained
    source = """
    import json, sys, tokframe
    ids = tokframe.load(sys.argv[1]).encode(sys.argv[2])
    assert not {"torch", "vector_quantize_pytorch"} & set(sys.modules)
    print(json.dumps(ids))
    """
    text = TRAINING_TEXT[:200]
    assert run_fresh(source, folder, text) == tokframe.load(folder).encode(text)
