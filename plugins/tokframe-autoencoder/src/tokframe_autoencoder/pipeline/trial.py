"""Trial: parts of other plugins are called once before any text is read, so that a fault of one is told by its name."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from tokframe.errors import PluginBrokenError
from tokframe.plugins.protocols import Quantized
from tokframe.plugins.registry import normal_name
from tokframe.storage.advice import FIRST_PARTY

if TYPE_CHECKING:
    from tokframe_autoencoder.config import Part, Parts

__all__ = ["try_parts"]

_BATCH = 2
_SYMBOLS = 257  # 256 bytes and the end


def try_parts(parts: Parts) -> None:
    """Build and call the parts of other plugins with small tensors.

    Raises: PluginBrokenError naming the part, what it gave and what its protocol asks for.
    """
    width, longest = parts.d_latent, parts.max_length
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        for part, make in zip(parts.components, parts.classes(), strict=True):
            if normal_name(part.spec.distribution) in FIRST_PARTY:
                continue
            module = part.built(make, d_latent=width, max_length=longest)
            if not isinstance(module, nn.Module):
                _refuse(part, part.spec.target, module, "a torch.nn.Module")
            module.eval()
            _TRIALS[part.spec.kind](part, module, width, longest)


def _try_encoder(part: Part, module: Any, width: int, longest: int) -> None:
    data, lengths = torch.full((_BATCH, longest), 97), torch.full((_BATCH,), longest)
    _try(part, "encoder(data, lengths)", lambda: module(data, lengths), (_BATCH, width))


def _try_decoder(part: Part, module: Any, width: int, longest: int) -> None:
    _try(part, "decoder(latents)", lambda: module(torch.zeros(_BATCH, width)), (_BATCH, longest + 1, _SYMBOLS))


def _try_quantizer(part: Part, module: Any, width: int, _: int) -> None:
    latents, indices = torch.zeros(_BATCH, width), torch.zeros(_BATCH, dtype=torch.int64)
    _try(part, "decode_indices(indices)", lambda: module.decode_indices(indices), (_BATCH, width))
    given = _called(part, "quantizer(latents)", lambda: module(latents))
    if not isinstance(given, Quantized):
        _refuse(part, "quantizer(latents)", given, "a tokframe.Quantized")
    _try(part, "latents of quantizer(latents)", lambda: given.latents, tuple(latents.shape))
    _try(part, "indices of quantizer(latents)", lambda: given.indices, (_BATCH,))
    _called(part, "int(codebook_size)", lambda: int(module.codebook_size))


def _try(part: Part, what: str, call: Callable[[], Any], shape: tuple[int, ...]) -> None:
    given = _called(part, what, call)
    if not isinstance(given, Tensor) or tuple(given.shape) != shape:
        _refuse(part, what, given, f"a tensor of shape {shape}")


def _called(part: Part, what: str, call: Callable[[], Any]) -> Any:
    try:
        return call()
    except Exception as error:  # a third party's code may raise anything
        raise PluginBrokenError(
            f"{part.title}: {what} raised {type(error).__name__}: {error}", distribution=part.spec.distribution
        ) from error


def _refuse(part: Part, what: str, given: Any, wanted: str) -> None:
    shape = f" of shape {tuple(given.shape)}" if isinstance(given, Tensor) else ""
    raise PluginBrokenError(
        f"{part.title}: {what} gave a {type(given).__name__}{shape}, expected {wanted}. The contracts of "
        "tokframe.testing check what a part must give",
        distribution=part.spec.distribution,
    )


_TRIALS = {"encoder": _try_encoder, "quantizer": _try_quantizer, "decoder": _try_decoder}
