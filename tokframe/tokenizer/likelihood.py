"""Likelihood: the probability of text by a model of ids, exact at any byte. The model is a function that is given.

The probability that a text begins with `x` is a sum over the few ways in which the ids of a longer text may pass the
end of `x` (`Prompt.covers`): that of the ids of each, times the mass of the next ids that agree with the rest. See
Vieira et al., 2024, "From language models over tokens to language models over characters".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

import numpy as np
import numpy.typing as npt
from attrs import define, field, frozen

from tokframe.errors import EncodingError
from tokframe.tokenizer.base import ITokenizer, utf8
from tokframe.tokenizer.display import Result
from tokframe.tokenizer.inputs import in_order
from tokframe.tokenizer.prompts import Prompt
from tokframe.tokenizer.results import IntArray

__all__ = ["Likelihood", "Logits", "OpenEnd", "Path", "conditional", "loglikelihoods"]

Floats = npt.NDArray[np.floating]
#: Ids after those of a prompt that stay.
Path = tuple[int, ...]
#: Ids (rows, tokens), padded on the right, a row and a place in it for each question -> the logits of the ids that may
#: come after each place, as (questions, ids). Columns beyond the vocabulary are not used.
Logits = Callable[[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]], Floats]

_PAIRS_AT_ONCE = 32
_ROWS_AT_ONCE = 16
_LOGITS_AT_ONCE = 1 << 25


@frozen(kw_only=True, repr=False)
class Likelihood(Result):
    """`value`: the log-probability in nats that a text goes on so; `greedy`: whether the likeliest ids write that."""

    value: float
    greedy: bool

    def __repr__(self) -> str:
        return f"<Likelihood {self.value:.4f} nats{', greedy' if self.greedy else ''}>"


@define(eq=False)
class _Question:
    """After which place of a row log-probabilities are wanted, who takes them, and which ids cannot come there."""

    place: int
    take: Callable[[Floats], None]
    never: IntArray | None = None


@define(eq=False)
class _Node:
    """Ids that some ways have in common: which ids go beyond the end of the text from here, or go on to other nodes."""

    beyond: npt.NDArray[np.int64]
    whole: bool = False  #: these ids spell all of the text
    children: dict[int, _Node] = field(factory=dict)
    log_probs: Floats = field(factory=lambda: np.empty(0))  #: of children, then of `beyond`
    best: int = -1
    best_value: float = -np.inf
    mass: float = -np.inf  #: log-probability of all ways from here

    def take(self, log_probs: Floats) -> None:
        """Take the log-probabilities (ids,) after this node."""
        self.best = int(log_probs.argmax())
        self.best_value = float(log_probs[self.best])
        self.log_probs = log_probs[[*self.children, *self.beyond.tolist()]]


class OpenEnd:
    """The ways in which a text may end, as a tree: a node is the ids after `prompt.ids` that some ways begin with."""

    def __init__(self, prompt: Prompt) -> None:
        self.prompt = prompt
        self.nodes: dict[Path, _Node] = {}
        for ids, rest in prompt.covers():
            for size in range(len(ids) + 1):
                path = tuple(ids[:size])
                if path not in self.nodes:
                    self.nodes[path] = _Node(np.empty(0, np.int64))
                    if size:
                        self.nodes[path[:-1]].children[path[-1]] = self.nodes[path]
            node = self.nodes[tuple(ids)]
            node.whole = not rest
            node.beyond = prompt.beyond(rest) if rest else node.beyond

    def weigh(
        self,
        tokenizer: ITokenizer,
        logits: Logits,
        *,
        head: Sequence[int],
        context: int,
        without: Iterable[int] = (),
        never: Callable[[Sequence[int]], IntArray] | None = None,
    ) -> dict[Path, tuple[float, Floats]]:
        """Return how likely each node is after `prompt.ids`, and the log-probabilities (ids,) of ids after it, in nats.

        An id that no text has there (`never`, by default `ITokenizer.never_next`) or that is in `without` has no part
        in them. From a node that does not spell all of the text only those of ids that go beyond its end are finite, so
        that sums of both numbers are the log-probabilities of all that may come next. Each `mass` becomes that of all
        ways from its node. `head` is what the model reads before the ids of the prompt.
        """
        never = tokenizer.never_next if never is None else never
        kept: dict[Path, Floats] = {}
        rows = list(self.rows(head, kept.__setitem__))
        for ids, questions in rows:
            for question in questions:
                question.never = np.union1d(never(ids[len(head) : question.place + 1]), [*without]).astype(np.int32)
        _ask(rows, logits, context=context, size=tokenizer.vocab_size)
        found: dict[Path, tuple[float, Floats]] = {}
        for path, node in self._from_root():
            node.take(kept[path])
            before = found[path[:-1]][0] + float(kept[path[:-1]][path[-1]]) if path else 0.0
            next_ids = kept[path]
            if not node.whole:
                next_ids = np.full_like(next_ids, -np.inf)
                next_ids[node.beyond] = kept[path][node.beyond]
            found[path] = before, next_ids
        self.settle()
        return found

    def rows(
        self, head: Sequence[int], take: Callable[[Path, Floats], None] | None = None
    ) -> Iterator[tuple[list[int], list[_Question]]]:
        """Yield the ids of each longest way behind `head`, and what to ask of each node that no other has asked of."""
        asked: set[Path] = set()
        first = len(head) + len(self.prompt.ids) - 1
        for leaf in (path for path, node in self.nodes.items() if not node.children):
            nodes = [path for size in range(len(leaf) + 1) if (path := leaf[:size]) not in asked]
            asked.update(nodes)
            takers = [self.nodes[path].take if take is None else partial(take, path) for path in nodes]
            questions = [_Question(first + len(path), taker) for path, taker in zip(nodes, takers, strict=True)]
            yield [*head, *self.prompt.ids, *leaf], questions

    def settle(self) -> None:
        """Find the mass of each node from what the model answered."""
        for _, node in reversed(self._from_root()):
            parts = node.log_probs.copy()
            parts[: len(node.children)] += [child.mass for child in node.children.values()]
            node.mass = _log_sum([*parts, 0.0] if node.whole else parts)

    def _from_root(self) -> list[tuple[Path, _Node]]:
        return sorted(self.nodes.items(), key=lambda item: len(item[0]))


def loglikelihoods(
    tokenizer: ITokenizer, pairs: Iterable[tuple[str, str]], logits: Logits, *, start: int, context: int
) -> list[Likelihood]:
    """Return how likely it is that a text that begins with `context` goes on with `continuation`, for pairs of them.

    A text begins with the id `start`, and that of (a, b) and of ("", a) add up to that of ("", a + b). Ids are read in
    windows of `context` that overlap by half: each is predicted from at least half a context before it, where there
    is so much. Where ids do not spell the text, only its own ids count. Raises: EncodingError.
    """
    found: list[Likelihood] = []
    checked = list(_checked(pairs))
    for at in range(0, len(checked), _PAIRS_AT_ONCE):
        part = checked[at : at + _PAIRS_AT_ONCE]
        ends: dict[str, OpenEnd] = {}
        for before, after in part:
            for text in (before, before + after):
                if text not in ends:
                    ends[text] = OpenEnd(tokenizer.prompt(text, add_special=False))
        rows: list[tuple[list[int], list[_Question]]] = []
        for end in ends.values():
            rows += end.rows([start])
        chains = [_Chain(ends[before], ends[before + after]) for before, after in part]
        rows += [([start, *chain.after.prompt.ids], chain.questions()) for chain in chains]
        _ask(rows, logits, context=context, size=tokenizer.vocab_size)
        for end in ends.values():
            end.settle()
        for (before, after), chain in zip(part, chains, strict=True):
            found.append(chain.likelihood(tokenizer, utf8(before + after)))
    return found


def conditional(rows: Sequence[tuple[Sequence[int], Sequence[int]]], logits: Logits, *, size: int) -> list[float]:
    """Return the log-probability of each row's second ids after its first, of which there is at least one.

    `size` is that of the vocabulary. A row is read as it is: it is at most as long as the model's context.
    """
    nodes = [[_Node(np.asarray([token])) for token in after] for _, after in rows]
    asked = [
        ([*before, *after], [_Question(len(before) - 1 + number, node.take) for number, node in enumerate(of_row)])
        for (before, after), of_row in zip(rows, nodes, strict=True)
    ]
    _ask(asked, logits, context=max((len(row) for row, _ in asked), default=1), size=size)
    return [sum(float(node.log_probs[0]) for node in of_row) for of_row in nodes]


class _Chain:
    """The ids that stay in a longer text and not yet in its beginning, and how likely each of them is."""

    def __init__(self, before: OpenEnd, after: OpenEnd) -> None:
        self.before, self.after = before, after
        self.first = len(before.prompt.ids)
        self.nodes = [_Node(np.asarray([token])) for token in after.prompt.ids[self.first :]]

    def questions(self) -> list[_Question]:
        return [_Question(self.first + number, node.take) for number, node in enumerate(self.nodes)]

    def likelihood(self, tokenizer: ITokenizer, data: bytes) -> Likelihood:
        masses = self.before.nodes[()].mass, self.after.nodes[()].mass
        value = sum(float(node.log_probs[0]) for node in self.nodes) + masses[1] - masses[0]
        return Likelihood(value=value if masses[0] > -np.inf else -np.inf, greedy=self._greedy(tokenizer, data))

    def _greedy(self, tokenizer: ITokenizer, data: bytes) -> bool:
        """Whether the likeliest ids after the beginning, which may begin before its end, spell the whole text."""
        candidates: list[tuple[float, Path]] = []
        likely: dict[Path, float] = {(): 0.0}
        for path, node in sorted(self.before.nodes.items(), key=lambda item: len(item[0])):
            for child, value in zip(node.children, node.log_probs.tolist(), strict=False):
                likely[*path, child] = likely[path] + value
            beyond = node.log_probs[len(node.children) :]
            if node.whole:
                candidates.append((likely[path] + node.best_value, (*path, node.best)))
            elif len(beyond):
                best = int(beyond.argmax())
                candidates.append((likely[path] + float(beyond[best]), (*path, int(node.beyond[best]))))
        ids, fixed = [*self.before.prompt.ids, *max(candidates)[1]], self.after.prompt.ids
        written = tokenizer.decode_raw(np.asarray(ids, np.int32))
        while len(written) < len(data) and data.startswith(written):
            here = self.after.nodes.get(tuple(ids[len(fixed) :])) if ids[: len(fixed)] == fixed else None
            if len(ids) < len(fixed) and ids == fixed[: len(ids)]:
                here = self.nodes[len(ids) - self.first]
            if here is None:
                return False
            ids.append(here.best)
            written += tokenizer.token_bytes(here.best)
        return written.startswith(data)


def _checked(pairs: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    for pair in in_order(pairs, "pairs (context, continuation)", "; for one there is loglikelihood"):
        match pair:
            case (str() as before, str() as after):
                yield before, after
            case _:
                raise EncodingError(f"expected a pair (context, continuation) of str, got {pair!r:.60}")


def _ask(rows: Sequence[tuple[list[int], list[_Question]]], logits: Logits, *, context: int, size: int) -> None:
    """Put questions to a model, those after a place by what of the row stands in the window that predicts it."""
    windows: dict[tuple[int, ...], list[tuple[int, _Question]]] = {}
    for row, questions in rows:
        parts: dict[int, list[tuple[int, _Question]]] = {}
        for question in questions:
            parts.setdefault(_window(question.place, context), []).append((question.place, question))
        for first, asked in parts.items():
            ids = tuple(row[first : max(place for place, _ in asked) + 1])
            windows.setdefault(ids, []).extend((place - first, question) for place, question in asked)
    ordered = sorted(windows.items(), key=lambda item: len(item[0]))
    while ordered:
        batch: list[tuple[tuple[int, ...], list[tuple[int, _Question]]]] = []
        asked_in_all = 0
        while ordered and len(batch) < _ROWS_AT_ONCE:
            asked_in_all += len(ordered[-1][1])
            if batch and asked_in_all * size > _LOGITS_AT_ONCE:
                break
            batch.append(ordered.pop())
        width = len(batch[0][0])
        ids_of = np.asarray([[*ids, *[0] * (width - len(ids))] for ids, _ in batch], np.int64)
        asked_of = [(row, place, question) for row, (_, asked) in enumerate(batch) for place, question in asked]
        at = np.asarray([(row, place) for row, place, _ in asked_of], np.int64).reshape(-1, 2)
        found = logits(ids_of, at[:, 0], at[:, 1])
        for answer, (_, _, question) in zip(found, asked_of, strict=True):
            question.take(_log_softmax(answer[:size], question.never))


def _window(place: int, context: int) -> int:
    """Return where the window begins that predicts what comes after a place: the first, or one half a context on."""
    stride = max(1, context // 2)
    return 0 if place < context else -(-(place + 1 - context) // stride) * stride


def _log_softmax(logits: Floats, never: IntArray | None) -> Floats:
    values = logits.astype(np.float64)
    if never is not None:
        values[never] = -np.inf
    return values - _log_sum(values)


def _log_sum(values: Sequence[float] | Floats) -> float:
    array = np.asarray(values, np.float64)
    top = array.max(initial=-np.inf)
    return float(top) if np.isinf(top) else float(top + np.log(np.exp(array - top).sum()))
