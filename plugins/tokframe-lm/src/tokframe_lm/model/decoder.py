"""DecoderHead: the next id written symbol by symbol along the vocabulary's trie, in place of a softmax over all ids.

Class (if the tokenizer has classes), bytes, end. Where the trie branches, a small network scores the branches; what no
id continues with has no probability, what is left of a branch's mass by counts is added, and so all ids add up to 1:
a hierarchical softmax (Morin and Bengio, 2005) along the bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from attrs import evolve, frozen
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import PackedSequence
from torch.utils.checkpoint import checkpoint

from tokframe import setting
from tokframe.errors import UnsupportedError
from tokframe.plugins.protocols import HasVectors
from tokframe.tokenizer.base import ITokenizer
from tokframe_lm.model.branches import Branches, spread
from tokframe_lm.model.embeddings import Embedding
from tokframe_lm.model.heads import Context, Head, draw
from tokframe_lm.model.trie import RECENT, Trie, paths_of
from tokframe_lm.model.walk import Walk, Weights

__all__ = ["DecoderConfig", "DecoderHead"]

_TABLES = RECENT + 1  # of rows: by the last symbol, by the last two, ..., by all symbols before a node
_PART_TOKENS = 2048  # written at once in training: some 100 MB
_SPREAD = 0.02
_SYMBOL_SPREAD = 0.3  # symbols are the main input of the recurrent core, which begins with larger weights


@frozen(kw_only=True)
class DecoderConfig:
    """Shape of a decoder head."""

    core: str = setting("gru", one_of=("gru", "mlp"))  #: "gru", recurrent, or "mlp", which sees recent symbols only
    width: int = setting(128, at_least=8, at_most=1 << 14)  #: of the core
    layers: int = setting(1, at_least=0, at_most=64)  #: of the MLP; a GRU has one, and `layers` - 1 of an MLP behind it
    classes: bool = True  #: write the class of an id first, where the tokenizer has classes
    table_bits: int = setting(15, at_least=8, at_most=24)  #: each table of rows has up to two to the power of this
    #: rows of symbols and nodes that fewer tokens of the corpus come by share one
    min_count: int = setting(16, at_least=0)


class DecoderHead(Head):
    """A trie with a network that scores branches; see the module."""

    def __init__(self, config: DecoderConfig, *, tokenizer: ITokenizer, embedding: Embedding) -> None:
        super().__init__(config, tokenizer=tokenizer, embedding=embedding)
        self.config = config
        self.trie = trie = Trie.of(paths_of(tokenizer, _classes(tokenizer) if config.classes else None))
        width = config.width
        self.inward = nn.Linear(self.d_model, width, bias=False)
        self.symbols = nn.Embedding(trie.alphabet + 2, width)
        self.out = nn.Linear(width, trie.alphabet)
        self.norm = nn.RMSNorm(width, eps=1e-6)
        nn.init.normal_(self.out.weight, std=_SPREAD)
        nn.init.zeros_(self.out.bias)
        recurrent = config.core == "gru"
        nn.init.normal_(self.symbols.weight, std=_SYMBOL_SPREAD if recurrent else _SPREAD)
        if recurrent:
            self.start = nn.Linear(self.d_model, width, bias=False)
            self.gru = nn.GRU(width, width)
        layers = config.layers - recurrent
        self.layers = nn.ModuleList(_Layer(width) for _ in range(layers))
        self._slots = _slots(trie, config.table_bits)
        self.register_buffer("row_numbers", torch.zeros(len(trie.hashes), _TABLES, dtype=torch.int64), persistent=False)
        self.hashed = nn.Parameter(torch.zeros(1, width))
        self._arrays: tuple[list[tuple[nn.Parameter, tuple[int, int]]], Weights] | None = None
        self.prepare(torch.zeros(self.vocab_size))

    row_numbers: Tensor

    def train(self, mode: bool = True) -> DecoderHead:
        """Begin or end training; fused optimizers change weights without counting a version (see `_weights`)."""
        self._arrays = None
        return super().train(mode)

    def prepare(self, counts: Tensor) -> None:
        """Set the masses of branches, and give a row to what enough tokens of the training text come by."""
        known = counts.double().cpu().numpy()
        self.branches = Branches(self.trie, known)
        self._symbols_per_token = float(known @ np.diff(self.trie.starts) / max(known.sum(), 1))
        passing = np.bincount(self.trie.nodes, np.repeat(known, np.diff(self.trie.starts)), len(self.trie.hashes))
        seen = np.bincount(self._slots.ravel(), np.repeat(passing, _TABLES))
        kept = np.flatnonzero(seen >= max(self.config.min_count, 1))
        numbers = np.zeros(len(seen), np.int64)  # row 0 is that of all others
        numbers[kept] = 1 + np.arange(len(kept))
        self._kept = kept
        self.row_numbers = torch.from_numpy(numbers[self._slots]).to(self.hashed.device)
        self.hashed = nn.Parameter(self.hashed.new_zeros(1 + len(kept), self.config.width))
        self._arrays = None

    def nll(self, states: Tensor, targets: Tensor, context: Context) -> Tensor:
        """Return -ln p of targets in nats: (rows, d_model), (rows,) -> (rows,)."""
        trie, device = self.trie, states.device
        wanted = targets.cpu().numpy()
        places, owners = spread(trie.starts[wanted], trie.starts[wanted + 1])
        nodes, edges = trie.nodes[places], trie.edges[places]
        different, which = np.unique(nodes, return_inverse=True)

        def there(array: npt.NDArray[Any]) -> Tensor:
            return torch.from_numpy(array).to(device)

        owner, node = there(owners), there(which)
        inward = functional.embedding(owner, self.inward(states))
        inputs = functional.embedding(node, self._known(there(different))) + inward
        if self.config.core == "gru":
            inputs = self._recurrent(inputs, self.start(states), places - trie.starts[wanted][owners], owners) + inward
        logits = self._scores(inputs)
        shares = np.full((len(different), trie.alphabet), -np.inf, np.float32)
        all_edges, rows = spread(trie.edge_starts[different], trie.edge_starts[different + 1])
        shares[rows, trie.symbols[all_edges]] = self.branches.logs[all_edges]
        logits += there(shares)[node]  # in place, as all below: these are the largest arrays of a step
        if context.impossible is not None:
            row, edge, left = self.branches.left(context.impossible, context.before.cpu().numpy(), owners, nodes)
            logits.index_put_((there(row), there(trie.symbols[edge])), there(left), accumulate=True)
        nats = functional.cross_entropy(logits, there(trie.symbols[edges]), reduction="none")
        return nats.new_zeros(len(targets)).index_add(0, owner, nats)

    def loss(self, states: Tensor, targets: Tensor, context: Context, precision: torch.dtype) -> Tensor:
        """Return the mean of `nll`, in parts that are computed again for their gradient where a batch is large."""
        if len(targets) <= _PART_TOKENS:
            return self.nll(states, targets, context).mean()
        parts = [
            checkpoint(self.nll, part, wanted, evolve(context, before=before), use_reentrant=False).sum()
            for part, wanted, before in zip(
                *(torch.split(rows, _PART_TOKENS) for rows in (states, targets, context.before)), strict=True
            )
        ]
        return torch.stack(parts).sum() / len(targets)

    def logits(self, states: Tensor, context: Context) -> Tensor:
        """Return ln p of every id, by a walk of the whole trie for each row: (rows, d_model) -> (rows, ids)."""
        found = np.stack([self._walk(state, context, row).all() for row, state in enumerate(states)])
        return torch.from_numpy(found).to(states.device)

    def likeliest_logits(self, states: Tensor, context: Context, count: int) -> Tensor:
        """Return `logits` of the `count` likeliest ids after each row, -inf for the others, by `Walk.likeliest`."""
        found = np.full((len(states), self.vocab_size), -np.inf, np.float32)
        for row, state in enumerate(states):
            ids, chances = self._walk(state, context, row).likeliest(count, ())
            found[row, ids] = np.log(chances)
        return torch.from_numpy(found).to(states.device)

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
        """Draw an id as `Head.sample` says; the trie is walked only as far as the likeliest ids need.

        Above temperature 1 without `top_k` all ids are scored.
        """
        forbidden = frozenset(() if excluded is None else excluded.tolist())
        token = None
        if top_k or temperature == 0:
            ids, chances = self._walk(state, context, 0).likeliest(top_k if temperature else 1, forbidden)
            if len(ids):
                drawn = draw(
                    torch.from_numpy(chances).log(),
                    temperature=temperature,
                    accepts=None if accepts is None else lambda place: accepts(int(ids[place])),
                    generator=generator,
                )
                return None if drawn is None else int(ids[drawn])
        elif temperature <= 1:
            random = np.random.default_rng(int(torch.randint(2**62, (), generator=generator)))
            token = self._walk(state, context, 0).draw(
                temperature,
                lambda token: token not in forbidden and (accepts is None or accepts(token)),
                random.random,
            )
        if token is None:
            token = super().sample(
                state,
                context,
                temperature=temperature,
                top_k=top_k,
                excluded=excluded,
                accepts=accepts,
                generator=generator,
            )
        return token

    @torch.no_grad()
    def take(self, other: Head) -> None:
        """Begin with the weights of another decoder; rows go to the same symbols and beginnings."""
        super().take(other)
        if isinstance(other, DecoderHead) and other.config == self.config:
            _, mine, theirs = np.intersect1d(self._kept, other._kept, return_indices=True)
            self.hashed.zero_()
            self.hashed[0] = other.hashed[0]
            self.hashed[1 + mine] = other.hashed[1 + theirs]

    def rows(self) -> Iterable[nn.Parameter]:
        """Return the hashed rows."""
        return (self.hashed,)

    def parameters_per_token(self) -> float:
        """Return the parameters used per vector, and those used per symbol times the symbols of an average token."""
        width = self.config.width
        recurrent = self.config.core == "gru"
        per_symbol = width * self.trie.alphabet + recurrent * 6 * width * width
        per_symbol += sum(p.numel() for p in self.layers.parameters())
        return (1 + recurrent) * self.d_model * width + per_symbol * self._symbols_per_token

    def _known(self, nodes: Tensor) -> Tensor:
        """Return what the symbols before nodes (n,) say: (n, width)."""
        last = torch.from_numpy(self.trie.recent[nodes.cpu().numpy(), 0]).to(nodes.device)
        rows = functional.embedding_bag(self.row_numbers[nodes], self.hashed, mode="sum")
        found: Tensor = self.symbols(last) + rows
        return found

    def _recurrent(self, inputs: Tensor, starts: Tensor, places: npt.NDArray[Any], owners: npt.NDArray[Any]) -> Tensor:
        """Return the GRU's states (symbols, width); symbols are at `places` of the ids of `owners`."""
        lengths = np.bincount(owners, minlength=len(starts))
        order = np.argsort(-lengths, kind="stable")  # the longest first, as packed sequences are
        rank = np.empty_like(order)
        rank[order] = np.arange(len(order))
        packed = np.argsort(places * len(order) + rank[owners])
        sizes = torch.from_numpy(np.bincount(places))
        to = torch.from_numpy(packed).to(inputs.device)
        first = torch.tanh(starts)[torch.from_numpy(order).to(inputs.device)]
        states, _ = self.gru(PackedSequence(inputs[to], sizes), first[None])
        found: Tensor = torch.empty_like(inputs).index_copy(0, to, states.data)
        return found

    def _scores(self, states: Tensor) -> Tensor:
        for layer in self._layers():
            states = states + layer(states)
        found: Tensor = self.out(self.norm(states))
        return found

    def _layers(self) -> list[_Layer]:
        return list(self.layers)  # type: ignore[arg-type]  # all are

    def _walk(self, state: Tensor, context: Context, row: int) -> Walk:
        before = int(context.before.reshape(-1)[row])
        return Walk(self.branches, self._weights(), _array(state.float()), context.impossible, before)

    def _weights(self) -> Weights:
        """Return the parameters as arrays, made again where a parameter was changed."""
        if self._arrays is None or any(found != (p.data_ptr(), p._version) for p, found in self._arrays[0]):
            known = _array(self._known(torch.arange(len(self.trie.hashes), device=self.hashed.device)))
            gates = start = gru = None
            if self.config.core == "gru":
                gates, hidden, bias, hidden_bias = (_array(weight) for weight in self.gru.parameters())
                halved = np.repeat(np.asarray([0.5, 0.5, 1], np.float32), self.config.width)  # see Weights
                gates, start = gates * halved[:, None], _array(self.start.weight)
                known = known @ gates.T + bias * halved
                gru = (torch.from_numpy(hidden.T * np.float32(0.5)), hidden_bias * np.float32(0.5))
            weights = Weights(
                known=known,
                inward=_array(self.inward.weight),
                start=start,
                gates=gates,
                gru=gru,
                layers=[
                    ((one.up.weight * one.norm.weight).detach().cpu().T, one.down.weight.detach().cpu().T)
                    for one in self._layers()
                ],
                out=_array(self.out.weight * self.norm.weight),
                bias=_array(self.out.bias),
            )
            self._arrays = [(p, (p.data_ptr(), p._version)) for p in self.parameters()], weights
        return self._arrays[1]


class _Layer(nn.Module):
    """A feed-forward layer as Llama has it, with a norm before it."""

    def __init__(self, width: int) -> None:
        super().__init__()
        inner = width * 8 // 3 // 8 * 8
        self.norm = nn.RMSNorm(width, eps=1e-6)
        self.up, self.down = nn.Linear(width, 2 * inner, bias=False), nn.Linear(inner, width, bias=False)

    def forward(self, states: Tensor) -> Tensor:
        gate, value = self.up(self.norm(states)).chunk(2, -1)
        found: Tensor = self.down(functional.silu(gate) * value)
        return found


def _array(tensor: Tensor) -> npt.NDArray[Any]:
    return tensor.detach().cpu().numpy()


def _slots(trie: Trie, bits: int) -> npt.NDArray[np.int64]:
    """Return the place of each node in each table of rows, by hashes: (nodes, _TABLES); tables lie side by side."""
    size = 1 << bits
    hashes, found = np.zeros(len(trie.hashes), np.uint64), []
    for back in range(RECENT):
        hashes = (hashes ^ (trie.recent[:, back] + 1).astype(np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
        hashes ^= hashes >> np.uint64(29)
        found.append(hashes)
    return np.stack([(h >> np.uint64(8)) % np.uint64(size) for h in [*found, trie.hashes]], 1).astype(
        np.int64
    ) + size * np.arange(_TABLES)


def _classes(tokenizer: ITokenizer) -> npt.NDArray[Any] | None:
    """Return the class of each id (ids,), None where a tokenizer has none."""
    if not isinstance(tokenizer, HasVectors):
        return None
    try:
        return tokenizer.classes()
    except UnsupportedError:  # one of its kind that was trained without
        return None
