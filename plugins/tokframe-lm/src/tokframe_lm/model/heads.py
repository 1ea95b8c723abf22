"""Head: what writes the next id, given the body's vector; `softmax` is here, `decoder` in a module of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, ClassVar

import torch
from attrs import frozen
from torch import Tensor, nn
from torch.nn import functional

from tokframe.tokenizer.base import ITokenizer
from tokframe_lm.model.canonical import Impossible
from tokframe_lm.model.embeddings import Embedding
from tokframe_lm.model.loss import mean_cross_entropy

__all__ = ["Context", "Head", "SoftmaxHead", "draw"]

_DRAWN = 50  # ids, of which one is accepted unless hardly any may follow


@frozen(kw_only=True, eq=False)
class Context:
    """What a head may know beside vectors: the ids `before` (rows,) which come last, and the model's other parts.

    `table` (ids, d_model) holds the vectors of all ids, None where nothing needs them; `impossible` says which ids
    cannot follow, None where that is unknown.
    """

    before: Tensor
    table: Tensor | None = None
    impossible: Impossible | None = None


class Head(nn.Module):
    """A distribution over all ids given a vector. Built as `Class(config, tokenizer=..., embedding=...)`.

    A head that is `tied` multiplies by the embedding's table, which is then computed for it. Subclasses implement
    `nll` and `logits`; `sample` where it need not score all ids. `parameters_per_token` is for the FLOPs of reports.
    Raises: UnsupportedError where the tokenizer lacks what the head needs.
    """

    tied: ClassVar[bool] = False

    def __init__(self, config: Any, *, tokenizer: ITokenizer, embedding: Embedding) -> None:
        super().__init__()
        self.vocab_size, self.d_model = tokenizer.vocab_size, embedding.d_model

    def prepare(self, counts: Tensor) -> None:
        """Fit shape and initial values to the counts of ids in the training text (ids,), once, before training.

        The model keeps the counts, and calls this again with the same before its weights are loaded.
        """

    def nll(self, states: Tensor, targets: Tensor, context: Context) -> Tensor:
        """Return -ln p of targets in nats: (rows, d_model), (rows,) -> (rows,), with gradient, no id enumerated."""
        raise NotImplementedError

    def loss(self, states: Tensor, targets: Tensor, context: Context, precision: torch.dtype) -> Tensor:
        """Return the mean of `nll`; matrix products may be computed in `precision`."""
        return self.nll(states, targets, context).mean()

    def logits(self, states: Tensor, context: Context) -> Tensor:
        """Return scores of every id, whose softmax is the distribution: (rows, d_model) -> (rows, ids)."""
        raise NotImplementedError

    def sample(
        self,
        state: Tensor,
        context: Context,
        *,
        temperature: float = 1.0,
        top_k: int = 0,
        excluded: Tensor | None = None,
        accepts: Callable[[int], bool] | None = None,
        generator: torch.Generator | None = None,
    ) -> int | None:
        """Draw an id given one vector (d_model,), among the `top_k` likeliest (0: all), none of `excluded` (n,).

        Probabilities are raised to 1 / `temperature`; 0 gives the likeliest id. An id that `accepts` refuses is drawn
        again, which is cheaper than to know all that it would refuse; None where it refused too many.
        """
        return draw(
            self.logits(state[None], context)[0],
            temperature=temperature,
            top_k=top_k,
            excluded=excluded,
            accepts=accepts,
            generator=generator,
        )

    def rows(self) -> Iterable[nn.Parameter]:
        """Return the parameters with a row per symbol or feature, which have the learning rate of the embedding."""
        return ()

    @torch.no_grad()
    def take(self, other: Head) -> None:
        """Begin with the weights of a head that was trained with another vocabulary, as far as they fit."""
        theirs = dict(other.named_parameters())
        for name, parameter in self.named_parameters():
            if name in theirs and theirs[name].shape == parameter.shape:
                parameter.copy_(theirs[name])

    def parameters_per_token(self) -> float:
        """Return the number of parameters that an average token of the training text is multiplied with."""
        return sum(p.numel() for p in self.parameters())


class SoftmaxHead(Head):
    """The embedding's table, multiplied by the vector: a logit for every id."""

    tied = True

    def __init__(self, config: Any, *, tokenizer: ITokenizer, embedding: Embedding) -> None:
        super().__init__(config, tokenizer=tokenizer, embedding=embedding)
        self._embedding = (embedding,)  # in a tuple: its parameters are the model's

    def logits(self, states: Tensor, context: Context) -> Tensor:
        """Return the logits of all ids: (rows, d_model) -> (rows, ids)."""
        logits = self._embedding[0].logits(states, context.table)
        return logits if context.impossible is None else context.impossible(logits, context.before)

    def nll(self, states: Tensor, targets: Tensor, context: Context) -> Tensor:
        """Return -ln p of targets in nats."""
        return functional.cross_entropy(self.logits(states, context).float(), targets, reduction="none")

    def loss(self, states: Tensor, targets: Tensor, context: Context, precision: torch.dtype) -> Tensor:
        """Return the mean of `nll`, without all logits at once."""
        embedding, impossible = self._embedding[0], context.impossible
        return mean_cross_entropy(
            states,
            embedding.table() if context.table is None else context.table,
            embedding.bias,
            targets,
            penalized=None if impossible is None else impossible.positions(context.before),
            precision=precision,
        )

    def parameters_per_token(self) -> float:
        """Return the size of the table."""
        return self.vocab_size * self.d_model


def draw(
    logits: Tensor,
    *,
    temperature: float,
    top_k: int = 0,
    excluded: Tensor | None = None,
    accepts: Callable[[int], bool] | None = None,
    generator: torch.Generator | None = None,
) -> int | None:
    """Draw a place of logits (n,), as `Head.sample` draws an id."""
    logits = logits.float().cpu()
    if excluded is not None and len(excluded):
        logits = logits.index_fill(0, excluded.cpu(), -torch.inf)
    places = None
    if 0 < top_k < len(logits) and temperature:
        logits, places = logits.topk(top_k)
    weights = (logits / temperature).softmax(0) if temperature else logits.clone()
    gone = 0.0 if temperature else -torch.inf
    for _ in range(_DRAWN):
        drawn = int(torch.multinomial(weights, 1, generator=generator) if temperature else weights.argmax())
        place = drawn if places is None else int(places[drawn])
        if accepts is None or accepts(place):
            return place
        weights[drawn] = gone
        if bool((weights == gone).all()):
            break
    return None
