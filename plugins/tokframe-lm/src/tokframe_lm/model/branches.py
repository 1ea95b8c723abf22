"""Branches: how likely each branch of a trie is by the counts of ids alone, and what is left of it after an id."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tokframe_lm.model.canonical import Impossible
from tokframe_lm.model.trie import Trie

__all__ = ["Branches", "spread"]

_LEAST_SHARE = np.exp(-10.0)  #: of a branch where nothing can follow; finite, as for `canonical.penalize`
_KEPT_RANKS = 2**25  # of impossible ids, kept for reuse: 128 MB

_Doubles = npt.NDArray[np.float64]
_Numbers = npt.NDArray[np.int64]


class Branches:
    """The mass of the edges of a trie: one more than the `counts` (ids,) of all ids behind them.

    `shares` (edges,) are those of the node's mass, `logs` their logarithms in float32; `degrees` (nodes,) count edges.
    """

    def __init__(self, trie: Trie, counts: npt.NDArray[Any]) -> None:
        self.trie = trie
        self._mass = np.empty(len(trie.ranks))
        self._mass[trie.ranks] = np.asarray(counts, np.float64) + 1.0  # Laplace's rule
        below = np.concatenate([[0.0], np.cumsum(self._mass)])
        self.edge_mass = below[trie.highs] - below[trie.lows]
        self.degrees = np.diff(trie.edge_starts)
        node_mass = np.add.reduceat(self.edge_mass, trie.edge_starts[:-1])
        self.shares = self.edge_mass / np.repeat(node_mass, self.degrees)
        self.logs = np.log(self.shares).astype(np.float32)
        # in the type of the ranks they are looked up in, which would be converted at each search otherwise
        self._lows, self._highs = trie.lows.astype(np.int32), trie.highs.astype(np.int32)
        self._kept: dict[bytes, npt.NDArray[np.int32]] = {}
        self._source: Impossible | None = None
        self._size = 0

    def left(
        self, impossible: Impossible, before: _Numbers, owners: _Numbers, nodes: _Numbers
    ) -> tuple[_Numbers, _Numbers, npt.NDArray[np.float32]]:
        """Return what impossible ids leave: row and edge of each edge that loses mass, and the log of the share left.

        `before` (tokens,) are the ids that the tokens stand behind; rows are nodes (rows,) on the paths of `owners`
        (rows,), numbers of tokens.
        """
        trie, count = self.trie, len(self.trie.ranks)
        different, group = np.unique(before, return_inverse=True)
        lists = [self._ranks(impossible, token) for token in different.tolist()]
        sizes = np.asarray([len(ranks) for ranks in lists])
        gone = np.concatenate(lists) if lists else np.zeros(0, np.int32)
        keys = gone + np.repeat(np.arange(len(lists)) * count, sizes)
        below = np.concatenate([[0.0], np.cumsum(self._mass[gone])])
        starts, ends = trie.edge_starts[nodes], trie.edge_starts[nodes + 1]
        base = group[owners] * count
        first = np.searchsorted(keys, base + trie.lows[starts])
        last = np.searchsorted(keys, base + trie.highs[ends - 1])
        rows = np.flatnonzero(last > first)
        edges, owner = spread(starts[rows], ends[rows])
        place = np.searchsorted(keys, base[rows][owner] + trie.lows[edges])
        behind = np.append(place[1:], 0)  # edges of a node hold ranks side by side
        behind[np.cumsum(ends[rows] - starts[rows]) - 1] = last[rows]
        lost = below[behind] - below[place]
        some = lost > 0
        edges = edges[some]
        return rows[owner[some]], edges, np.log(_left(lost[some] / self.edge_mass[edges])).astype(np.float32)

    def gone(self, impossible: Impossible, before: int) -> tuple[npt.NDArray[np.int32], _Doubles] | None:
        """Return the ranks of the ids that cannot follow an id, in order, and the mass below each and of all."""
        ranks = self._ranks(impossible, before)
        return (ranks, np.concatenate([[0.0], np.cumsum(self._mass[ranks])])) if len(ranks) else None

    def left_of(self, edges: _Numbers, ends: _Numbers, ranks: npt.NDArray[np.int32], below: _Doubles) -> _Doubles:
        """Return the share of each edge (edges,) that is left after one id, given what `gone` returns.

        The edges are those of whole nodes, in order; `ends` (nodes,) say where each node's end.
        """
        first = below[np.searchsorted(ranks, self._lows[edges])]
        behind = np.append(first[1:], 0.0)  # edges of a node hold ranks side by side
        last = ends - 1
        behind[last] = below[np.searchsorted(ranks, self._highs[edges[last]])]
        return _left((behind - first) / self.edge_mass[edges])

    def _ranks(self, impossible: Impossible, token: int) -> npt.NDArray[np.int32]:
        """Return the ranks of the ids that cannot follow a token, in order."""
        if self._source is not impossible or self._size > _KEPT_RANKS:
            self._kept, self._source, self._size = {}, impossible, 0
        key = impossible.list_key(token)
        if key not in self._kept:
            found = np.unique(self.trie.ranks[impossible.pairs.after(token)]).astype(np.int32)
            self._kept[key] = found
            self._size += len(found)
        return self._kept[key]


def _left(lost: _Doubles) -> _Doubles:
    found: _Doubles = np.maximum(1.0 - lost, _LEAST_SHARE)
    return found


def spread(starts: _Numbers, stops: _Numbers) -> tuple[_Numbers, _Numbers]:
    """Return the numbers from each start to its stop, concatenated, and which start each belongs to."""
    lengths = stops - starts
    owners = np.repeat(np.arange(len(lengths)), lengths)
    return np.arange(len(owners)) + (starts - np.cumsum(lengths) + lengths)[owners], owners
