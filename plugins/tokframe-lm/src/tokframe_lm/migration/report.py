"""MigrationReport: an old and a new tokenizer side by side, and what a model becomes on the way.

Tokenizers are measured by `tokframe.evaluate`, whose page it extends; the model is moved by `pretrained`.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from attrs import frozen

import tokframe
from tokframe.corpus.files import Corpus
from tokframe.errors import CorpusError, UnsupportedError
from tokframe.evaluate.comparison import Comparison, compare
from tokframe.evaluate.report.page import check_installed, comparison_page
from tokframe.evaluate.report.passages import differences
from tokframe.evaluate.timing import sample
from tokframe.storage.places import write_output
from tokframe.tokenizer.base import ITokenizer
from tokframe.tokenizer.display import Result
from tokframe.tokenizer.results import IntArray
from tokframe.training.progress import AUTO, SILENT, Reporter, shows_progress
from tokframe_lm.data.tokens import read_document
from tokframe_lm.evaluation.bits_per_byte import evaluate
from tokframe_lm.migration.conversion import calibrate_output, move
from tokframe_lm.migration.pretrained import Pretrained, read_pretrained
from tokframe_lm.storage import SavedModel

__all__ = ["MigrationReport", "ModelTrial", "migrate_report", "migration_report"]

_TEXT_BYTES = 1_000_000  # of the corpus that the model is trained and measured on
_PIECE_CHARS = 4_000
_HELD_OUT = 5  # every fifth piece of it is only measured
_MEASURED_BYTES = 100_000
_BATCH = 8  # windows of a step
_WRITTEN_TOKENS = 48
_ROUNDS = 3
_DEFAULT_CONTEXT, _DEFAULT_WIDTH, _NUMBER_BYTES = 1024, 768, 4  # where there is no model


@frozen(kw_only=True, repr=False)
class ModelTrial(Result):
    """A model before, right after the move, and after `steps` of training on four fifths of the text.

    Bits per byte are of the other fifth, with what the tokenizer hides or leaves out charged; `reads_*` and `writes_*`
    are bytes of text a second, tokenizing included. `trained` is None without steps. `tied` is whether the old model
    shares one matrix between input and output; the moved one has two.
    """

    bits_per_byte_before: float
    bits_per_byte_converted: float
    bits_per_byte_trained: float | None
    steps: int
    reads_before: float
    reads_after: float
    writes_before: float
    writes_after: float
    copied: int
    composed: int
    guessed: int
    tied: bool


@frozen(kw_only=True, eq=False, repr=False)
class MigrationReport(Result):
    """The comparison of two tokenizers, what follows from it for a model, and the trial of one if there was one.

    `context` tokens hold `context_bytes_*` of the text; `embedding_mb_*` (10^6 bytes) are for `width` numbers of four
    bytes a row, once for input and once for output.
    """

    old: str
    new: str
    comparison: Comparison
    tokenizers: Mapping[str, ITokenizer]
    context: int
    context_bytes_before: float
    context_bytes_after: float
    width: int
    embedding_mb_before: float
    embedding_mb_after: float
    model: ModelTrial | None = None

    @property
    def title(self) -> str:
        """Which tokenizer is to follow which."""
        return f"From {self.old} to {self.new}"

    def records(self) -> list[dict[str, Any]]:
        """Return `facts` as rows."""
        return [{"": label, self.old: before, self.new: after} for label, before, after in self.facts()]

    def to_dict(self) -> dict[str, Any]:
        """Return all figures as JSON data, those of the comparison among them."""
        return {
            "old": self.old,
            "new": self.new,
            **{name: getattr(self, name) for name in _FIGURES},
            "context_gained": self.context_bytes_after / self.context_bytes_before,
            "model": None if self.model is None else self.model.to_dict(),
            **self.comparison.to_dict(),
        }

    def to_json(self, corpus: Corpus) -> dict[str, Any]:
        """Return `to_dict` with `differences`: the passages of a corpus on which the two differ most."""
        better, worse = differences(self.tokenizers[self.new], self.tokenizers[self.old], corpus)
        shown = [
            {"better": name, "source": each.passage.source, "text": each.passage.text}
            for name, group in ((self.new, better), (self.old, worse))
            for each in group
        ]
        return self.to_dict() | {"differences": shown}

    def facts(self) -> list[tuple[str, str, str]]:
        """Return what a team decides by: label, before, after."""
        rows = [self.comparison.rows[name].total for name in (self.old, self.new)]
        density = [f"{row.bytes_per_token or 0:.2f}" for row in rows]
        unknown = [f"{row.unknown_rate or 0:.2%}" for row in rows]
        found = [
            ("bytes of text per token", density[0], density[1]),
            ("unknown tokens", unknown[0], unknown[1]),
            (
                f"text in a context of {self.context:,} tokens",
                f"{self.context_bytes_before:,.0f} bytes",
                f"{self.context_bytes_after:,.0f} bytes",
            ),
            (
                f"input and output vectors, {self.width:,} wide",
                f"{self.embedding_mb_before:,.0f} MB",
                f"{self.embedding_mb_after:,.0f} MB",
            ),
        ]
        if (trial := self.model) is not None:
            found += [
                (
                    "bits per byte, right after the move",
                    f"{trial.bits_per_byte_before:.3f}",
                    f"{trial.bits_per_byte_converted:.3f}",
                ),
                ("text read a second", f"{trial.reads_before:,.0f} bytes", f"{trial.reads_after:,.0f} bytes"),
                ("text written a second", f"{trial.writes_before:,.0f} bytes", f"{trial.writes_after:,.0f} bytes"),
                ("ids copied, composed, guessed", "", f"{trial.copied:,}, {trial.composed:,}, {trial.guessed:,}"),
            ]
            if trial.bits_per_byte_trained is not None:
                found.append((f"bits per byte, after {trial.steps:,} steps", "", f"{trial.bits_per_byte_trained:.3f}"))
        return found

    def page(self, corpus: Corpus) -> bytes:
        """Return the report as one HTML page. Raises: as `tokframe.evaluate.report.page.comparison_page`."""
        return comparison_page(self.comparison, self.tokenizers, corpus, self.old, facts=self.facts())


_FIGURES = (
    "context", "context_bytes_before", "context_bytes_after", "width", "embedding_mb_before", "embedding_mb_after",
)  # fmt: skip


@shows_progress
def migrate_report(
    old: str,
    new: str,
    corpus: Corpus | str | Path | Sequence[str | Path] = "stdlib:heldout",
    *,
    model: str | Path | None = None,
    steps: int = 0,
    learning_rate: float = 5e-4,
    rounds: int = 3,
    html: str | Path | None = None,
    reporter: Reporter = AUTO,
) -> MigrationReport:
    """Return `migration_report` of a corpus, or of the text at paths; `html` is a file to write the page to.

    Raises: as `migration_report`; UnsupportedError and ArtifactError for a page that cannot be made or written.
    """
    if html is not None:
        check_installed()
    text = corpus if isinstance(corpus, Corpus) else Corpus.open(corpus)
    found = migration_report(
        old, new, text, model=model, steps=steps, learning_rate=learning_rate, rounds=rounds, reporter=reporter
    )
    if html is not None:
        write_output(html, found.page(text))
    return found


def migration_report(
    old: str,
    new: str,
    corpus: Corpus,
    *,
    model: str | Path | None = None,
    steps: int = 0,
    learning_rate: float = 5e-4,
    rounds: int = 3,
    reporter: Reporter = SILENT,
) -> MigrationReport:
    """Compare two tokenizers on a corpus, and with a `model` folder of transformers try the move.

    The model must be a causal one of the tokenizer `old`. It is moved in memory, calibrated and trained for `steps` on
    four fifths of up to a megabyte of the corpus; nothing is written.

    Raises: as `compare` and `read_pretrained`; UnsupportedError for a masked model; CorpusError for too little text.
    """
    tokenizers = {name: tokframe.load(name) for name in (new, old)}
    before = None if model is None else read_pretrained(model, old)  # first: it fails sooner than the rest
    if before is not None and before.is_masked:
        raise UnsupportedError(
            f"{model} fills in masked tokens, so it has no bits per byte. Leave out --model, and convert it: tokframe "
            f"lm migrate --from-huggingface {model} --tokenizer {new} --out DIR",
            capability="causal model",
        )
    comparison = compare(
        [new, old], corpus, load=tokenizers.__getitem__, rounds=rounds, stability=True, reporter=reporter
    )
    context, width = _DEFAULT_CONTEXT, _DEFAULT_WIDTH
    if before is not None:
        context, width = before.config.context, before.model.get_input_embeddings().weight.shape[1]
    density = {name: row.total.bytes_per_token or 0.0 for name, row in comparison.rows.items()}
    memory = {name: 2 * tok.vocab_size * width * _NUMBER_BYTES / 1e6 for name, tok in tokenizers.items()}
    return MigrationReport(
        old=old,
        new=new,
        comparison=comparison,
        tokenizers=tokenizers,
        context=context,
        context_bytes_before=context * density[old],
        context_bytes_after=context * density[new],
        width=width,
        embedding_mb_before=memory[old],
        embedding_mb_after=memory[new],
        model=None if before is None else _trial(before, tokenizers[new], corpus, steps, learning_rate, reporter),
    )


def _trial(
    model: Pretrained, new: ITokenizer, corpus: Corpus, steps: int, rate: float, reporter: Reporter
) -> ModelTrial:
    slices = sample(corpus, _TEXT_BYTES)
    texts = [text[at : at + _PIECE_CHARS] for text in slices for at in range(0, len(text), _PIECE_CHARS)]
    held_out, train = texts[::_HELD_OUT], [text for n, text in enumerate(texts) if n % _HELD_OUT]
    if not train:
        raise CorpusError("the corpus is too small to train and measure a model on. Give more text: --corpus FILE...")
    with TemporaryDirectory(prefix="tokframe-") as folder:
        place = Path(folder) / "held-out.txt"
        place.write_text("".join(held_out), encoding="utf-8", newline="")
        measured = Corpus.open([place])

        def bits() -> float:
            hidden: Counter[bytes] = Counter()
            for text in train:
                document = read_document(model.tokenizer, text, charge_left_out=True)
                hidden.update([*document.unknown_surfaces, *document.left_out])
            saved: Any = SavedModel(model=model, tokenizer=model.tokenizer, sha256="", unknown_surfaces=hidden)  # type: ignore[arg-type]
            found = evaluate(saved, measured, max_bytes=_MEASURED_BYTES, reporter=reporter, charge_left_out=True)
            return found.bits_per_byte

        before, speeds = bits(), [_speeds(model, held_out)]
        output = model.model.get_output_embeddings().weight
        tied = output is model.model.get_input_embeddings().weight
        figures, _ = move(model, new, untie=True)
        ids = np.concatenate([new.encode_array(text, False) for text in train])
        calibrate_output(model, ids)
        converted = bits()
        speeds.append(_speeds(model, held_out))
        if steps:
            _train(model, ids, steps, rate, reporter)
        trained = bits() if steps else None
    return ModelTrial(
        bits_per_byte_before=before,
        bits_per_byte_converted=converted,
        bits_per_byte_trained=trained,
        steps=steps,
        reads_before=speeds[0][0],
        reads_after=speeds[1][0],
        writes_before=speeds[0][1],
        writes_after=speeds[1][1],
        tied=tied,
        **{name: figures[name] for name in ("copied", "composed", "guessed")},
    )


def _train(model: Pretrained, ids: IntArray, steps: int, rate: float, reporter: Reporter) -> None:
    """Train in place on random windows of the ids (tokens,), always the same ones."""
    size = max(1, min(model.config.context, len(ids) - 1))
    chance = np.random.default_rng(0)
    optimizer = torch.optim.AdamW(model.model.parameters(), lr=rate)
    reporter.stage("train", steps, "steps")
    model.model.train()
    for step in range(1, steps + 1):
        starts = chance.integers(0, len(ids) - size, _BATCH)
        rows = torch.from_numpy(np.stack([ids[start : start + size] for start in starts]).astype(np.int64))
        loss = model.model(input_ids=rows, labels=rows).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.model.parameters(), 1.0)
        optimizer.step()
        reporter.advance(step, loss=loss.item())
    model.model.eval()


@torch.no_grad()
def _speeds(model: Pretrained, texts: Sequence[str]) -> tuple[float, float]:
    """Return bytes of text a second, read in one window and written greedily after one; medians of three."""
    prompt = max(texts, key=len)
    tokenizer, size = model.tokenizer, model.config.context

    def read() -> int:
        ids = tokenizer.encode_array(prompt, False)[:size]
        model.model(input_ids=torch.from_numpy(ids.astype(np.int64))[None])
        return len(tokenizer.decode_bytes(ids))

    def write() -> int:
        start = max(1, size // 2 - _WRITTEN_TOKENS)
        given = tokenizer.encode_array(prompt, False)[:start]
        ids = torch.from_numpy(given.astype(np.int64))[None]
        room = min(_WRITTEN_TOKENS, size - len(given))
        found = model.model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=room,
            min_new_tokens=room,
            do_sample=False,
        )
        written = found[0, len(given) :].numpy().astype(np.int32)
        return len(tokenizer.decode_bytes(written[written < tokenizer.vocab_size]))  # a matrix may have spare rows

    return _per_second(read), _per_second(write)


def _per_second(work: Callable[[], int]) -> float:
    work()
    found = []
    for _ in range(_ROUNDS):
        start = time.perf_counter()
        size = work()
        found.append(size / max(time.perf_counter() - start, 1e-9))
    return median(found)
