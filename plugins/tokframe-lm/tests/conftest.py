"""Small tokenizers, models and texts that the tests of tokframe-lm share."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support.networks import SMALL_NETWORK
from tokframe_lm.training import train

import tokframe
from tokframe.corpus.files import Corpus

torch.set_num_threads(1)

TEXT = (
    "The cat sat on the mat, and the dog saw the cat. He said: don't, it's theirs, they'll see!\n"
    "It was a dark night; the wind went over the hill and the old house stood there as it had stood before.\n"
    "Où est le café? 🙂 漢字 for i in range(10):\n        x[i] += 1234 * i\n"
) * 12
CONFIG = {"d_model": 16, "layers": 1, "heads": 2, "context": 16, "batch": 4, "steps": 12, "learning_rate": 0.01}


class Small:
    """Tokenizers, their corpus, and a model of each, made once."""

    def __init__(self, folder):
        self.folder = folder
        self.text = folder / "text.txt"
        self.text.write_text(TEXT, encoding="utf-8")
        self.corpus = Corpus.open([self.text])
        self.tokenizers = {"autoencoder-fsq": "autoencoder-fsq"}
        for name, size in (("bpe", 400), ("word", 30)):
            out = folder / f"tokenizer-{name}"
            tokframe.train(name, corpus=[self.text], out=out, config={"vocab_size": size})
            self.tokenizers[name] = str(out)
        self._models = {}

    def train(self, name, out, **options):
        config = {**CONFIG, **options.pop("config", {})}
        return train(
            self.tokenizers.get(name, name), corpus=self.corpus, out=out, config=config, device="cpu", **options
        )

    def model(self, name):
        """Return the folder of a trained model."""
        if name not in self._models:
            out = self.folder / f"model-{name}"
            self.train(name, out)
            self._models[name] = out
        return self._models[name]


@pytest.fixture(scope="session")
def small(tmp_path_factory):
    return Small(tmp_path_factory.mktemp("lm"))


@pytest.fixture
def same():
    """Return a function that tells whether two models have the same weights, bit for bit."""

    def equal(first, second):
        one, two = first.state_dict(), second.state_dict()
        return one.keys() == two.keys() and all(np.array_equal(one[k].numpy(), two[k].numpy()) for k in one)

    return equal


@pytest.fixture(scope="session")
def learned(small):
    """The folder of a learned tokenizer with a network, trained here."""
    config = {
        **SMALL_NETWORK,
        "fsq": {"levels": [8, 8, 5, 5], "vocab_size": 300},
        "training": {"batch_size": 64, "max_steps": 1200, "eval_interval": 50, "learning_rate": 0.005, "threads": 1},
    }
    out = small.folder / "tokenizer-learned"
    tokframe.train("autoencoder-fsq", corpus=[small.text], config=config, out=out)
    small.tokenizers["learned"] = str(out)
    return out
