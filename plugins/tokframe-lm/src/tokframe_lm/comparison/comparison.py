"""Comparison of language models over several tokenizers: same training, several seeds, same held-out text.

Finished runs stay in a folder, so that a comparison can be resumed and extended with tokenizers and seeds.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import asdict, frozen
from tokframe_torch.checkpoint import has_checkpoint
from tokframe_torch.processes import Processes

import tokframe
from tokframe.corpus.files import Corpus
from tokframe.errors import ConfigError, TrainingInterrupted
from tokframe.plugins.discovery import host
from tokframe.plugins.registry import load_target
from tokframe.storage.advice import FIRST_PARTY
from tokframe.storage.atomic import write_atomically
from tokframe.storage.config import structure, unstructure
from tokframe.storage.locks import exclusive
from tokframe.storage.paths import named, shown
from tokframe.storage.places import disk_errors
from tokframe.storage.settings import check
from tokframe.storage.strictjson import canonical_json, read_json
from tokframe.training.interruption import interruptible
from tokframe.training.progress import SILENT, Reporter
from tokframe_lm.comparison.config import Settings
from tokframe_lm.comparison.speed import rate, training_speed
from tokframe_lm.comparison.summaries import evaluation_by_count, summary, training_counts
from tokframe_lm.comparison.writing import compare_writing
from tokframe_lm.data.texts import Mixture, mix
from tokframe_lm.model.config import LMConfig, embedding_name
from tokframe_lm.model.embeddings import Embedding, has_codes
from tokframe_lm.storage import FORMAT, load
from tokframe_lm.training import train

__all__ = ["compare"]

_SPEED_ROUNDS = 7
_REPORT, _PLAN, _TEXT, _RUNS = _RESULTS = ("comparison.json", "plan.json", "text", "runs")  # in the folder


@frozen(kw_only=True)
class Variant:
    """A tokenizer with an embedding; `label` is its name in the report."""

    tokenizer: str
    embedding: str
    label: str


def compare(
    tokenizers: str | Sequence[str],
    *,
    corpus: Corpus,
    evals: Mapping[str, Corpus],
    out: str | Path,
    config: Mapping[str, Any] | None = None,
    embeddings: Sequence[str] = (),
    settings: Settings | None = None,
    reporter: Reporter = SILENT,
    should_stop: Callable[[], bool] | None = None,
    device: str | None = None,
) -> dict[str, Any]:
    """Train and evaluate a model per tokenizer, embedding and seed; return the report, saved as `comparison.json`.

    Finished runs in `out` are reused. A tokenizer without codes gets the fallback of an embedding that needs them, or
    is left out where there is none. Raises: ConfigError, also where `out` holds runs of another config or text;
    ArtifactError where another process is writing there or nothing can be written; CorpusError; UnknownNameError;
    TrainingError; TrainingInterrupted; without `should_stop`, KeyboardInterrupt for Ctrl-C.
    """
    settings = settings or Settings()
    check(settings)
    base = structure(LMConfig, {**(config or {}), "seed": 0, "max_bytes": 0})
    if base.steps:
        raise ConfigError("config", [("$.steps", "a comparison takes one pass over its text; leave this key out")])
    tokenizers = [tokenizers] if isinstance(tokenizers, str) else tokenizers
    Processes(device)  # one that cannot be used is told before the text is read
    variants = list(_variants(tokenizers, [*map(embedding_name, embeddings)] or [base.embedding], reporter))
    folder = named(out)
    with interruptible(should_stop, "make the same call again") as stop, exclusive(folder), disk_errors(folder):
        corpus = corpus.without(*(folder / name for name in _RESULTS))
        text = mix(corpus, settings.max_bytes, folder / _TEXT)
        work = _Comparison(folder, text, base, settings, corpus, evals, reporter, stop, device)
        work.check_plan()
        return work.report(variants)


@frozen
class _Comparison:
    """A comparison in its folder; `text` is what every model is trained on first."""

    folder: Path
    text: Mixture
    base: LMConfig
    settings: Settings
    corpus: Corpus
    evals: Mapping[str, Corpus]
    reporter: Reporter
    should_stop: Callable[[], bool]
    device: str | None

    def report(self, variants: Sequence[Variant]) -> dict[str, Any]:
        """Run what is missing and return the report."""
        labels = [variant.label for variant in variants]
        runs: dict[str, list[dict[str, Any]]] = {label: [] for label in labels}
        for seed in range(self.settings.seeds):
            for variant in variants:
                runs[variant.label].append(self._run(variant, seed, self.text))
        found: dict[str, Any] = {
            v.label: {"embedding": v.embedding, "equal_bytes": summary(runs[v.label])} for v in variants
        }
        if self.settings.equal == "flops":
            for label, entry in self._equal_flops(variants, runs).items():
                found[label]["equal_flops"] = entry
        self._check_stop()
        self.reporter.stage("time training", None)
        first = {label: self._place(label, 0) for label in labels}
        timed = self.text.path.read_bytes()[: 2 * (self.base.batch_bytes or 4096)].decode("utf-8", "ignore")
        for label, rounds in training_speed(first, timed, rounds=_SPEED_ROUNDS).items():
            found[label]["training_speed"] = rate(rounds)
        report: dict[str, Any] = {
            "config": unstructure(self.base),
            "settings": asdict(self.settings),
            "bytes": self.text.bytes,
            "models": found,
        }
        if self.settings.prompts:
            chosen = {label: [self._place(label, seed) for seed in range(self.settings.seeds)] for label in labels}
            written = compare_writing(
                chosen,
                corpus=self.corpus,
                evals=self.evals,
                settings=self.settings,
                reporter=self.reporter,
                check=self._check_stop,
                folder=self.folder,
            )
            for label, entry in written.pop("models").items():
                found[label]["generation"] = entry
            report |= written
        write_atomically(self.folder / _REPORT, json.dumps(report, indent=2).encode() + b"\n")
        return report

    def check_plan(self) -> None:
        """Record what the runs in the folder share; a folder of other runs is refused. Raises: ConfigError."""
        place = self.folder / _PLAN
        plan: dict[str, Any] = {
            "config": {k: v for k, v in unstructure(self.base).items() if k not in ("embedding", "checkpoint_every")},
            "text": self.text.sha256,
        }
        if place.is_file():
            kept = read_json(place)
            # older versions wrote fewer keys and trained all own rows
            config = kept.get("config")
            before = {**unstructure(LMConfig()), "min_count": 0, **(config if isinstance(config, dict) else {})}
            differing = [k for k in plan["config"] if before[k] != plan["config"][k]]
            differing += ["training text"] * (kept.get("text") != plan["text"])
            if differing:
                raise ConfigError(
                    str(self.folder),
                    [("$", f"it holds runs with another {', '.join(differing)}. Choose another --out, or remove it")],
                )
        write_atomically(place, canonical_json(plan))

    def _place(self, label: str, seed: int, more: str = "") -> Path:
        return self.folder / _RUNS / f"{label}-{seed}{more}"

    def _run(self, variant: Variant, seed: int, text: Mixture, more: str = "") -> dict[str, Any]:
        """Return the record of a run and its evaluations; train and evaluate what is missing."""
        place = self._place(variant.label, seed, more)
        if not (place / "model.json").is_file():
            self.reporter.note(f"{place.name}: training on {text.bytes / 1e6:,.2f} MB")
            train(
                variant.tokenizer,
                corpus=Corpus.open([text.path]),
                out=place,
                config={**unstructure(self.base), "seed": seed, "embedding": variant.embedding},
                resume=has_checkpoint(place.with_name(place.name + ".training")),
                reporter=self.reporter,
                should_stop=self.should_stop,
                device=self.device,
            )
        training = FORMAT.read(place).get("training")
        if not isinstance(training, dict) or not _is_number(training.get("flops")):
            raise FORMAT.corrupt(place, FORMAT.manifest, "has no record of its training")
        kept = place.with_name(place.name + ".eval.json")
        found = read_json(kept) if kept.is_file() else {}
        missing = {k: v for k, v in self.evals.items() if not _holds(found.get(k), self._asked(v))}
        if missing:
            self._check_stop()
            model = load(place)
            counts = training_counts(model, text.path)
            for name, corpus in missing.items():
                values = evaluation_by_count(model, corpus, self.settings.eval_bytes, counts)
                found[name] = {"asked": self._asked(corpus), **values}
                write_atomically(kept, canonical_json(found))
        return {"training": training, "evals": {name: found[name] for name in self.evals}}

    def _asked(self, corpus: Corpus) -> list[Any]:
        return [self.settings.eval_bytes, [[shown(file.path), file.path.stat().st_size] for file in corpus.files]]

    def _equal_flops(
        self, variants: Sequence[Variant], runs: Mapping[str, Sequence[Mapping[str, Any]]]
    ) -> dict[str, Any]:
        """Train each model that needs fewer FLOPs than the most expensive one on more text, up to equal FLOPs."""
        flops = {label: found[0]["training"]["flops"] for label, found in runs.items()}
        most = max(flops.values())
        longer = {v.label: round(self.settings.max_bytes * most / flops[v.label]) for v in variants}
        found = {}
        for variant in variants:
            label = variant.label
            if flops[label] == most:
                found[label] = summary(runs[label])
                continue
            text = mix(self.corpus, longer[label], self.folder / _TEXT)
            if text.bytes < 0.95 * longer[label]:
                self.reporter.note(
                    f"{label}: the corpus holds {text.bytes / 1e6:,.2f} MB of the {longer[label] / 1e6:,.2f} MB that "
                    "equal FLOPs need; the report holds the actual size"
                )
            seeds = range(self.settings.seeds)
            found[label] = summary([self._run(variant, seed, text, f"-{longer[label]}") for seed in seeds])
        return found

    def _check_stop(self) -> None:
        if self.should_stop():
            raise TrainingInterrupted(
                f"stopped; finished runs are saved in {self.folder}", checkpoint=self.folder / _RUNS
            )


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _holds(kept: Any, asked: list[Any]) -> bool:
    """Return whether what is kept of an evaluation is whole, and one of just this."""
    numbers = ("bits_per_byte", "bits_per_byte_unknown", "bytes", "tokens")
    return (
        isinstance(kept, dict)
        and kept.get("asked") == asked
        and all(_is_number(kept.get(name)) for name in numbers)
        and isinstance(kept.get("by_count"), list)
        and all(isinstance(row, dict) and _is_number(row.get("bits")) for row in kept["by_count"])
    )


def _variants(tokenizers: Sequence[str], embeddings: Sequence[str], reporter: Reporter) -> Iterator[Variant]:
    """Yield the models to compare. Raises: ConfigError; UnknownNameError."""
    labels: set[str] = set()
    kinds: dict[str, type[Embedding]] = {
        name: load_target(host().registry.component("embedding", name, FIRST_PARTY)) for name in embeddings
    }
    for given in tokenizers:
        tokenizer = tokframe.load(given)
        name = Path(given).name
        coded = has_codes(tokenizer)
        for embedding, kind in kinds.items():
            if kind.needs_codes and not coded:
                if kind.fallback is None or kind.fallback in kinds:
                    reporter.note(f"{name}: no codes made of digits, so no {embedding} embedding")
                    continue
                reporter.note(f"{name}: no codes made of digits, so its embedding is {kind.fallback}")
                embedding = kind.fallback
            label = name if len(embeddings) == 1 else f"{name}+{embedding}"
            if label in labels:
                raise ConfigError("tokenizers", [("$", f"two are named {label!r}; rename the folder of one")])
            labels.add(label)
            yield Variant(tokenizer=given, embedding=embedding, label=label)
    if not labels:
        raise ConfigError("tokenizers", [("$", "no model is left to compare; add --embedding lookup")])
