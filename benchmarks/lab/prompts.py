"""Prompts cut at random places of held-out text: what holds at each, and what it costs.

    python -m benchmarks.lab.prompts MODEL FILE... [--cuts N] [--scored N] [--tried N]

MODEL is a folder of `tokframe lm train`, FILE a text. Per file: the share of cuts at which ids of the whole begin with
those of the beginning encoded as a text, with those of its prompt, and have exactly one of its covers; the largest
difference of ll(a, b) + ll("", a) and ll("", a + b) in nats; the share of generated texts that have the ids that they
were generated in; and of what may come next, the largest difference of its probability from that which trying all ids
of the vocabulary gives, which takes long with a large one. Then microseconds per prompt of 1 kB, and per 100 characters
more of a text of 200,000 ids; and milliseconds per generated id, with and without exact prompts.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import time
from pathlib import Path

import numpy as np
import torch
from tokframe_lm import generation, load
from tokframe_lm.evaluation.loglikelihood import logits_of, score_pairs
from tokframe_lm.model.model import start_id

from tests.support.likelihoods import exact_next
from tokframe.tokenizer.likelihood import OpenEnd

BEFORE, AFTER = 240, 60  # characters around a cut, before it fewer than ids in three quarters of the model's context


def cuts_of(text: str, count: int, most: int) -> list[tuple[str, str]]:
    choose = random.Random(0)
    places = [choose.randrange(BEFORE, len(text) - AFTER) for _ in range(count)]
    return [
        (text[place - choose.randint(1, min(BEFORE, most)) : place], text[place : place + AFTER]) for place in places
    ]


def ways(tokenizer, prompt, whole) -> int:
    found = 0
    for path, rest in prompt.covers():
        at = len(prompt.ids) + len(path)
        if whole[:at] == prompt.ids + path:
            following = tokenizer.token_bytes(whole[at]) if rest and len(whole) > at else b""
            found += not rest or (following.startswith(rest) and following != rest)
    return found


def generated_ids(saved, prompt: str, seed: int) -> list[int]:
    seen: list[int] = []
    decoder = type(saved.tokenizer.stream_decoder())
    feed = decoder.feed

    def noted(self, ids):
        seen.extend([ids] if isinstance(ids, int) else list(ids))
        return feed(self, ids)

    decoder.feed = noted
    try:
        list(generation.generate(saved, prompt, max_bytes=12, sampling=generation.Sampling(seed=seed)))
    finally:
        decoder.feed = feed
    return seen


def difference_from_all(saved, prompt: str) -> float:
    """Largest difference of a probability of what comes next from that by trying all ids."""
    tokenizer, logits, head = saved.tokenizer, logits_of(saved.model), [start_id(saved.tokenizer)]
    wanted = exact_next(tokenizer, logits, prompt, head=head)
    start = tokenizer.prompt(prompt, False)
    context, without = saved.model.config.context, tokenizer.textless_ids
    weighed = OpenEnd(start).weigh(tokenizer, logits, head=head, context=context, without=without)
    found = {
        (*start.ids, *path, token): float(np.exp(before + log_probs[token]))
        for path, (before, log_probs) in weighed.items()
        for token in np.flatnonzero(log_probs > -np.inf).tolist()
    }
    total = sum(found.values())
    return max(abs(found.get(ids, 0.0) / total - wanted.get(ids, 0.0)) for ids in found.keys() | wanted.keys())


def measure(saved, text: str, count: int, scored: int, tried: int) -> dict[str, float]:
    tokenizer, cuts = saved.tokenizer, cuts_of(text, count, saved.model.config.context * 3 // 4)
    plain = settled = covered = canonical = 0
    for before, after in cuts:
        whole, prompt, alone = tokenizer.encode(before + after), tokenizer.prompt(before), tokenizer.encode(before)
        plain += whole[: len(alone)] == alone
        settled += whole[: len(prompt.ids)] == prompt.ids
        covered += ways(tokenizer, prompt, whole) == 1
    pairs = [pair for a, b in cuts[:scored] for pair in ((a, b), ("", a), ("", a + b))]
    scores = [score.value for score in score_pairs(saved, pairs)]
    sums = zip(scores[::3], scores[1::3], scores[2::3], strict=True)
    for seed, (before, _) in enumerate(cuts[:scored]):
        ids = generated_ids(saved, before, seed)
        written = tokenizer.decode_bytes(ids)
        canonical += written.startswith(before.encode()) and tokenizer.encode_bytes(written) == ids
    differences = [difference_from_all(saved, before) for before, _ in cuts[:tried]]
    return {
        "cuts": count,
        "scored": min(count, scored),
        "ids_kept_alone": plain / count,
        "ids_kept_of_prompt": settled / count,
        "one_cover": covered / count,
        "largest_difference_nats": max(abs(first + second - both) for first, second, both in sums),
        "generated_in_its_own_ids": canonical / min(count, scored),
        "tried": len(differences),
        "largest_difference_from_all_ids": max(differences, default=0.0),
    }


def seconds_per_id(saved, prompt: str) -> float:
    started = time.process_time()
    pieces = list(generation.generate(saved, prompt, max_bytes=1500))
    return (time.process_time() - started) / sum(piece.tokens for piece in pieces)


def costs(saved, text: str) -> dict[str, float]:
    tokenizer = saved.tokenizer
    prompts = [text.encode()[place : place + 1000].decode(errors="ignore") for place in range(0, 200_000, 1000)]
    each = []
    for prompt in prompts:
        started = time.perf_counter()
        tokenizer.prompt(prompt)
        each.append(time.perf_counter() - started)
    grown = tokenizer.encode_more(None, text * (1 + 200_000 // tokenizer.count(text)))
    more = []
    for place in range(0, 20_000, 100):
        started = time.perf_counter()
        grown = tokenizer.encode_more(grown, text[place : place + 100])
        more.append(time.perf_counter() - started)
    kind, exact, without = type(tokenizer), [], []
    most = min(300, saved.model.config.context * 3 // 4)
    kept = kind.may_follow, kind.prompt
    seconds_per_id(saved, prompts[1][:most])
    for prompt in prompts[:12]:
        exact.append(seconds_per_id(saved, prompt[:most]))
        kind.may_follow = lambda self, ids, token: True
        kind.prompt = lambda self, text, add_special=True: kept[1](self, "")
        without.append(seconds_per_id(saved, prompt[:most]))
        kind.may_follow, kind.prompt = kept
    return {
        "prompt_us": 1e6 * statistics.median(each),
        "more_us": 1e6 * statistics.median(more),
        "more_most_us": 1e6 * max(more),
        "ms_per_id": 1e3 * statistics.median(exact),
        "ms_per_id_without": 1e3 * statistics.median(without),
        "ratio": statistics.median(a / b for a, b in zip(exact, without, strict=True)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--cuts", type=int, default=2000)
    parser.add_argument("--scored", type=int, default=2000, help="of these, how many are scored and generated from")
    parser.add_argument("--tried", type=int, default=0, help="of these, at how many all ids are tried")
    options = parser.parse_args()
    torch.set_num_threads(1)
    saved = load(options.model)
    for file in options.files:
        text = file.read_text(encoding="utf-8")
        print(
            json.dumps({"file": file.name, **measure(saved, text, options.cuts, options.scored, options.tried)}),
            flush=True,
        )
    print(json.dumps(costs(saved, options.files[0].read_text(encoding="utf-8"))))


if __name__ == "__main__":
    main()
