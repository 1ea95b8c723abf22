"""What a moved model expects before any training: each id as often as a text has it, no surer than there is reason to.

Only biases and the scale of the last norm are set; what an id is made of is `transfer`'s.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from tokframe_lm.data.tokens import TokenFile
from tokframe_lm.model.model import LanguageModel

__all__ = ["calibrate"]

_WINDOWS = 32  # of the model's context: enough to know what it expects on average
_SCALES = (1.0, 0.5, 0.25, 0.125)
_PASSES = 1
_ROWS = 64  # scores of so many places are held at once


@torch.no_grad()
def calibrate(model: LanguageModel, tokens: TokenFile) -> float:
    """Set the biases and the scale of the last norm by a text; return that scale.

    The rows decide how a context moves an id up or down, the biases how often it comes at all: those of the old model
    are of other ids. They are found by iterative proportional fitting (Deming and Stephan, 1940): each pass adds to a
    bias what the mean prediction lacks, in the logarithm. The body reads ids that it was not trained on, and is surer
    of what follows than it should be; its last norm is scaled to where the text's loss is least.
    """
    table, bias = model.embedding.table(), model.embedding.bias
    model.embedding.set_unigram_bias(tokens.counts(model.embedding.vocab_size))
    wanted = bias.detach().clone()
    vectors, targets = _read(model, tokens.ids, table)
    tried = {}
    for scale in _SCALES:
        bias.copy_(wanted - table @ vectors.mean(0) * scale)
        for _ in range(_PASSES):
            expected, _ = _expected(model, vectors * scale, targets, table)
            bias.add_(wanted - expected.clamp_min(1e-30).log())
        tried[scale] = (_expected(model, vectors * scale, targets, table)[1], bias.detach().clone())
    best = min(tried, key=lambda scale: tried[scale][0])
    bias.copy_(tried[best][1])
    model.body.norm.weight.mul_(best)
    return best


def _read(model: LanguageModel, ids: Any, table: Tensor) -> tuple[Tensor, Tensor]:
    """Return what the body says in windows spread evenly over a text (places, d_model), and what follows (places,)."""
    size = max(1, min(model.config.context, len(ids) - 1))
    starts = np.unique(np.linspace(0, max(0, len(ids) - 1 - size), _WINDOWS).astype(np.int64))
    vectors, targets = [], []
    for start in starts.tolist():
        window = torch.from_numpy(np.asarray(ids[start : start + size + 1], np.int64))
        vectors.append(model.hidden_states(window[None, :-1], table)[0])
        targets.append(window[1:])
    return torch.cat(vectors), torch.cat(targets)


def _expected(model: LanguageModel, vectors: Tensor, targets: Tensor, table: Tensor) -> tuple[Tensor, float]:
    """Return the mean prediction (ids,) and the mean loss in nats."""
    total = torch.zeros(model.embedding.vocab_size)
    loss = 0.0
    for start in range(0, len(vectors), _ROWS):
        scores = model.embedding.logits(vectors[start : start + _ROWS], table).log_softmax(-1)
        loss -= float(scores.gather(1, targets[start : start + _ROWS, None]).sum())
        total += scores.exp_().sum(0)
    return total / len(vectors), loss / len(vectors)
