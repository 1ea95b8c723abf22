"""Dictionaries small enough to be trained once for all tests here."""

from pathlib import Path

import pytest
from support.scripts import GREEK, HAN, written

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


@pytest.fixture(scope="session")
def covered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a dictionary with ids for characters of several scripts and for the beginnings of all others."""
    folder = tmp_path_factory.mktemp("covered")
    (folder / "scripts.txt").write_text(TEXT[:3_000] + written(GREEK, 300) + written(HAN, 3_000), encoding="utf-8")
    config = {"vocab_size": 16_384, "mining": {"character_coverage": 1.0}}
    tokframe.train("dictionary", corpus=[folder / "scripts.txt"], config=config, out=folder / "out")
    return folder / "out"
