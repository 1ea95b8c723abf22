"""A dictionary small enough to be trained once for all tests here."""

from pathlib import Path

import pytest

import tokframe

TEXT = Path(tokframe.__file__).with_name("errors.py").read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("corpus") / "small.txt"
    path.write_text(TEXT, encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def saved(tmp_path_factory: pytest.TempPathFactory, corpus: Path) -> Path:
    """The folder of a small dictionary, trained here."""
    out = tmp_path_factory.mktemp("trained") / "small"
    tokframe.train("dictionary", corpus=[corpus], config={"vocab_size": 400}, out=out)
    return out
