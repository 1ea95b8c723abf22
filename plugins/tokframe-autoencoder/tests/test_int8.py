"""The int8 form of the encoder: its fp32 export is the network's encoder, int8 agrees on almost all codes."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from tokframe_autoencoder.inference import int8
from tokframe_autoencoder.tokenizer import AutoencoderTokenizer

import tokframe
from tokframe.errors import ComponentImportError

pytestmark = pytest.mark.trains


@pytest.fixture(scope="module")
def trained(small: tokframe.ITokenizer) -> AutoencoderTokenizer:
    assert isinstance(small, AutoencoderTokenizer)
    return small


def test_missing_runtime_is_named_with_what_installs_it(
    trained: AutoencoderTokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ComponentImportError, match=r"needs onnx.*pip install 'tokframe-autoencoder\[int8\]'"):
        int8.export_encoder(trained.network())


def test_codes_of_both_forms_agree_with_the_network(trained: AutoencoderTokenizer) -> None:
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    network = trained.network()
    tokens = np.flatnonzero(trained.vocabulary.codes >= 0)
    pieces = [trained.token_bytes(int(token)) for token in tokens]
    codes = trained.vocabulary.codes[tokens]
    model = int8.export_encoder(network)
    assert int8.OnnxEncoder(model, network).codes(pieces).tolist() == codes.tolist()
    small = int8.OnnxEncoder(int8.quantize_encoder(model, network, pieces), network)
    assert len(small.model) < len(model)
    # So small a network has little to spare at the borders; by chance one code in 1,600 would agree.
    assert float((small.codes(pieces) == codes).mean()) > 0.5
    assert small.codes([]).tolist() == []
    with pytest.raises(ValueError, match="17 bytes"):
        small.codes([b"x" * 17])
    with pytest.raises(ValueError, match="real segments"):
        int8.quantize_encoder(model, network, [])
