"""Comparison of language models over several tokenizers: same training, several seeds, same held-out text.

Finished runs stay in a folder, so that a comparison can be resumed and extended with tokenizers and seeds.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import asdict, evolve, frozen
from tokframe_torch.checkpoint import has_checkpoint
from tokframe_torch.processes import Processes

import tokframe
from tokframe.corpus.files import Corpus
from tokframe.errors import ConfigError, TrainingInterrupted
from tokframe.storage.atomic import write_atomically
from tokframe.storage.config import structure, unstructure
from tokframe.storage.locks import exclusive
from tokframe.storage.paths import named, shown
from tokframe.storage.places import disk_errors
from tokframe.storage.settings import check
from tokframe.storage.strictjson import canonical_json, read_json
from tokframe.training.interruption import interruptible
from tokframe.training.progress import AUTO, Reporter, shows_progress
from tokframe_lm.comparison.config import Settings
from tokframe_lm.comparison.speed import rate, training_speed
from tokframe_lm.comparison.summaries import evaluation_by_count, summary, training_counts
from tokframe_lm.comparison.writing import compare_writing
from tokframe_lm.data.texts import Mixture, mix
from tokframe_lm.model.config import LMConfig, config_for, embedding_name, read_config
from tokframe_lm.model.embeddings import suited
from tokframe_lm.storage import FORMAT, load
from tokframe_lm.training import train

__all__ = ["compare"]

_SPEED_ROUNDS = 7
_REPORT, _PLAN, _TEXT, _RUNS = _RESULTS = ("comparison.json", "plan.json", "text", "runs")  # in the folder


@frozen(kw_only=True)
class Variant:
    """A tokenizer with the config of its models; `label` is its name in the report."""

    tokenizer: str
    config: LMConfig
    label: str


@shows_progress
def compare(
    tokenizers: str | Sequence[str],
    *,
    corpus: Corpus | str | Path | Sequence[str | Path],
    evals: Mapping[str, Corpus | str | Path | Sequence[str | Path]],
    out: str | Path,
    config: Mapping[str, Any] | str | Path | None = None,
    embeddings: Sequence[str] = (),
    heads: Sequence[str] = (),
    settings: Settings | None = None,
    reporter: Reporter = AUTO,
    should_stop: Callable[[], bool] | None = None,
    device: str | None = None,
) -> dict[str, Any]:
    """Train and evaluate models per tokenizer, embedding, head and seed; return the report, saved as `comparison.json`.

    A config may say "tokenizers": {NAME: {KEY: VALUE}}, settings of one tokenizer's models. Finished runs in `out` are
    reused. A tokenizer that lacks what part of an embedding needs gets what is left of it, or is left out where nothing
    is. Raises: ConfigError, also where `out` holds runs of another config or text; ArtifactError where another process
    is writing there or nothing can be written; CorpusError; UnknownNameError; TrainingError; TrainingInterrupted;
    without `should_stop`, KeyboardInterrupt for Ctrl-C.
    """
    settings = settings or Settings()
    check(settings)
    config = read_config(config, seed=0, max_bytes=0)
    base = structure(LMConfig, config_for(config, ""))
    if base.steps:
        raise ConfigError("config", [("$.steps", "a comparison takes one pass over its text; leave this key out")])
    tokenizers = [tokenizers] if isinstance(tokenizers, str) else tokenizers
    Processes(device)  # one that cannot be used is told before the text is read
    variants = list(_variants(tokenizers, config, embeddings, heads, reporter))
    texts = {name: held if isinstance(held, Corpus) else Corpus.open(held) for name, held in evals.items()}
    folder = named(out)
    with interruptible(should_stop, "make the same call again") as stop, exclusive(folder), disk_errors(folder):
        corpus = (corpus if isinstance(corpus, Corpus) else Corpus.open(corpus)).without(
            *(folder / name for name in _RESULTS)
        )
        text = mix(corpus, settings.max_bytes, folder / _TEXT)
        work = _Comparison(folder, text, base, settings, corpus, texts, reporter, stop, device)
        work.check_plan(variants)
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
            v.label: {
                "embedding": v.config.embedding,
                "head": v.config.head,
                "equal_bytes": summary(runs[v.label]),
            }
            for v in variants
        }
        for cost in ("flops", "time") if self.settings.equal == "all" else (self.settings.equal,):
            if cost != "bytes":
                for label, entry in self._equal(cost, variants, runs).items():
                    found[label][f"equal_{cost}"] = entry
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

    def check_plan(self, variants: Sequence[Variant]) -> None:
        """Record what the runs in the folder share, and the config of each; a folder of others is refused.

        Raises: ConfigError.
        """
        place = self.folder / _PLAN
        shared = {key: value for key, value in _fixed(self.base).items() if key != "embedding"}
        models = {  # what each has of its own
            v.label: {
                key: value for key, value in _fixed(v.config).items() if key not in shared or value != shared[key]
            }
            for v in variants
        }
        if place.is_file():
            kept = read_json(place)
            # older versions wrote fewer keys and trained all own rows
            config = kept.get("config")
            before = {**unstructure(LMConfig()), "min_count": 0, **(config if isinstance(config, dict) else {})}
            differing = [key for key in shared if before[key] != shared[key]]
            known = kept.get("models")
            known = known if isinstance(known, dict) else {}
            for label, own in models.items():
                one = known.get(label, own)
                one = one if isinstance(one, dict) else {}
                differing += [f"{key} of {label}" for key in sorted({*own, *one}) if own.get(key) != one.get(key)]
            differing += ["training text"] * (kept.get("text") != self.text.sha256)
            if differing:
                raise ConfigError(
                    str(self.folder),
                    [("$", f"it holds runs with another {', '.join(differing)}. Choose another --out, or remove it")],
                )
            models = {**known, **models}
        write_atomically(place, canonical_json({"config": shared, "models": models, "text": self.text.sha256}))

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
                config={**unstructure(variant.config), "seed": seed},
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

    def _equal(
        self, cost: str, variants: Sequence[Variant], runs: Mapping[str, Sequence[Mapping[str, Any]]]
    ) -> dict[str, Any]:
        """Train each model that costs less than the dearest one on more text, up to equal "flops" or "time".

        Time is that of training, the least of all seeds, so that what else ran on the machine counts little.
        """
        key = "seconds" if cost == "time" else cost
        costs = {label: min(run["training"][key] for run in found) for label, found in runs.items()}
        most = max(costs.values())
        longer = {v.label: round(self.settings.max_bytes * most / costs[v.label]) for v in variants}
        found = {}
        for variant in variants:
            label = variant.label
            if costs[label] == most:
                found[label] = summary(runs[label])
                continue
            size = self._size(label, cost, longer[label])
            text = mix(self.corpus, size, self.folder / _TEXT)
            if text.bytes < 0.95 * size:
                self.reporter.note(
                    f"{label}: the corpus holds {text.bytes / 1e6:,.2f} MB of the {size / 1e6:,.2f} MB that "
                    f"equal {'FLOPs' if cost == 'flops' else cost} would need; the report holds the actual size"
                )
            seeds = range(self.settings.seeds)
            found[label] = summary([self._run(variant, seed, text, f"-{size}") for seed in seeds])
        return found

    def _size(self, label: str, cost: str, size: int) -> int:
        """Return the bytes of text of a model's longer run; that of a time is kept, as it is never measured alike."""
        if cost != "time":
            return size
        place = self.folder / _RUNS / f"{label}.time.json"
        kept = read_json(place).get("bytes") if place.is_file() else None
        if isinstance(kept, int) and not isinstance(kept, bool) and kept > 0:
            return kept
        write_atomically(place, canonical_json({"bytes": size}))
        return size

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


def _fixed(config: LMConfig) -> dict[str, Any]:
    """Return what a run's result follows from, beside its seed and text."""
    return {key: value for key, value in unstructure(config).items() if key not in ("checkpoint_every", "seed")}


def _variants(
    tokenizers: Sequence[str],
    config: Mapping[str, Any],
    embeddings: Sequence[str],
    heads: Sequence[str],
    reporter: Reporter,
) -> Iterator[Variant]:
    """Yield the models to compare. Raises: ConfigError; UnknownNameError."""
    labels: set[str] = set()
    for given in tokenizers:
        tokenizer = tokframe.load(given)
        name = Path(given).name
        own = structure(LMConfig, config_for(config, tokenizer.name, name))
        used: set[str] = set()
        for embedding in [*map(embedding_name, embeddings)] or [own.embedding]:
            left = suited(embedding, tokenizer)
            if not left or left in used or (left != embedding and left in embeddings):
                reporter.note(f"{name}: lacks what the embedding {embedding} needs, and is compared without it")
                continue
            if left != embedding:
                reporter.note(f"{name}: lacks what a part of the embedding {embedding} needs, so it is {left}")
            used.add(left)
            for head in heads or [own.head]:
                settings = {} if head != own.head else own.head_settings
                parts = [name, *([left] if len(embeddings) > 1 else []), *([head] if len(heads) > 1 else [])]
                label = "+".join(parts)
                if label in labels:
                    raise ConfigError("tokenizers", [("$", f"two are named {label!r}; rename the folder of one")])
                labels.add(label)
                yield Variant(
                    tokenizer=given,
                    config=evolve(own, embedding=left, head=head, head_settings=settings),
                    label=label,
                )
    if not labels:
        raise ConfigError("tokenizers", [("$", "no model is left to compare; add --embedding lookup")])
