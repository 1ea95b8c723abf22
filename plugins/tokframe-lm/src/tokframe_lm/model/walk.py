"""Walk: the branches of a decoder head after one vector, scored only where they are needed, in numpy.

One vector at a time is too little work for torch, whose calls take longer than what they compute; but products of some
48 rows are left to it, as numpy's take up to seven times as long.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

import numpy as np
import numpy.typing as npt
import torch
from attrs import frozen
from torch import Tensor

from tokframe_lm.model.branches import Branches
from tokframe_lm.model.canonical import Impossible

__all__ = ["Walk", "Weights"]

_Floats = npt.NDArray[np.float32]
_Doubles = npt.NDArray[np.float64]
_Numbers = npt.NDArray[np.int64]
_AT_ONCE = 48  # nodes scored together in the search for the likeliest ids
_BLOCK = 512  # nodes scored together where all are: what is computed of them stays in the cache
_DRAWN = 6  # ids drawn together, of which most often one is accepted
_TRIES = 50  # of so many ids
_EPSILON = np.float32(1e-6)  # of norms


@frozen(kw_only=True, eq=False)
class Weights:
    """The parameters of a decoder head as they are used here, with the scale of norms put into them.

    `known` (nodes, width) says what stands before each node; with a GRU it is the part of its gates (nodes, 3 width)
    that does not depend on the vector, whose part `gates` makes. `gru` are its hidden weights and biases. What goes
    into a sigmoid, `(1 + tanh(x / 2)) / 2`, is halved already, and so is what the reset gate is multiplied with.
    `layers` holds the up and down weights of each layer. What many rows are multiplied by are tensors, transposed;
    `out` has a row for each symbol.
    """

    known: _Floats
    inward: _Floats
    start: _Floats | None
    gates: _Floats | None
    gru: tuple[Tensor, _Floats] | None
    layers: Sequence[tuple[Tensor, Tensor]]
    out: _Floats
    bias: _Floats


class Walk:
    """The trie after a vector `state` (d_model,); ids that cannot follow the id `before` lose their mass."""

    def __init__(
        self, branches: Branches, weights: Weights, state: _Floats, impossible: Impossible | None, before: int
    ) -> None:
        self._branches, self._trie, self._weights = branches, branches.trie, weights
        self._inward = weights.inward @ state
        self._hidden = np.zeros((1, len(weights.inward)), np.float32)
        if weights.start is not None and weights.gates is not None and weights.gru is not None:
            self._hidden[0] = np.tanh(weights.start @ state)
            both, ours = 2 * len(self._inward), weights.gates @ self._inward
            self._bias, self._input = weights.gru[1].copy(), ours[both:]
            self._bias[:both] += ours[:both]
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
        rows, nodes, hidden, parents = (
            np.arange(count),
            np.zeros(count, np.int64),
            self._hidden,
            np.zeros(count, np.int64),
        )
        while len(rows):
            hidden, edges, first, _, chances = self._branch(nodes, hidden, parents)
            weights = chances ** (1 / temperature)
            total = np.add.reduceat(weights, first)
            reached = np.cumsum(weights)
            chosen = np.searchsorted(reached, reached[first] - weights[first] + uniform(len(rows)) * total, "right")
            chosen = np.minimum(np.maximum(chosen, first), np.concatenate([first[1:], [len(edges)]]) - 1)
            shares[rows] *= total
            after = self._trie.children[edges[chosen]]
            done = after < 0
            ids[rows[done]] = -1 - after[done]
            parents = np.flatnonzero(~done)
            rows, nodes = rows[parents], after[parents]
        return ids, shares

    def likeliest(self, count: int, excluded: Collection[int]) -> tuple[_Numbers, _Doubles]:
        """Return the `count` likeliest ids that are not excluded, best first, with p of each (count,), (count,).

        The search goes on from the likeliest beginnings, and ends when no beginning left is as likely as what is found.
        """
        nodes, chances, parents = np.zeros(1, np.int64), np.ones(1), np.zeros(1, np.int64)
        states = np.empty((8 * _AT_ONCE, self._hidden.shape[1]), np.float32)  # after each node so far
        states[0], used = self._hidden[0], 1
        ids, found = np.zeros(0, np.int64), np.zeros(0)
        allowed = np.ones(len(self._trie.ranks), bool)
        allowed[list(excluded)] = False
        lowest = 0.0
        while len(nodes):
            later = None
            now, reached, from_ = nodes, chances, parents
            if len(nodes) > _AT_ONCE:
                best = np.argpartition(chances, len(nodes) - _AT_ONCE)
                chosen, later = best[-_AT_ONCE:], best[:-_AT_ONCE]
                now, reached, from_ = nodes[chosen], chances[chosen], parents[chosen]
            after, edges, _, owners, shares = self._branch(now, states, from_)
            if used + len(now) > len(states):
                states = np.concatenate([states, np.empty_like(states)])
            states[used : used + len(now)] = after
            reached = reached[owners] * shares
            likely = np.flatnonzero(reached > lowest)
            reached, children = reached[likely], self._trie.children[edges[likely]]
            leaf = children < 0
            complete, chance = -1 - children[leaf], reached[leaf]
            wanted = allowed[complete]
            ids, found = np.concatenate([ids, complete[wanted]]), np.concatenate([found, chance[wanted]])
            inner = ~leaf
            if len(ids) >= count:
                best = np.argpartition(found, len(found) - count)[-count:]
                ids, found = ids[best], found[best]
                lowest = found.min()
                inner &= reached > lowest
                if later is not None:
                    later = later[chances[later] > lowest]
            follow = children[inner], reached[inner], used + owners[likely[inner]]
            used += len(now)
            if later is None:
                nodes, chances, parents = follow
            else:
                nodes, chances, parents = (
                    np.concatenate([old[later], new])
                    for old, new in zip((nodes, chances, parents), follow, strict=True)
                )
        order = np.argsort(-found, kind="stable")
        return ids[order], found[order]

    def all(self) -> _Floats:
        """Return ln p of every id (ids,)."""
        found = np.empty(len(self._trie.ranks))
        nodes, logs, states, parents = np.zeros(1, np.int64), np.zeros(1), self._hidden, np.zeros(1, np.int64)
        while len(nodes):
            parts = []
            for start in range(0, len(nodes), _BLOCK):
                of = slice(start, start + _BLOCK)
                first, last = parents[of][0], parents[of][-1] + 1  # in order, as nodes are
                hidden, edges, _, owners, shares = self._branch(nodes[of], states[first:last], parents[of] - first)
                reached, children = logs[of][owners] + np.log(shares), self._trie.children[edges]
                leaf = children < 0
                found[-1 - children[leaf]] = reached[leaf]
                parts.append((children[~leaf], reached[~leaf], hidden, start + owners[~leaf]))
            nodes, logs, states, parents = (np.concatenate(column) for column in zip(*parts, strict=True))
        return found.astype(np.float32)

    def _branch(
        self, nodes: _Numbers, states: _Floats, parents: _Numbers
    ) -> tuple[_Floats, _Numbers, _Numbers, _Numbers, _Doubles]:
        """Return the states after nodes (n,), and their edges in order: which, the first of each node, owner, p there.

        `parents` (n,) are rows of `states`, those before the nodes. The owner of an edge is the number of its node
        among `nodes`; the p of the edges of a node add up to 1.
        """
        weights, trie = self._weights, self._trie
        values = weights.known[nodes]
        hidden = states[parents]
        if weights.gru is None:
            values += self._inward
        else:
            width = hidden.shape[1]
            rows, places = _different(parents, len(states))  # children share a state
            before = _product(states[rows], weights.gru[0])
            before += self._bias
            before = before[places]
            gates = values[:, : 2 * width]
            gates += before[:, : 2 * width]
            np.tanh(gates, gates)  # twice a sigmoid, less 1
            gates += 1
            new = before[:, 2 * width :]
            new *= gates[:, :width]
            new += values[:, 2 * width :]
            new += self._input
            np.tanh(new, new)
            hidden -= new
            hidden *= gates[:, width:]
            hidden *= np.float32(0.5)
            hidden += new
            values = hidden + self._inward
        for up, down in weights.layers:
            inner = _product(_normed(values), up)
            gate, value = inner[:, : inner.shape[1] // 2], inner[:, inner.shape[1] // 2 :]
            values = values + _product(gate * (0.5 * np.tanh(0.5 * gate) + 0.5) * value, down)
        starts, counts = trie.edge_starts[nodes], self._branches.degrees[nodes]
        ends = np.cumsum(counts)
        first = ends - counts
        owners = np.repeat(np.arange(len(nodes)), counts)
        edges = np.arange(ends[-1]) + np.repeat(starts - first, counts)
        rows, places = _different(trie.symbols[edges], trie.alphabet)
        logits = _product(_normed(values), torch.from_numpy(weights.out[rows]).T)
        logits += weights.bias[rows]
        scores = np.exp(logits[owners, places], dtype=np.float64)  # no overflow below e^709
        scores *= self._branches.shares[edges]
        if self._gone is not None:
            scores *= self._branches.left_of(edges, ends, *self._gone)
        scores /= np.repeat(np.add.reduceat(scores, first), counts)
        return hidden, edges, first, owners, scores


def _different(numbers: _Numbers, limit: int) -> tuple[_Numbers, _Numbers]:
    """Return the numbers below a limit that occur, in order, and the place of each of `numbers` (n,) among them."""
    there = np.zeros(limit, bool)
    there[numbers] = True
    return np.flatnonzero(there), (np.cumsum(there) - 1)[numbers]


def _product(rows: _Floats, matrix: Tensor) -> _Floats:
    found: _Floats = torch.mm(torch.from_numpy(rows), matrix).numpy()
    return found


def _normed(values: _Floats) -> _Floats:
    mean = np.einsum("nd,nd->n", values, values)[:, None] / np.float32(values.shape[1])
    found: _Floats = values / np.sqrt(mean + _EPSILON)
    return found
