"""Walk: the branches of a decoder head after one vector, scored only where they are needed, in numpy.

One vector at a time is too little work for torch, whose calls take longer than what they compute.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

import numpy as np
import numpy.typing as npt
from attrs import frozen

from tokframe_lm.model.branches import Branches, spread
from tokframe_lm.model.canonical import Impossible

__all__ = ["Walk", "Weights"]

_Floats = npt.NDArray[np.float32]
_Numbers = npt.NDArray[np.int64]
_AT_ONCE = 32  # nodes scored together in the search for the likeliest ids
_DRAWS = 1000  # until an id comes that is not excluded
_EPSILON = 1e-6  # of norms


@frozen(kw_only=True, eq=False)
class Weights:
    """The parameters of a decoder head; `gru` holds input and hidden weights and biases, () for an MLP.

    `layers` holds the norm, up and down weights of each layer. `known` numbers the rows of `symbols` and `hashed` that
    say what stands before each node: (nodes,), (nodes, tables).
    """

    symbols: _Floats
    hashed: _Floats
    known: tuple[_Numbers, _Numbers]
    inward: _Floats
    start: _Floats | None
    gru: Sequence[_Floats]
    layers: Sequence[tuple[_Floats, _Floats, _Floats]]
    norm: _Floats
    out: _Floats
    bias: _Floats


class Walk:
    """The trie after a vector `state` (d_model,); ids that cannot follow the id `before` lose their mass."""

    def __init__(
        self, branches: Branches, weights: Weights, state: _Floats, impossible: Impossible | None, before: int
    ) -> None:
        self._branches, self._trie, self._weights = branches, branches.trie, weights
        self._inward = weights.inward @ state
        self._hidden = np.zeros((1, len(weights.norm)), np.float32)
        if weights.gru:
            assert weights.start is not None
            self._hidden[0] = np.tanh(weights.start @ state)
            self._input = weights.gru[0] @ self._inward + weights.gru[2]
        self._gone = None if impossible is None else branches.gone(impossible, before)

    def draw(self, excluded: Collection[int], uniform: Callable[[], float]) -> int:
        """Draw an id that is not excluded, each choice with a number that `uniform` gives.

        Raises: ValueError if there is no other.
        """
        for _ in range(_DRAWS):
            node, hidden = 0, self._hidden
            while node >= 0:
                hidden, edges, _, logs = self._branch(np.asarray([node]), hidden)
                reached = np.cumsum(np.exp(logs), dtype=np.float64)
                chosen = min(int(np.searchsorted(reached, uniform() * reached[-1], "right")), len(edges) - 1)
                node = int(self._trie.children[edges[chosen]])
            if -1 - node not in excluded:
                return -1 - node
        return int(self.likeliest(1, excluded)[0][0])

    def likeliest(self, count: int, excluded: Collection[int]) -> tuple[_Numbers, _Floats]:
        """Return the `count` likeliest ids that are not excluded, best first, with ln p of each (count,), (count,).

        The search goes on from the likeliest beginnings, and ends when no beginning left is as likely as what is found.
        Raises: ValueError if all ids are excluded.
        """
        nodes, logs, hidden = np.zeros(1, np.int64), np.zeros(1, np.float32), self._hidden
        ids, found = np.zeros(0, np.int64), np.zeros(0, np.float32)
        forbidden = np.fromiter(excluded, np.int64, len(excluded))
        while len(nodes):
            if len(nodes) > _AT_ONCE:
                best = np.argpartition(-logs, _AT_ONCE)
                now, later = best[:_AT_ONCE], best[_AT_ONCE:]
            else:
                now, later = np.arange(len(nodes)), np.zeros(0, np.int64)
            after, edges, owners, shares = self._branch(nodes[now], hidden[now])
            reached, children = logs[now][owners] + shares, self._trie.children[edges]
            leaf = children < 0
            complete = -1 - children[leaf]
            allowed = ~np.isin(complete, forbidden)
            ids, found = np.append(ids, complete[allowed]), np.append(found, reached[leaf][allowed])
            if len(ids) > count:
                best = np.argpartition(-found, count)[:count]
                ids, found = ids[best], found[best]
            inner = ~leaf
            if len(ids) == count:
                lowest = found.min()
                inner &= reached > lowest
                later = later[logs[later] > lowest]
            nodes = np.append(nodes[later], children[inner])
            logs = np.append(logs[later], reached[inner])
            hidden = np.concatenate([hidden[later], after[owners[inner]]])
        if not len(ids):
            raise ValueError("every id is excluded")
        order = np.argsort(-found, kind="stable")
        return ids[order], found[order]

    def all(self) -> _Floats:
        """Return ln p of every id (ids,)."""
        found = np.empty(len(self._trie.ranks), np.float32)
        nodes, logs, hidden = np.zeros(1, np.int64), np.zeros(1, np.float32), self._hidden
        while len(nodes):
            after, edges, owners, shares = self._branch(nodes, hidden)
            reached, children = logs[owners] + shares, self._trie.children[edges]
            leaf = children < 0
            found[-1 - children[leaf]] = reached[leaf]
            nodes, logs, hidden = children[~leaf], reached[~leaf], after[owners[~leaf]]
        return found

    def _branch(self, nodes: _Numbers, hidden: _Floats) -> tuple[_Floats, _Numbers, _Numbers, _Floats]:
        """Return the states after nodes (n,), and all their edges, the number of the node of each, and ln p of each."""
        weights, trie = self._weights, self._trie
        last, rows = weights.known
        known = weights.symbols[last[nodes]] + weights.hashed[rows[nodes]].sum(1)
        if weights.gru:
            width = len(weights.norm)
            inputs = known @ weights.gru[0].T + self._input
            before = hidden @ weights.gru[1].T + weights.gru[3]
            gates = _sigmoid(inputs[:, : 2 * width] + before[:, : 2 * width])
            new = np.tanh(inputs[:, 2 * width :] + gates[:, :width] * before[:, 2 * width :])
            hidden = new + gates[:, width:] * (hidden - new)
            states = hidden + self._inward
        else:
            states = known + self._inward
        for norm, up, down in weights.layers:
            inner = _normed(states, norm) @ up.T
            gate, value = inner[:, : inner.shape[1] // 2], inner[:, inner.shape[1] // 2 :]
            states = states + (gate * _sigmoid(gate) * value) @ down.T
        logits = _normed(states, weights.norm) @ weights.out.T + weights.bias
        starts = trie.edge_starts[nodes]
        edges, owners = spread(starts, trie.edge_starts[nodes + 1])
        scores = logits[owners, trie.symbols[edges]] + self._branches.logs[edges]
        if self._gone is not None:
            scores += self._branches.left_of(edges, *self._gone)
        first = np.cumsum(trie.edge_starts[nodes + 1] - starts) - (trie.edge_starts[nodes + 1] - starts)
        scores -= np.maximum.reduceat(scores, first)[owners]
        scores -= np.log(np.add.reduceat(np.exp(scores), first))[owners]
        return hidden, edges, owners, scores


def _sigmoid(values: _Floats) -> _Floats:
    return 0.5 * np.tanh(0.5 * values) + 0.5  # type: ignore[no-any-return]  # numpy keeps the type


def _normed(values: _Floats, weight: _Floats) -> _Floats:
    found: _Floats = values * weight / np.sqrt((values * values).mean(1, keepdims=True) + np.float32(_EPSILON))
    return found
