"""The shipped tokenizers, exports of them, and small files of other libraries."""

from __future__ import annotations

import warnings

import pytest
from support.imported import sentencepiece_model, tiktoken_file
from tokframe_huggingface.export import export

import tokframe


@pytest.fixture(scope="session", params=["autoencoder-fsq", "bpe", "word"])
def original(request):
    try:
        return tokframe.load(request.param)
    except tokframe.TokframeError as error:
        pytest.skip(f"{request.param} is not here: {error}")


@pytest.fixture(scope="session")
def exported(original, tmp_path_factory):
    """A folder with an export of `original`, and what the exporter found when it compared the two."""
    folder = tmp_path_factory.mktemp("exported")
    return folder, {check.name: check for check in export(original, folder)}


@pytest.fixture(scope="session")
def auto_tokenizer():
    with warnings.catch_warnings():  # what transformers and its dependencies warn of on import is theirs
        warnings.simplefilter("ignore")
        return pytest.importorskip("transformers").AutoTokenizer


@pytest.fixture(scope="session")
def ranks(tmp_path_factory):
    """A tiktoken file of the bytes and some merges."""
    path = tmp_path_factory.mktemp("ranks") / "small.tiktoken"
    merges = [b"th", b"the", b" t", b" the", b"at", b"cat", b" cat", b"\xe6\xbc", b"\xe6\xbc\xa2", b"in", b"ing"]
    path.write_bytes(tiktoken_file(merges))
    return path


@pytest.fixture(scope="session")
def spm(tmp_path_factory):
    """A sentencepiece model with byte fallback."""
    path = tmp_path_factory.mktemp("spm") / "small.model"
    path.write_bytes(sentencepiece_model("the cat sat on the mat and the dog saw the cat"))
    return path
