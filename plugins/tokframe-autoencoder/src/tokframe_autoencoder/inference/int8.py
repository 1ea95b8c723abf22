"""An int8 form of the encoder through onnxruntime, to compare with: ids always come from the fp32 network.

Static quantization (QDQ): scales of activations are fixed beforehand on real segments. Needs the extra `int8`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tokframe.errors import ComponentImportError, UnsupportedError

if TYPE_CHECKING:
    from tokframe_autoencoder.network.autoencoder import Autoencoder

__all__ = ["OnnxEncoder", "export_encoder", "quantize_encoder"]

_INSTALL = "pip install 'tokframe-autoencoder[int8]'"
_BATCH = 64
_LAST = "digits"


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
        quantizer = network.quantizer
        self._last = quantizer.levels.cpu().numpy() - 1
        self._basis = quantizer.basis.cpu().numpy()

    def codes(self, segments: Sequence[bytes]) -> npt.NDArray[np.int64]:
        """Return the code of each segment: (segments,) int64. Raises: ValueError for one that is empty or too long."""
        import torch

        from tokframe_autoencoder.network.fsq import bins_of

        if not segments:
            return np.zeros(0, np.int64)
        (values,) = self._session.run(None, _feed(self._network, segments))
        quantizer = self._network.quantizer
        bins = bins_of(torch.from_numpy(values), quantizer.shape, quantizer.bound).numpy()
        digits = np.clip(np.floor(bins), 0, self._last).astype(np.int64)
        codes: npt.NDArray[np.int64] = digits @ self._basis
        return codes


def export_encoder(network: Autoencoder) -> bytes:
    """Return encoder and projection to digits as an ONNX model: `data`, `inside` -> pre-activations, fp32.

    Raises: ComponentImportError without onnx; UnsupportedError for parts other than "conv" and "fsq".
    """
    from tokframe_autoencoder.network.encoder import ConvEncoder
    from tokframe_autoencoder.network.fsq import FSQ

    onnx = _import("onnx")
    encoder, quantizer = network.encoder, network.quantizer
    if type(encoder) is not ConvEncoder or type(quantizer) is not FSQ:
        raise UnsupportedError('only the encoder "conv" with the quantizer "fsq" has an int8 form', capability="int8")
    graph = _Graph(onnx)
    hidden = graph.add("Gather", graph.constant(encoder.embedding), "data", axis=0)
    if encoder.position is not None:
        hidden = graph.add("Add", hidden, graph.constant(encoder.position))
    hidden = graph.add("Transpose", graph.add("Mul", hidden, "inside"), perm=[0, 2, 1])
    count = network.max_length
    layers: list[Any] = list(encoder.layers)
    for layer in layers:
        width = layer.weight.shape[1] // layer.kernel
        weight = layer.weight.view(-1, layer.kernel, width).permute(0, 2, 1)
        after = -(-count // layer.stride)
        left = layer.kernel // 2
        right = max(0, (after - 1) * layer.stride + layer.kernel - left - count)
        hidden = graph.add(
            "Conv",
            hidden,
            graph.constant(weight),
            graph.constant(layer.bias),
            kernel_shape=[layer.kernel],
            strides=[layer.stride],
            pads=[left, right],
        )
        hidden, count = graph.add("Gelu", hidden), after
    hidden = graph.add("Transpose", hidden, perm=[0, 2, 1])
    if encoder.pooling == "flatten":
        pooled = graph.add("Flatten", hidden, axis=1)
    else:
        pooled = graph.add("ReduceMean", hidden, graph.whole([1]), keepdims=0)
    latent = graph.linear(pooled, encoder.out, name="latent")
    norm = encoder.norm
    latent = graph.add(
        "LayerNormalization", latent, graph.constant(norm.weight), graph.constant(norm.bias), epsilon=norm.eps
    )
    values = graph.linear(latent, quantizer.project_in, name=_LAST)
    graph.add("Div", values, graph.constant(np.float32(quantizer.temperature)), output="values")
    return graph.model(network.max_length, len(quantizer.shape))


def quantize_encoder(model: bytes, network: Autoencoder, segments: Sequence[bytes]) -> bytes:
    """Return the model with int8 weights and activations; `segments`, a few hundred real ones, fix the scales.

    The last projection stays fp32: it is tiny, and its error is that of the digits. Raises: ComponentImportError.
    """
    _import("onnx")
    quantization = _import("onnxruntime.quantization")
    prepare = _import("onnxruntime.quantization.shape_inference").quant_pre_process
    if not segments:
        raise ValueError("int8 scales are measured on real segments; give a few hundred")

    base: Any = quantization.CalibrationDataReader

    class Reader(base):  # type: ignore[misc]  # a base class without types
        def __init__(self) -> None:
            self.parts: Iterator[dict[str, Any]] = (
                _feed(network, segments[i : i + _BATCH]) for i in range(0, len(segments), _BATCH)
            )

        def get_next(self) -> dict[str, Any] | None:
            return next(self.parts, None)

    with tempfile.TemporaryDirectory(prefix="tokframe-int8-") as folder:
        plain, ready, made = (Path(folder) / f"{name}.onnx" for name in ("plain", "ready", "int8"))
        plain.write_bytes(model)
        prepare(str(plain), str(ready), skip_symbolic_shape=True)
        quantization.quantize_static(
            str(ready),
            str(made),
            Reader(),
            quant_format=quantization.QuantFormat.QDQ,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            per_channel=True,
            op_types_to_quantize=["Conv", "Gemm"],
            nodes_to_exclude=[_LAST],
        )
        return made.read_bytes()


def _feed(network: Autoencoder, segments: Sequence[bytes]) -> dict[str, Any]:
    from tokframe_autoencoder.network.segments import SegmentTable

    table = SegmentTable.of(segments, network.max_length)
    inside = np.arange(network.max_length) < table.lengths.numpy()[:, None]
    return {"data": table.data.numpy(), "inside": inside[..., None].astype(np.float32)}


class _Graph:
    """An ONNX graph that grows node by node."""

    def __init__(self, onnx: Any) -> None:
        self.onnx = onnx
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def constant(self, value: Any) -> str:
        """Add a tensor; return its name."""
        array = value.detach().cpu().numpy() if hasattr(value, "detach") else np.asarray(value)
        name = f"constant{len(self.constants)}"
        self.constants.append(self.onnx.numpy_helper.from_array(np.array(array, np.float32, order="C"), name))
        return name

    def whole(self, values: Sequence[int]) -> str:
        """Add a list of whole numbers; return its name."""
        name = f"constant{len(self.constants)}"
        self.constants.append(self.onnx.numpy_helper.from_array(np.asarray(values, np.int64), name))
        return name

    def add(self, kind: str, *inputs: str, output: str = "", name: str = "", **attributes: Any) -> str:
        """Add a node; return the name of what it gives."""
        output = output or f"{kind.lower()}{len(self.nodes)}"
        node = self.onnx.helper.make_node(kind, inputs, [output], name=name or f"{output}_node", **attributes)
        self.nodes.append(node)
        return output

    def linear(self, x: str, layer: Any, *, name: str) -> str:
        """Add an affine map."""
        return self.add("Gemm", x, self.constant(layer.weight), self.constant(layer.bias), transB=1, name=name)

    def model(self, length: int, dims: int) -> bytes:
        """Return the checked model."""
        helper, kinds = self.onnx.helper, self.onnx.TensorProto
        inputs = [
            helper.make_tensor_value_info("data", kinds.INT64, ["batch", length]),
            helper.make_tensor_value_info("inside", kinds.FLOAT, ["batch", length, 1]),
        ]
        output = helper.make_tensor_value_info("values", kinds.FLOAT, ["batch", dims])
        graph = helper.make_graph(self.nodes, "encoder", inputs, [output], self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
        self.onnx.checker.check_model(model)
        data: bytes = model.SerializeToString()
        return data


def _import(name: str) -> Any:
    """Import a module of the extra. Raises: ComponentImportError with the command that installs it."""
    import importlib

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
