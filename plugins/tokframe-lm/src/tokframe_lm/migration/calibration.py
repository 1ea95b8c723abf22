"""Calibration of a migrated model: output biases to the corpus's unigram frequencies, and the final norm's scale.

The rows of ids are left to `tokframe.tokenizer.transfer`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from tokframe_lm.data.tokens import TokenFile
from tokframe_lm.model.model import LanguageModel

__all__ = ["calibrate"]

_WINDOWS = 32  # of the model's context: enough for the mean prediction
_SCALES = (1.0, 0.5, 0.25, 0.125)
_CHUNK_ROWS = 64  # positions whose logits are held at once


@torch.no_grad()
def calibrate(model: LanguageModel, tokens: TokenFile) -> float:
    """Set the output biases and the scale of the final norm by a text; return that scale.

    The biases set the mean prediction to the unigram frequencies of the new ids, by a pass of iterative proportional
    fitting (Deming and Stephan, 1940): each bias gains the log of the ratio of both. The body reads ids that it was not
    trained on, and is overconfident; its final norm is scaled to minimize the text's loss.
    """
    table, bias = model.embedding.table(), model.embedding.bias
    model.embedding.set_unigram_bias(tokens.counts(model.embedding.vocab_size))
    wanted = bias.detach().clone()
    states, targets = _hidden_states(model, tokens.ids, table)
    tried = {}
    for scale in _SCALES:
        bias.copy_(wanted - table @ states.mean(0) * scale)
        mean, _ = _predictions(model, states * scale, targets, table)
        bias.add_(wanted - mean.clamp_min(1e-30).log())
        tried[scale] = (_predictions(model, states * scale, targets, table)[1], bias.detach().clone())
    best = min(tried, key=lambda scale: tried[scale][0])
    bias.copy_(tried[best][1])
    model.body.norm.weight.mul_(best)
    return best


def _hidden_states(model: LanguageModel, ids: Any, table: Tensor) -> tuple[Tensor, Tensor]:
    """Return hidden states in windows spread evenly over a text (positions, d_model), and the next ids (positions,)."""
    size = max(1, min(model.config.context, len(ids) - 1))
    starts = np.unique(np.linspace(0, max(0, len(ids) - 1 - size), _WINDOWS).astype(np.int64))
    states, targets = [], []
    for start in starts.tolist():
        window = torch.from_numpy(np.asarray(ids[start : start + size + 1], np.int64))
        states.append(model.hidden_states(window[None, :-1], table)[0])
        targets.append(window[1:])
    return torch.cat(states), torch.cat(targets)


def _predictions(model: LanguageModel, states: Tensor, targets: Tensor, table: Tensor) -> tuple[Tensor, float]:
    """Return the mean prediction (ids,) and the mean loss in nats."""
    total = torch.zeros(model.embedding.vocab_size)
    loss = 0.0
    for start in range(0, len(states), _CHUNK_ROWS):
        logs = model.embedding.logits(states[start : start + _CHUNK_ROWS], table).log_softmax(-1)
        loss -= float(logs.gather(1, targets[start : start + _CHUNK_ROWS, None]).sum())
        total += logs.exp_().sum(0)
    return total / len(states), loss / len(states)
