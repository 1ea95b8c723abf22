"""A learned tokenizer small enough to be trained once for all tests here."""

import copy
from pathlib import Path

import pytest
from support.networks import SMALL_NETWORK

import tokframe

TEXT = Path(tokframe.__file__).with_name("errors.py").read_text(encoding="utf-8") * 2

SMALL = {
    **SMALL_NETWORK,
    "fsq": {"levels": [8, 8, 5, 5], "vocab_size": 320},
    "training": {"batch_size": 64, "max_steps": 1600, "eval_interval": 100, "learning_rate": 0.005, "threads": 1},
}


@pytest.fixture
def config() -> dict:
    return copy.deepcopy(SMALL)


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("corpus") / "small.txt"
    path.write_text(TEXT, encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def saved(tmp_path_factory: pytest.TempPathFactory, corpus: Path) -> Path:
    """The folder of a small tokenizer, trained here."""
    out = tmp_path_factory.mktemp("trained") / "small"
    tokframe.train("autoencoder-fsq", corpus=[corpus], config=SMALL, out=out)
    return out


@pytest.fixture(scope="session")
def small(saved: Path) -> tokframe.ITokenizer:
    return tokframe.load(saved)
