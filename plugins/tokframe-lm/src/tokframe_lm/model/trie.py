"""Trie: every id as the choices that lead to it, symbol by symbol, along the trie of a vocabulary's byte strings.

Symbols with no alternative are left out: only nodes where the vocabulary branches are numbered. How likely a branch is,
is left to `decoder`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from attrs import frozen

from tokframe.errors import UnsupportedError
from tokframe.tokenizer.base import ITokenizer

__all__ = ["RECENT", "Trie", "paths_of"]

_END, _UNSPELLED, _FIRST_CLASS = 256, 257, 258  # symbols beside the 256 bytes
RECENT = 4  #: symbols before a node that are kept
_MIX = np.uint64(0x9E3779B97F4A7C15)  # Fibonacci hashing (Knuth)

_Numbers = npt.NDArray[np.int64]


def paths_of(tokenizer: ITokenizer, classes: npt.NDArray[Any] | None = None) -> list[list[int]]:
    """Return the symbols that write each id: its class, where `classes` (ids,) has one (not -1), bytes, and an end.

    A special token, and an id that another one of the same bytes and class stands for, is written as a number behind a
    symbol of its own. Raises: UnsupportedError for an id that is neither text nor a special token.
    """
    textless = tokenizer.textless_ids
    spelled: dict[tuple[int, bytes], int] = {}
    for token in range(tokenizer.vocab_size):
        if token in textless:
            continue
        try:
            text = tokenizer.token_bytes(token)
        except UnsupportedError as error:
            raise _unspelled(tokenizer, token) from error
        if not text:
            raise _unspelled(tokenizer, token)
        spelled[-1 if classes is None else int(classes[token]), text] = token  # of twins the last one is spelled
    found: list[list[int]] = [[] for _ in range(tokenizer.vocab_size)]
    for (group, text), token in spelled.items():
        found[token] = [*([_FIRST_CLASS + group] if group >= 0 else ()), *text, _END]
    rest = [token for token, path in enumerate(found) if not path]
    digits = max(1, -(-(len(rest) - 1).bit_length() // 8)) if rest else 0
    for number, token in enumerate(rest):
        found[token] = [_UNSPELLED, *number.to_bytes(digits, "big")]
    return found


def _unspelled(tokenizer: ITokenizer, token: int) -> UnsupportedError:
    return UnsupportedError(
        f"id {token} of {tokenizer.name or type(tokenizer).__name__!r} has no bytes and is no special token, so a "
        'decoder cannot write it. Use {"head": "softmax"} in the config',
        capability="token_bytes",
    )


@frozen(kw_only=True, eq=False)
class Trie:
    """Choices of ids, in order from the root: id `i` has `starts[i]` to `starts[i + 1]` of `nodes` and `edges`.

    `nodes` and `edges` (choices,) say where the trie branches and which branch is taken. Node `n` has the edges
    `edge_starts[n]` to `edge_starts[n + 1]`: `symbols` (edges,) that are written, and `children`, the next node or, as
    `-1 - id`, the id that is then complete. The root is node 0.

    `recent` (nodes, RECENT) are the symbols before a node, the last one first; `hashes` (nodes,) of all before it.
    Ids in the order of their paths have the rank `ranks` (ids,); an edge holds ranks `lows` to `highs` (edges,).
    `alphabet` is the number of symbols; two more stand in `recent` for what is before the first.
    """

    alphabet: int
    starts: _Numbers
    nodes: _Numbers
    edges: _Numbers
    edge_starts: _Numbers
    symbols: _Numbers
    children: _Numbers
    recent: _Numbers
    hashes: npt.NDArray[np.uint64]
    ranks: _Numbers
    lows: _Numbers
    highs: _Numbers

    @classmethod
    def of(cls, paths: Sequence[Sequence[int]]) -> Trie:
        """Build from the path of each id; no path is the beginning of another."""
        count = len(paths)
        coded = [np.asarray(path, ">u2").tobytes() for path in paths]
        order = np.asarray(sorted(range(count), key=coded.__getitem__), np.int64)
        lengths = np.asarray([len(paths[token]) for token in order])
        table = np.full((count, int(lengths.max())), -1, np.int32)  # paths in order
        table[np.arange(table.shape[1]) < lengths[:, None]] = np.frombuffer(b"".join(coded[t] for t in order), ">u2")
        alphabet = max(_FIRST_CLASS, int(table.max()) + 1)
        shared = np.zeros(count, np.int64)  # symbols that a path begins with like the one before it
        same = np.ones(count - 1, bool)
        for column in table.T:
            same &= column[1:] == column[:-1]
            shared[1:] += same
        shared[0] = -1
        parts: dict[str, list[Any]] = defaultdict(list)  # one array of each depth
        node_count = edge_count = 0
        hashed = np.zeros(count, np.uint64)  # of what a path begins with, up to the depth
        for depth, column in enumerate(table.T):
            alive = lengths > depth
            begins = np.flatnonzero(shared < depth)  # rows of different beginnings
            group = np.repeat(np.arange(len(begins)), np.diff(begins, append=count))
            heads = alive & (shared <= depth)  # first rows of edges
            branching = np.bincount(group[heads], minlength=len(begins)) > 1
            chosen = alive & branching[group]
            heads &= chosen
            places, borders = np.flatnonzero(heads), np.append(np.flatnonzero(shared <= depth), count)
            begins = begins[branching]
            before = [table[begins, depth - 1 - back] if back < depth else None for back in range(RECENT)]
            outside = [np.full(len(begins), alphabet + (back > depth)) for back in range(RECENT)]
            depth_parts = {
                "rows": np.flatnonzero(chosen),
                "nodes": (np.cumsum(branching) - 1 + node_count)[group[chosen]],
                "edges": np.cumsum(heads)[chosen] - 1 + edge_count,
                "degrees": np.bincount(group[heads], minlength=len(branching))[branching],
                "recent": np.stack([o if b is None else b for b, o in zip(before, outside, strict=True)], 1),
                "hashes": hashed[begins],
                "symbols": column[places],
                "lows": places,
                "highs": borders[np.searchsorted(borders, places) + 1],
            }
            for name, part in depth_parts.items():
                parts[name].append(part)
            node_count, edge_count = node_count + len(begins), edge_count + len(places)
            hashed = (hashed ^ (column + 2).astype(np.uint64)) * _MIX
            hashed ^= hashed >> np.uint64(29)
        found = {name: np.concatenate(part) for name, part in parts.items()}
        rows = found.pop("rows")
        by_row = np.argsort(rows, kind="stable")  # depths stay in order
        rows, nodes, edges = rows[by_row], found["nodes"][by_row], found["edges"][by_row]
        last = np.append(rows[1:] != rows[:-1], True)
        children = np.zeros(edge_count, np.int64)
        # ids that share an edge all come to the same node behind it
        children[edges] = np.where(last, -1 - order[rows], np.append(nodes[1:], 0))
        by_id = np.argsort(order[rows], kind="stable")
        ranks = np.empty(count, np.int64)
        ranks[order] = np.arange(count)
        return cls(
            alphabet=alphabet,
            starts=np.cumsum([0, *np.bincount(order[rows], minlength=count)]),
            nodes=nodes[by_id],
            edges=edges[by_id],
            edge_starts=np.cumsum([0, *found["degrees"]]),
            children=children,
            ranks=ranks,
            **{name: found[name].astype(np.int64) for name in ("symbols", "recent", "lows", "highs")},
            hashes=found["hashes"],
        )
