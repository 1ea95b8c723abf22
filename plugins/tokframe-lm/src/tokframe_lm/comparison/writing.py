"""What models of several tokenizers write after the same prompts, beside what held-out text says there."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import asdict

from tokframe.corpus.files import Corpus
from tokframe.storage.atomic import write_atomically
from tokframe.training.progress import Reporter
from tokframe_lm import generation
from tokframe_lm import storage as saved
from tokframe_lm.comparison.scorer import ORDER, Scorer
from tokframe_lm.comparison.speed import Speed, rate, taken_in_turns, write
from tokframe_lm.data.texts import Prompt, prompts, shares

if TYPE_CHECKING:
    from tokframe_lm.comparison.comparison import Settings

__all__ = ["compare_writing", "measures"]


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
    """Let the models of each label write, in turns; return `models`, `reference` and `scorer`.

    The texts are kept in `folder` as `written.json`. `check` is called now and then, and raises to stop.
    Raises: CorpusError if there are no prompts in the held-out texts.
    """
    chosen = _prompts(evals, settings)
    models = {(label, seed): saved.load(place) for label, found in places.items() for seed, place in enumerate(found)}
    texts: dict[tuple[str, int], list[str]] = {key: [] for key in models}
    reporter.stage("write", len(chosen) * len(models), "texts")

    def job(key: tuple[str, int]) -> Callable[[int], Speed]:
        def one(number: int) -> Speed:
            check()
            sampling = generation.Sampling(temperature=settings.temperature, top_k=settings.top_k, seed=number)
            found = write(models[key], chosen[number], size=settings.written, sampling=sampling)
            texts[key].append(found.text)
            reporter.advance(sum(len(written) for written in texts.values()))
            return found.speed

        return one

    for model in models.values():  # untimed: the first text of a process is slower than the others
        write(model, chosen[0], size=20, sampling=generation.Sampling())
    speeds = taken_in_turns({key: job(key) for key in models}, len(chosen))

    check()
    reporter.stage("train the scorer", None)
    learnt = list(shares(corpus, settings.scorer_bytes))
    scorer = Scorer(text.encode() for text in learnt)
    known = {word for text in learnt for word in generation.words(text)}
    found: dict[str, Any] = {}
    for label, group in places.items():
        keys = [(label, seed) for seed in range(len(group))]
        each = [measures(chosen, texts[key], known, scorer) for key in keys]
        found[label] = {
            **rate([speed for key in keys for speed in speeds[key]]),
            **{name: statistics.fmean(one[name] for one in each) for name in each[0]},
            "seeds": each,
        }
    kept: dict[str, Any] = {"prompts": [asdict(prompt) for prompt in chosen]}
    kept |= {f"{label}-{seed}": written for (label, seed), written in texts.items()}
    write_atomically(folder / "written.json", json.dumps(kept, indent=2, ensure_ascii=False).encode() + b"\n")
    return {
        "models": found,
        "reference": measures(chosen, [prompt.continuation for prompt in chosen], known, scorer),
        "scorer": {
            "kind": f"interpolated Kneser-Ney byte n-grams, order {ORDER}",
            "bytes": sum(len(text.encode()) for text in learnt),
            "bits_per_byte": {name: _scored(scorer, held, settings.eval_bytes) for name, held in evals.items()},
        },
    }


def measures(chosen: Sequence[Prompt], texts: Sequence[str], known: set[str], scorer: Scorer) -> dict[str, float]:
    """Return the measures of texts written after prompts: of all joined, and the scorer's bits per byte after each."""
    scores = [scorer.bits(text.encode(), prompt.text.encode()) for prompt, text in zip(chosen, texts, strict=True)]
    size = sum(map(len, scores))
    return {
        **asdict(generation.measure("\n".join(texts), known)),
        "scorer_bits_per_byte": float(sum(score.sum() for score in scores)) / size if size else 0.0,
    }


def _prompts(evals: Mapping[str, Corpus], settings: Settings) -> list[Prompt]:
    """Return prompts of all held-out texts, one of each in turn."""
    each = -(-settings.prompts // len(evals))
    groups = [prompts(held, count=each, size=settings.written, max_bytes=1_000_000) for held in evals.values()]
    ordered = [group[number] for number in range(each) for group in groups if number < len(group)]
    return ordered[: settings.prompts]


def _scored(scorer: Scorer, corpus: Corpus, max_bytes: int) -> float:
    return scorer.bits_per_byte("".join(shares(corpus, max_bytes)).encode())
