"""Writing compared: models of several tokenizers continue the same prompts, measured beside held-out text."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from attrs import asdict

from tokframe.corpus.files import Corpus
from tokframe.storage.atomic import write_atomically
from tokframe.storage.printable import printable_json
from tokframe.training.progress import Reporter
from tokframe_lm.comparison.config import Settings
from tokframe_lm.comparison.speed import Speed, interleaved, rate, write
from tokframe_lm.comparison.text_measures import measure, words
from tokframe_lm.data.texts import Prompt, prompts, shares
from tokframe_lm.evaluation.ngrams import ByteNgrams
from tokframe_lm.generation import Sampling
from tokframe_lm.storage import load

__all__ = ["compare_writing"]

_SCORER_ORDER = 8  # bytes of the scorer's n-grams


def compare_writing(
    places: Mapping[str, Sequence[Path]],
    *,
    corpus: Corpus,
    evals: Mapping[str, Corpus],
    settings: Settings,
    reporter: Reporter,
    check: Callable[[], None],
    folder: Path,
) -> dict[str, Any]:
    """Generate with the models of each label in interleaved rounds; return `models`, `reference` and `scorer`.

    The texts are written to `folder` as `written.json`. `check` is called between texts, and raises to stop.
    Raises: CorpusError if there are no prompts in the held-out texts.
    """
    chosen = _prompts(evals, settings)
    models = {(label, seed): load(place) for label, found in places.items() for seed, place in enumerate(found)}
    texts: dict[tuple[str, int], list[str]] = {key: [] for key in models}
    reporter.stage("write", len(chosen) * len(models), "texts")

    def job(key: tuple[str, int], number: int) -> Speed:
        check()
        sampling = Sampling(temperature=settings.temperature, top_k=settings.top_k, seed=number)
        text, speed = write(models[key], chosen[number], size=settings.written, sampling=sampling)
        texts[key].append(text)
        reporter.advance(sum(len(written) for written in texts.values()))
        return speed

    for model in models.values():  # warm-up, not timed
        write(model, chosen[0], size=20, sampling=Sampling())
    speeds = interleaved({key: partial(job, key) for key in models}, len(chosen))

    check()
    reporter.stage("train the scorer", None)
    texts_seen = [text.encode() for text in shares(corpus, settings.scorer_bytes)]
    scorer = ByteNgrams(((text, 1) for text in texts_seen), order=_SCORER_ORDER)
    known = {word for text in texts_seen for word in words(text.decode())}
    found: dict[str, Any] = {}
    for label, group in places.items():
        keys = [(label, seed) for seed in range(len(group))]
        each = [_measures(chosen, texts[key], known, scorer) for key in keys]
        found[label] = {
            **rate([speed for key in keys for speed in speeds[key]]),
            **{name: statistics.fmean(one[name] for one in each) for name in each[0]},
            "seeds": each,
        }
    kept: dict[str, Any] = {"prompts": [asdict(prompt) for prompt in chosen]}
    kept |= {f"{label}-{seed}": written for (label, seed), written in texts.items()}
    held_out = {name: "".join(shares(held, settings.eval_bytes)).encode() for name, held in evals.items()}
    text = printable_json(json.dumps(kept, indent=2, ensure_ascii=False))  # a model writes whatever it likes
    write_atomically(folder / "written.json", text.encode() + b"\n")
    return {
        "models": found,
        "reference": _measures(chosen, [prompt.continuation for prompt in chosen], known, scorer),
        "scorer": {
            "kind": f"interpolated Kneser-Ney byte n-grams, order {_SCORER_ORDER}",
            "bytes": sum(map(len, texts_seen)),
            "bits_per_byte": {name: scorer.bits_per_byte(text) for name, text in held_out.items()},
        },
    }


def _measures(chosen: Sequence[Prompt], texts: Sequence[str], known: set[str], scorer: ByteNgrams) -> dict[str, float]:
    """Return the measures of texts written after prompts, joined, and the scorer's bits per byte."""
    scores = [scorer.bits(text.encode(), prompt.text.encode()) for prompt, text in zip(chosen, texts, strict=True)]
    size = sum(map(len, scores))
    return {
        **measure("\n".join(texts), known),
        "scorer_bits_per_byte": float(sum(score.sum() for score in scores)) / size if size else 0.0,
    }


def _prompts(evals: Mapping[str, Corpus], settings: Settings) -> list[Prompt]:
    """Return prompts of all held-out texts, alternating."""
    each = -(-settings.prompts // len(evals))
    groups = [prompts(held, count=each, size=settings.written, max_bytes=1_000_000) for held in evals.values()]
    ordered = [group[number] for number in range(each) for group in groups if number < len(group)]
    return ordered[: settings.prompts]
