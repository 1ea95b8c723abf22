"""The int8 form of the encoder: its fp32 export is the network's encoder, int8 agrees on almost all codes."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from tokframe_autoencoder.inference import int8

from tokframe.errors import ComponentImportError

pytestmark = pytest.mark.trains


def test_missing_runtime_is_named_with_what_installs_it(small, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ComponentImportError, match=r"needs onnx.*pip install .*tokframe-autoencoder\[int8\]'"):
        int8.export_encoder(small.network())


def test_codes_of_both_forms_agree_with_the_network(small):
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    network = small.network()
    tokens = np.flatnonzero(small.vocabulary.codes >= 0)
    pieces = [small.token_bytes(int(token)) for token in tokens]
    codes = small.vocabulary.codes[tokens]
    model = int8.export_encoder(network)
    assert int8.OnnxEncoder(model, network).codes(pieces).tolist() == codes.tolist()
    quantized = int8.OnnxEncoder(int8.quantize_encoder(model, network, pieces), network)
    assert len(quantized.model) < len(model)
    # So small a network has little to spare at the borders; by chance one code in 1,600 would agree.
    assert float((quantized.codes(pieces) == codes).mean()) > 0.5
    assert quantized.codes([]).tolist() == []
    with pytest.raises(ValueError, match="17 bytes"):
        quantized.codes([b"x" * 17])
    with pytest.raises(ValueError, match="real segments"):
        int8.quantize_encoder(model, network, [])
