"""int8 form of the encoder through onnxruntime, for comparison only: ids always come from the fp32 network.

Static quantization (QDQ): the scales of activations are fixed beforehand on real segments. Needs the extra `int8`.
"""

from __future__ import annotations

import importlib
import io
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from tokframe.errors import ComponentImportError, UnsupportedError
from tokframe.storage.advice import install_command
from tokframe_autoencoder.network.autoencoder import Autoencoder
from tokframe_autoencoder.network.fsq import FSQ, bins_of, digits_of
from tokframe_autoencoder.network.segments import SegmentTable

__all__ = ["OnnxEncoder", "export_encoder", "quantize_encoder"]

_INSTALL = install_command("tokframe-autoencoder", "int8")
_PRODUCTS = ("MatMul", "Gemm")
#: Segments at a time when scales are measured.
BATCH_SEGMENTS = 64


class OnnxEncoder:
    """An exported encoder, run by onnxruntime: segments to codes, which with int8 weights may differ from the ids'."""

    def __init__(self, model: bytes, network: Autoencoder, *, threads: int = 1) -> None:
        runtime = _import("onnxruntime")
        options = runtime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        self.model = model
        self._session = runtime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self._network = network

    def codes(self, segments: Sequence[bytes]) -> npt.NDArray[np.int64]:
        """Return the code of each segment: (segments,) int64. Raises: ValueError for one that is empty or too long."""
        if not segments:
            return np.zeros(0, np.int64)
        (values,) = self._session.run(None, _inputs(self._network, segments))
        quantizer = self._network.quantizer
        bins = bins_of(torch.from_numpy(values), quantizer.shape, quantizer.bound)
        codes: npt.NDArray[np.int64] = quantizer.indices_of(digits_of(bins, quantizer.levels)).numpy()
        return codes


class _ToPreactivations(nn.Module):
    """Encoder and the quantizer's input side."""

    def __init__(self, network: Autoencoder) -> None:
        super().__init__()
        self.encoder, self.quantizer = network.encoder, network.quantizer

    def forward(self, data: Tensor, lengths: Tensor) -> Tensor:
        values: Tensor = self.quantizer.preactivations(self.encoder(data, lengths))
        return values


def export_encoder(network: Autoencoder) -> bytes:
    """Return encoder and projection to digits as an ONNX model: `data`, `lengths` -> pre-activations, fp32.

    Raises: ComponentImportError without onnx; UnsupportedError for a quantizer other than "fsq".
    """
    _import("onnx")
    if type(network.quantizer) is not FSQ:
        raise UnsupportedError('only the quantizer "fsq" has an int8 form', capability="int8")
    inputs = _inputs(network, [b"ab", b"c"])
    made = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tracing fixes the width, as intended; this exporter needs onnx alone
        torch.onnx.export(
            _ToPreactivations(network).eval(),
            tuple(map(torch.from_numpy, inputs.values())),
            made,  # type: ignore[arg-type]  # a file object is accepted where dynamo is False
            input_names=list(inputs),
            output_names=["values"],
            dynamic_axes={name: {0: "batch"} for name in (*inputs, "values")},
            dynamo=False,
        )
    return made.getvalue()


def quantize_encoder(model: bytes, network: Autoencoder, segments: Sequence[bytes]) -> bytes:
    """Return the model with int8 weights and activations; `segments`, a few hundred real ones, fix the scales.

    The last projection stays fp32: it is tiny, and its error is that of the digits. Raises: ComponentImportError.
    """
    onnx, quantization = _import("onnx"), _import("onnxruntime.quantization")
    prepare = _import("onnxruntime.quantization.shape_inference").quant_pre_process
    if not segments:
        raise ValueError("int8 scales are measured on real segments; give a few hundred")
    base: Any = quantization.CalibrationDataReader

    class Reader(base):  # type: ignore[misc]  # a base class without types
        def __init__(self) -> None:
            starts = range(0, len(segments), BATCH_SEGMENTS)
            self.parts: Iterator[dict[str, Any]] = (_inputs(network, segments[i : i + BATCH_SEGMENTS]) for i in starts)

        def get_next(self) -> dict[str, Any] | None:
            return next(self.parts, None)

    with tempfile.TemporaryDirectory(prefix="tokframe-int8-") as folder:
        plain, ready, made = (Path(folder) / f"{name}.onnx" for name in ("plain", "ready", "int8"))
        plain.write_bytes(model)
        prepare(str(plain), str(ready), skip_symbolic_shape=True)
        products = [node.name for node in onnx.load(str(ready)).graph.node if node.op_type in _PRODUCTS]
        quantization.quantize_static(
            str(ready),
            str(made),
            Reader(),
            quant_format=quantization.QuantFormat.QDQ,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            per_channel=True,
            op_types_to_quantize=list(_PRODUCTS),
            nodes_to_exclude=products[-1:],
        )
        return made.read_bytes()


def _inputs(network: Autoencoder, segments: Sequence[bytes]) -> dict[str, Any]:
    table = SegmentTable.of(segments, network.max_length)
    return {"data": table.data.numpy(), "lengths": table.lengths.numpy()}


def _import(name: str) -> Any:
    """Import a module of the extra. Raises: ComponentImportError with the command that installs it."""
    try:
        return importlib.import_module(name)
    except ImportError as cause:
        raise ComponentImportError(
            f"the int8 encoder needs {name}, which cannot be imported ({cause}). Try: {_INSTALL}",
            kind="encoder",
            name="int8",
            target=name,
            distribution="tokframe-autoencoder",
            install=_INSTALL,
        ) from cause
