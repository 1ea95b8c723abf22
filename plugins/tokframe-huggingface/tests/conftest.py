from __future__ import annotations

import base64
import io
import warnings

import pytest
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
    merges = [b"th", b"the", b" t", b" the", b"at", b"cat", b" cat", b"\xe6\xbc", b"\xe6\xbc\xa2", b"in", b"ing"]
    tokens = [bytes([byte]) for byte in range(256)] + merges
    path = tmp_path_factory.mktemp("ranks") / "small.tiktoken"
    path.write_bytes(b"".join(base64.b64encode(token) + b" %d\n" % rank for rank, token in enumerate(tokens)))
    return path


@pytest.fixture(scope="session")
def spm(tmp_path_factory):
    """A sentencepiece model with byte fallback."""
    sentencepiece = pytest.importorskip("sentencepiece")
    made = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["the cat sat on the mat and the dog saw the cat"] * 20),
        model_writer=made,
        vocab_size=300,
        byte_fallback=True,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    path = tmp_path_factory.mktemp("spm") / "small.model"
    path.write_bytes(made.getvalue())
    return path
