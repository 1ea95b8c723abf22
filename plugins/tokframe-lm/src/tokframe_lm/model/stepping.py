"""Stepping: the body of a model run a few tokens at a time in numpy, for generation on a CPU.

A token at a time is too little work for torch and transformers, whose calls take longer than what they compute.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from transformers import LlamaModel

__all__ = ["Cache", "step", "suits"]

_Floats = npt.NDArray[np.float32]


class Cache:
    """Keys and values of the tokens so far: (layers, heads, room, width of a head); the first `size` are in use."""

    def __init__(self, body: LlamaModel) -> None:
        config = body.config
        heads = int(config.num_attention_heads)
        self._shape = (int(config.num_hidden_layers), heads, int(config.hidden_size) // heads)
        self.size = 0
        self.keys, self.values = self._room(64), self._room(64)

    def _room(self, tokens: int) -> _Floats:
        layers, heads, width = self._shape
        return np.empty((layers, heads, tokens, width), np.float32)

    def reserve(self, tokens: int) -> None:
        """Make room for so many tokens more."""
        needed, room = self.size + tokens, self.keys.shape[2]
        if needed > room:
            for name in ("keys", "values"):
                larger = self._room(max(needed, 2 * room))
                larger[:, :, : self.size] = getattr(self, name)[:, :, : self.size]
                setattr(self, name, larger)


def suits(body: LlamaModel) -> bool:
    """Return whether a body can be run here: float32 on a CPU."""
    weight = body.norm.weight
    return bool(weight.device.type == "cpu" and weight.dtype == torch.float32)


def step(body: LlamaModel, vectors: Tensor, cache: Cache) -> Tensor:
    """Return the body's output after the last of vectors (tokens, d_model) as (d_model,), and extend the cache."""
    states: Any = vectors.detach().numpy()
    count, heads, width = len(states), cache.keys.shape[1], cache.keys.shape[3]
    cache.reserve(count)
    first, last = cache.size, cache.size + count
    cos, sin = _rotation(body, first, last, width)
    hidden = None
    if count > 1:  # what comes later is not seen
        hidden = np.arange(last)[None, :] > np.arange(first, last)[:, None]
    layer: Any  # transformers declares no types of its parts
    for number, layer in enumerate(body.layers):
        attention, mlp = layer.self_attn, layer.mlp
        normed = _normed(states, layer.input_layernorm)
        query, key, value = (
            (normed @ _array(part.weight).T).reshape(count, heads, width).transpose(1, 0, 2)
            for part in (attention.q_proj, attention.k_proj, attention.v_proj)
        )
        cache.keys[number, :, first:last] = _turned(key, cos, sin)
        cache.values[number, :, first:last] = value
        scores = _turned(query, cos, sin) @ cache.keys[number, :, :last].transpose(0, 2, 1) / np.float32(width**0.5)
        if hidden is not None:
            scores[:, hidden] = -np.inf
        scores = np.exp(scores - scores.max(-1, keepdims=True))
        scores /= scores.sum(-1, keepdims=True)
        seen = (scores @ cache.values[number, :, :last]).transpose(1, 0, 2).reshape(count, heads * width)
        states = states + seen @ _array(attention.o_proj.weight).T
        normed = _normed(states, layer.post_attention_layernorm)
        gate = normed @ _array(mlp.gate_proj.weight).T
        inner = gate * (0.5 * np.tanh(0.5 * gate) + 0.5) * (normed @ _array(mlp.up_proj.weight).T)
        states = states + inner @ _array(mlp.down_proj.weight).T
    cache.size = last
    return torch.from_numpy(_normed(states[-1:], body.norm)[0])


def _array(tensor: Any) -> Any:
    """Return the memory of a parameter, never a copy."""
    return tensor.detach().numpy()


def _normed(states: _Floats, norm: Any) -> _Floats:
    mean = np.einsum("nd,nd->n", states, states)[:, None] / np.float32(states.shape[1])
    found: _Floats = states * _array(norm.weight) / np.sqrt(mean + np.float32(norm.variance_epsilon))
    return found


def _rotation(body: LlamaModel, first: int, last: int, width: int) -> tuple[_Floats, _Floats]:
    """Return cosines and sines of the rotary positions from first to last (tokens, width of a head)."""
    angles: _Floats = np.arange(first, last, dtype=np.float32)[:, None] * _array(body.rotary_emb.inv_freq)
    angles = np.concatenate([angles, angles], 1)
    return np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)


def _turned(vectors: _Floats, cos: _Floats, sin: _Floats) -> _Floats:
    half = vectors.shape[-1] // 2
    swapped = np.concatenate([-vectors[..., half:], vectors[..., :half]], -1)
    found: Any = vectors * cos + swapped * sin
    return found  # type: ignore[no-any-return]  # float32 as all of it
