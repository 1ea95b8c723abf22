"""Walk: the branches of a decoder head after one vector, scored only where they are needed, in numpy.

One vector at a time is too little work for torch, whose calls take longer than what they compute.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

import numpy as np
import numpy.typing as npt
from attrs import frozen

from tokframe_lm.model.branches import Branches
from tokframe_lm.model.canonical import Impossible

__all__ = ["Walk", "Weights"]

_Floats = npt.NDArray[np.float32]
_Doubles = npt.NDArray[np.float64]
_Numbers = npt.NDArray[np.int64]
_AT_ONCE = 48  # nodes scored together in the search for the likeliest ids
_DRAWN = 6  # ids drawn together, of which most often one is accepted
_TRIES = 50  # of so many ids
_EPSILON = np.float32(1e-6)  # of norms


@frozen(kw_only=True, eq=False)
class Weights:
    """The parameters of a decoder head as they are used here, matrices transposed and the scale of norms put into them.

    `known` (nodes, width) says what stands before each node; with a GRU it is the part of its gates (nodes, 3 width)
    that does not depend on the vector, whose part `gates` makes. `gru` are its hidden weights and biases. What goes
    into a sigmoid, `(1 + tanh(x / 2)) / 2`, is halved already, and so is what the reset gate is multiplied with.
    `layers` holds the up and down weights of each layer.
    """

    known: _Floats
    inward: _Floats
    start: _Floats | None
    gates: _Floats | None
    gru: tuple[_Floats, _Floats] | None
    layers: Sequence[tuple[_Floats, _Floats]]
    out: _Floats
    bias: _Floats


class Walk:
    """The trie after a vector `state` (d_model,); ids that cannot follow the id `before` lose their mass."""

    def __init__(
        self, branches: Branches, weights: Weights, state: _Floats, impossible: Impossible | None, before: int
    ) -> None:
        self._branches, self._trie, self._weights = branches, branches.trie, weights
        self._inward = self._input = weights.inward @ state
        self._hidden = np.zeros((1, len(weights.inward)), np.float32)
        if weights.start is not None and weights.gates is not None:
            self._hidden[0] = np.tanh(weights.start @ state)
            self._input = weights.gates @ self._inward
        self._gone = None if impossible is None else branches.gone(impossible, before)

    def draw(self, temperature: float, accepts: Callable[[int], bool], uniform: Callable[[int], _Floats]) -> int | None:
        """Draw an id that is accepted, given `uniform` random numbers (n,) from 0 to 1; temperature at most 1.

        Each choice is drawn at the temperature, which makes ids too likely whose choices had little to choose from, and
        ids are refused in proportion: exact rejection sampling. None if none of many was accepted.
        """
        for _ in range(_TRIES):
            for token, share in zip(*self._drawn(temperature, uniform), strict=True):
                if (temperature == 1 or float(uniform(1)[0]) < share) and accepts(int(token)):
                    return int(token)
        return None

    def _drawn(self, temperature: float, uniform: Callable[[int], _Floats]) -> tuple[_Numbers, _Doubles]:
        """Return ids drawn choice by choice at a temperature, and the share to accept of each."""
        count = 1 if temperature == 1 else _DRAWN
        ids, shares = np.zeros(count, np.int64), np.ones(count)
        rows, nodes, hidden = np.arange(count), np.zeros(count, np.int64), np.repeat(self._hidden, count, 0)
        while len(rows):
            hidden, edges, first, _, chances = self._branch(nodes, hidden)
            weights = chances ** (1 / temperature)
            total = np.add.reduceat(weights, first)
            reached = np.cumsum(weights)
            chosen = np.searchsorted(reached, reached[first] - weights[first] + uniform(len(rows)) * total, "right")
            chosen = np.minimum(np.maximum(chosen, first), np.concatenate([first[1:], [len(edges)]]) - 1)
            shares[rows] *= total
            after = self._trie.children[edges[chosen]]
            done = after < 0
            ids[rows[done]] = -1 - after[done]
            rows, nodes, hidden = rows[~done], after[~done], hidden[~done]
        return ids, shares

    def likeliest(self, count: int, excluded: Collection[int]) -> tuple[_Numbers, _Doubles]:
        """Return the `count` likeliest ids that are not excluded, best first, with p of each (count,), (count,).

        The search goes on from the likeliest beginnings, and ends when no beginning left is as likely as what is found.
        """
        nodes, chances, hidden = np.zeros(1, np.int64), np.ones(1), self._hidden
        ids, found = np.zeros(0, np.int64), np.zeros(0)
        allowed = np.ones(len(self._trie.ranks), bool)
        allowed[list(excluded)] = False
        lowest = 0.0
        while len(nodes):
            if len(nodes) > _AT_ONCE:
                best = np.argpartition(-chances, _AT_ONCE)
                now, later = best[:_AT_ONCE], best[_AT_ONCE:]
            else:
                now, later = np.arange(len(nodes)), np.zeros(0, np.int64)
            after, edges, _, owners, shares = self._branch(nodes[now], hidden[now])
            reached, children = chances[now][owners] * shares, self._trie.children[edges]
            likely = reached > lowest
            leaf = likely & (children < 0)
            complete = -1 - children[leaf]
            wanted = allowed[complete]
            ids, found = np.concatenate([ids, complete[wanted]]), np.concatenate([found, reached[leaf][wanted]])
            if len(ids) > count:
                best = np.argpartition(-found, count)[:count]
                ids, found = ids[best], found[best]
            if len(ids) == count:
                lowest = found.min()
                likely = reached > lowest
                later = later[chances[later] > lowest]
            inner = likely & (children >= 0)
            nodes = np.concatenate([nodes[later], children[inner]])
            chances = np.concatenate([chances[later], reached[inner]])
            hidden = np.concatenate([hidden[later], after[owners[inner]]])
        order = np.argsort(-found, kind="stable")
        return ids[order], found[order]

    def all(self) -> _Floats:
        """Return ln p of every id (ids,)."""
        found = np.empty(len(self._trie.ranks))
        nodes, logs, hidden = np.zeros(1, np.int64), np.zeros(1), self._hidden
        while len(nodes):
            after, edges, _, owners, shares = self._branch(nodes, hidden)
            reached, children = logs[owners] + np.log(shares), self._trie.children[edges]
            leaf = children < 0
            found[-1 - children[leaf]] = reached[leaf]
            nodes, logs, hidden = children[~leaf], reached[~leaf], after[owners[~leaf]]
        return found.astype(np.float32)

    def _branch(self, nodes: _Numbers, hidden: _Floats) -> tuple[_Floats, _Numbers, _Numbers, _Numbers, _Doubles]:
        """Return the states after nodes (n,), and their edges in order: which, the first of each node, owner, p there.

        The owner of an edge is the number of its node among `nodes`; the p of the edges of a node add up to 1.
        """
        weights, trie = self._weights, self._trie
        states = weights.known[nodes] + self._input
        if weights.gru is not None:
            width = hidden.shape[1]
            before = hidden @ weights.gru[0] + weights.gru[1]
            gates = np.tanh(states[:, : 2 * width] + before[:, : 2 * width])  # twice a sigmoid, less 1
            gates += 1
            new = np.tanh(states[:, 2 * width :] + gates[:, :width] * before[:, 2 * width :])
            hidden = new + gates[:, width:] * (np.float32(0.5) * (hidden - new))
            states = hidden + self._inward
        for up, down in weights.layers:
            inner = _normed(states) @ up
            gate, value = inner[:, : inner.shape[1] // 2], inner[:, inner.shape[1] // 2 :]
            states = states + (gate * (0.5 * np.tanh(0.5 * gate) + 0.5) * value) @ down
        logits = _normed(states) @ weights.out + weights.bias
        starts, counts = trie.edge_starts[nodes], self._branches.degrees[nodes]
        ends = np.cumsum(counts)
        first = ends - counts
        owners = np.repeat(np.arange(len(nodes)), counts)
        edges = np.arange(ends[-1]) + np.repeat(starts - first, counts)
        scores = np.exp(logits[owners, trie.symbols[edges]], dtype=np.float64)  # no overflow below e^709
        scores *= self._branches.shares[edges]
        if self._gone is not None:
            scores *= self._branches.left_of(edges, *self._gone)
        return hidden, edges, first, owners, scores / np.add.reduceat(scores, first)[owners]


def _normed(values: _Floats) -> _Floats:
    mean = np.einsum("nd,nd->n", values, values)[:, None] / np.float32(values.shape[1])
    found: _Floats = values / np.sqrt(mean + _EPSILON)
    return found
