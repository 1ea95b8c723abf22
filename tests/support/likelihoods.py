"""A distribution over all short texts, and the model of ids that it is: what scores and prompts are compared with."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict

import numpy as np

END = 3


class TextModel:
    """All texts of up to so many characters of an alphabet, with probabilities; `logits` are those of their ids."""

    def __init__(self, tokenizer, alphabet, length, seed=0):
        self.tokenizer = tokenizer
        self.start = 2
        texts = ["".join(letters) for size in range(length + 1) for letters in itertools.product(alphabet, repeat=size)]
        weights = np.random.default_rng(seed).gamma(0.3, size=len(texts)) + 1e-6
        self.texts = dict(zip(texts, (weights / weights.sum()).tolist(), strict=True))
        self.after = defaultdict(lambda: defaultdict(float))  # ids so far -> next id -> mass
        self.questions = 0
        for text, mass in self.texts.items():
            ids = (*tokenizer.encode(text, False), END)
            for place, token in enumerate(ids):
                self.after[ids[:place]][token] += mass

    def probability(self, beginning):
        """The probability that a text begins so."""
        return sum(mass for text, mass in self.texts.items() if text.startswith(beginning))

    def probability_of_ids(self, ids):
        return sum(self.after[tuple(ids)].values())

    def logits(self, ids, rows, places):
        found = np.full((len(rows), self.tokenizer.vocab_size), -np.inf, np.float64)
        self.questions += len(rows)
        for number, (row, place) in enumerate(zip(rows, places, strict=True)):
            assert ids[row, 0] == self.start
            following = self.after.get(tuple(ids[row, 1 : place + 1].tolist()))
            if following is None:  # no text has these ids: whatever is answered must not matter
                found[number] = 0.0
                continue
            total = sum(following.values())
            for token, mass in following.items():
                found[number, token] = math.log(mass / total) + 5.0
        return found


def check_against_texts(model, cuts, tolerance=1e-9):
    """Scores at all cuts of texts, and what may come next after each beginning, are those of the texts themselves."""
    from tokframe.tokenizer.likelihood import OpenEnd, loglikelihoods

    tokenizer = model.tokenizer
    found = loglikelihoods(tokenizer, cuts, model.logits, start=model.start, context=64)
    for (before, after), one in zip(cuts, found, strict=True):
        wanted = math.log(model.probability(before + after) / model.probability(before))
        assert abs(one.value - wanted) < tolerance, (before, after, one, wanted)
    for beginning in {before for before, _ in cuts}:
        prompt = tokenizer.prompt(beginning, False)
        total = model.probability(beginning)
        weighed = OpenEnd(prompt).weigh(tokenizer, model.logits, head=[model.start], context=64)
        here = model.probability_of_ids(prompt.ids) / total
        likely = {
            (*prompt.ids, *path, token): math.exp(before + log_probs[token]) * here
            for path, (before, log_probs) in weighed.items()
            for token in np.flatnonzero(log_probs > -np.inf).tolist()
            if before > -np.inf
        }
        assert abs(sum(likely.values()) - 1) < tolerance, (beginning, sum(likely.values()))
        for ids, probability in likely.items():
            if ids[-1] == END:
                wanted = model.texts[beginning] / total
            else:
                wanted = model.probability_of_ids(ids) / total
            assert abs(probability - wanted) < tolerance, (beginning, ids, probability, wanted)


def cuts_of(model, count, seed=0):
    """Random pairs of what begins a text and what comes next in it."""
    random = np.random.default_rng(seed)
    texts = [*model.texts]
    found = []
    for _ in range(count):
        text = texts[random.integers(len(texts))]
        first, second = sorted(random.integers(0, len(text) + 1, 2).tolist())
        found.append((text[:first], text[first:second]))
    return found


def exact_next(tokenizer, logits, prompt, head=(2,), without=None):
    """What may come next after a prompt, by trying all ids in turn: the ids of text and next -> probability."""
    data = prompt.encode()
    textless = tokenizer.textless_ids
    found = {}

    def walk(ids, probability):
        text = tokenizer.decode_bytes(ids)
        row = [*head, *ids]
        values = logits(np.asarray([row]), np.asarray([0]), np.asarray([len(row) - 1]))[0].astype(np.float64)
        weights = np.exp(values - values.max())[: tokenizer.vocab_size]
        weights[[*(textless if without is None else without)]] = 0
        for token in range(tokenizer.vocab_size):
            if token not in textless:
                whole = tokenizer.encode_bytes(text + tokenizer.token_bytes(token))
                weights[token] *= whole == [*ids, token]
        for token in np.flatnonzero(weights).tolist():
            mine = probability * weights[token] / weights.sum()
            after = text if token in textless else text + tokenizer.token_bytes(token)
            if token in textless:
                if text == data:
                    found[*ids, token] = mine
            elif after.startswith(data) and len(after) > len(data):
                found[*ids, token] = mine
            elif data.startswith(after):
                walk([*ids, token], mine)

    walk(tokenizer.prompt(prompt).ids, 1.0)
    total = sum(found.values())
    return {ids: mine / total for ids, mine in found.items()}
