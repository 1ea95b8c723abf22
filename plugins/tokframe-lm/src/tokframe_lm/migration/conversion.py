"""Conversion: a model of transformers moved to another tokenizer, its outputs calibrated, and written for it.

Vectors are left to `tokframe.convert_embeddings`, and the tokenizer's files to the exporter "huggingface".
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from attrs import asdict, frozen
from torch import Tensor, nn
from transformers import (
    GenerationConfig,
    PreTrainedTokenizerFast,
)

import tokframe
from tokframe.corpus.files import Corpus
from tokframe.errors import (
    CorpusError,
)
from tokframe.plugins.discovery import host
from tokframe.plugins.registry import call_target, load_target
from tokframe.storage.advice import FIRST_PARTY
from tokframe.storage.places import claimed_place, writing_folder
from tokframe.storage.strictjson import canonical_json
from tokframe.tokenizer.base import ITokenizer
from tokframe.tokenizer.display import Result
from tokframe.tokenizer.results import IntArray
from tokframe.training.progress import AUTO, Reporter, shows_progress
from tokframe.training.run_folder import without_output
from tokframe_lm.data.tokens import documents
from tokframe_lm.migration.pretrained import Pretrained, json_object, quiet, read_pretrained

__all__ = ["PretrainedMigration", "calibrate_output", "migrate_pretrained", "move"]

_WINDOWS = 48  # of the model's context, whose hidden states are looked at
_PLACES = 1536  # of them that are predicted at each trial
_SCALES = (1.0, 0.7, 0.5, 0.35, 0.25)
_ROUNDS = 3  # of fitting the biases
_UNSEEN = 0.1  # times that an id counts which the text does not have
_CHUNK_ROWS = 64  # positions whose logits are held at once
_CALIBRATION_BYTES = 2_000_000
RECORD = "tokframe.json"  # says that a folder is a migrated model, which --overwrite may replace
_MASKED_ROLES = ("cls", "sep", "mask")
#: Of a generation config: they name ids of the old tokenizer.
_OLD_IDS = (
    "bad_words_ids", "begin_suppress_tokens", "decoder_start_token_id", "force_words_ids", "forced_bos_token_id",
    "forced_decoder_ids", "forced_eos_token_id", "sequence_bias", "suppress_tokens",
)  # fmt: skip


@frozen(kw_only=True, repr=False)
class PretrainedMigration(Result):
    """What was made of a model: numbers of new ids by the source of their vectors (see `tokframe.Conversion`).

    `rows_before` and `rows_after` are rows of the embedding, `parameters_*` of the whole model; `tied` says whether
    input and output share it, and `scale` is the factor of the output vectors (1 without a corpus). `same` is whether
    the exported tokenizer gives the ids of `tokenizer`.
    """

    model_type: str
    task: str
    tokenizer: str
    method: str
    tied: bool
    scale: float
    copied: int
    composed: int
    guessed: int
    rows_before: int
    rows_after: int
    parameters_before: int
    parameters_after: int
    same: bool


@shows_progress
def migrate_pretrained(
    model: str | Path,
    *,
    new: str | Path,
    out: str | Path,
    old: str | Path | None = None,
    method: str = "weighted",
    corpus: Corpus | str | Path | Sequence[str | Path] | None = None,
    max_bytes: int = 0,
    untie: bool = False,
    overwrite: bool = False,
    reporter: Reporter = AUTO,
) -> PretrainedMigration:
    """Convert a model folder of transformers to the tokenizer `new` and write both at `out`, whole or not at all.

    What is written loads by `AutoModelForCausalLM` (or `AutoModelForMaskedLM`) and `AutoTokenizer` without tokframe. A
    masked model keeps its own tokens for mask, beginning and end, after the ids of `new`, where `new` has none.
    `old` is the model's tokenizer, by default its `tokenizer.json`. With a `corpus`, of which `max_bytes` are read (0:
    2 MB), the outputs of a causal model are calibrated to how often it has each new id. `untie` gives input and output
    a matrix each, which fit better: what is read takes most of its last part, what is predicted of its first.

    Raises: as `read_pretrained`; CorpusError if the corpus holds no text; ArtifactExistsError or ArtifactError if
    `out` may not be written; ConfigError for an
    unknown method; UnsupportedError for a tokenizer that cannot be exported.
    """
    exporter = host().registry.component("exporter", "huggingface", FIRST_PARTY)
    with claimed_place(out, _is_ours, overwrite=overwrite):
        tokenizer = tokframe.load(new)
        before = read_pretrained(model, old)
        counts = [_parameters(before.model)]
        found, extra = move(before, tokenizer, method, untie=untie)
        scale = 1.0
        if corpus is not None and not before.is_masked:
            ids = _ids(without_output(corpus, out, reporter), tokenizer, max_bytes or _CALIBRATION_BYTES, reporter)
            scale = calibrate_output(before, ids)
        with writing_folder(out, _is_ours, overwrite=overwrite) as folder:
            with quiet():
                before.model.save_pretrained(folder)
            checks = call_target(
                exporter, load_target(exporter), tokenizer, folder, special_tokens="found" if extra else "auto"
            )
            _finish_tokenizer(folder, before, extra)
            done = PretrainedMigration(
                model_type=before.model.config.model_type,
                task="masked" if before.is_masked else "causal",
                tokenizer=tokenizer.name,
                parameters_before=counts[0],
                parameters_after=_parameters(before.model),
                scale=scale,
                same=all(check.ok for check in checks),
                **found,
            )
            (folder / RECORD).write_bytes(canonical_json({"format": "tokframe-migrated", **asdict(done)}))
    return done


def move(
    before: Pretrained, new: ITokenizer, method: str = "weighted", *, untie: bool = False
) -> tuple[dict[str, Any], dict[str, str]]:
    """Give a model the ids of another tokenizer, in place; return the figures, and role to token of added ones.

    Raises: ConfigError for an unknown method.
    """
    model, old = before.model, before.tokenizer
    size = old.vocab_size
    source, output = model.get_input_embeddings().weight, model.get_output_embeddings()
    tied = output.weight is source and not untie
    extra = {
        role: text
        for role in (_MASKED_ROLES if before.is_masked else ())
        if role not in new.special_roles and (text := old.special_roles.get(role)) and text not in new.special_tokens
    }
    kept = [old.special_tokens[text] for text in extra.values()]

    def converted(rows: Tensor, side: str) -> tuple[Tensor, Any]:
        made, report = tokframe.convert_embeddings(old, new, rows.detach()[:size], method=method, side=side)
        return torch.cat([made, rows.detach()[kept]]), report

    inputs, report = converted(source, "tied" if tied else "input")
    weights = inputs if tied else converted(output.weight, "output")[0]
    bias = None if getattr(output, "bias", None) is None else converted(output.bias, "output")[0]
    rows_before, rows = len(source), len(inputs)
    with quiet():  # it advises to train the new rows
        model.resize_token_embeddings(rows, mean_resizing=False)
    if untie:
        model.config.tie_word_embeddings = False
        model.get_output_embeddings().weight = nn.Parameter(weights.clone())
    with torch.no_grad():
        model.get_input_embeddings().weight.copy_(inputs)
        model.get_output_embeddings().weight.copy_(weights)
        if bias is not None:
            model.get_output_embeddings().bias.copy_(bias)
    _set_ids(model, new, extra)
    before.tokenizer = new
    found = {"copied": report.copied, "composed": report.composed, "guessed": report.guessed}
    return {**found, "method": method, "tied": tied, "rows_before": rows_before, "rows_after": rows}, extra


@torch.no_grad()
def calibrate_output(model: Pretrained, ids: IntArray) -> float:
    """Set the outputs of a causal model to the frequencies of ids (tokens,) in a text; return the factor of its logits.

    As `calibration.calibrate` does with the biases of tokframe's own models, by iterative proportional fitting. Most
    models of transformers have no output biases; but their last hidden states have a large mean, so that adding a
    multiple of it to a row is to add a bias to its logit. Of tied rows only that is done: to scale them would change
    what the model reads.
    """
    head = model.model.get_output_embeddings()
    table, size = head.weight.detach().float(), model.config.context
    tied = head.weight is model.model.get_input_embeddings().weight
    counts = np.bincount(ids, minlength=len(table)) + _UNSEEN
    wanted = torch.from_numpy(counts / counts.sum()).float().log()
    states, targets = _states(model, ids, size)
    mean = states.mean(0)
    best, chosen = math.inf, (1.0, wanted)
    for scale in (1.0,) if tied else _SCALES:
        bias = wanted - table @ mean * scale
        for _ in range(_ROUNDS):
            expected, loss = _expected(states * scale, targets, table, bias)
            bias = bias + wanted - expected.clamp_min(1e-30).log()
        loss = _expected(states * scale, targets, table, bias)[1]
        if loss < best:
            best, chosen = loss, (scale, bias)
    scale, bias = chosen
    if getattr(head, "bias", None) is not None:
        head.weight.mul_(scale)
        head.bias.copy_(bias)
    else:
        rows = table * scale + (bias - bias.mean())[:, None] * mean / mean.square().sum().clamp_min(1e-12)
        head.weight.copy_(rows)
    return scale


def _states(model: Pretrained, ids: IntArray, size: int) -> tuple[Tensor, Tensor]:
    """Return what the output embeddings get at places spread over a text (places, d), and the ids to come (places,)."""
    size = max(1, min(size, len(ids) - 1))
    starts = np.unique(np.linspace(0, max(0, len(ids) - 1 - size), _WINDOWS).astype(np.int64))
    found: list[Tensor] = []
    targets = []
    hook = model.model.get_output_embeddings().register_forward_pre_hook(
        lambda module, given: found.append(given[0].detach().float()[0])
    )
    try:
        for start in starts.tolist():
            window = torch.from_numpy(np.asarray(ids[start : start + size + 1], np.int64))
            model.model(input_ids=window[None, :-1])
            targets.append(window[1:])
    finally:
        hook.remove()
    states, wanted = torch.cat(found), torch.cat(targets)
    chosen = torch.linspace(0, len(states) - 1, min(_PLACES, len(states))).long()
    return states[chosen], wanted[chosen]


def _expected(states: Tensor, targets: Tensor, table: Tensor, bias: Tensor) -> tuple[Tensor, float]:
    """Return the mean prediction (ids,) and the mean loss in nats."""
    total, loss = torch.zeros(len(table)), 0.0
    for start in range(0, len(states), _CHUNK_ROWS):
        logs = (states[start : start + _CHUNK_ROWS] @ table.T + bias).log_softmax(-1)
        loss -= float(logs.gather(1, targets[start : start + _CHUNK_ROWS, None]).sum())
        total += logs.exp_().sum(0)
    return total / len(states), loss / len(states)


def _ids(corpus: Corpus, tokenizer: ITokenizer, max_bytes: int, reporter: Reporter) -> IntArray:
    reporter.stage("calibrate", max_bytes / 1e6, "MB")
    parts, size = [np.empty(0, np.int32)], 0
    for text in documents(corpus, max_bytes):
        parts.append(tokenizer.encode_array(text, False))
        size += len(text.encode())
        reporter.advance(size / 1e6)
    found = np.concatenate(parts)
    if len(found) < 2:
        raise CorpusError("the corpus holds no text to calibrate the model on. Name another: --corpus FILE")
    return found


def _set_ids(model: Any, new: ITokenizer, extra: Mapping[str, str]) -> None:
    """Name the new ids of special tokens in the model's configs, and none of the old."""
    special = {**new.special_tokens, **{text: new.vocab_size + n for n, text in enumerate(extra.values())}}
    roles = {**new.special_roles, **extra}
    for role in ("pad", "bos", "eos", "cls", "sep", "mask"):
        number = special.get(roles.get(role, ""))
        name = f"{role}_token_id"
        if role in ("pad", "bos", "eos") or hasattr(model.config, name):
            setattr(model.config, name, number)
    model.config.vocab_size = new.vocab_size + len(extra)
    generation = getattr(model, "generation_config", None)
    if isinstance(generation, GenerationConfig):
        for role in ("pad", "bos", "eos"):
            setattr(generation, f"{role}_token_id", getattr(model.config, f"{role}_token_id"))
        for name in _OLD_IDS:
            if getattr(generation, name, None) is not None:
                setattr(generation, name, None)


def _finish_tokenizer(folder: Path, model: Pretrained, extra: Mapping[str, str]) -> None:
    """Add what belongs to the model to the exported tokenizer: its context, and the special tokens of a masked one."""
    config = json_object(folder, "tokenizer_config.json")
    config["model_max_length"] = model.config.context
    (folder / "tokenizer_config.json").write_text(json.dumps(config, ensure_ascii=False, indent=2), encoding="utf-8")
    if not extra:
        return
    written = PreTrainedTokenizerFast.from_pretrained(folder)
    written.add_special_tokens({f"{role}_token": text for role, text in extra.items()})
    if {"cls", "sep"} <= extra.keys():
        from tokenizers.processors import TemplateProcessing

        first, last = extra["cls"], extra["sep"]
        ends = [(text, written.convert_tokens_to_ids(text)) for text in (first, last)]
        written.backend_tokenizer.post_processor = TemplateProcessing(
            f"{first} $A {last}", f"{first} $A {last} $B:1 {last}:1", ends
        )
    written.save_pretrained(folder)


def _parameters(model: Any) -> int:
    return sum(tensor.numel() for tensor in model.parameters())


def _is_ours(folder: Path) -> bool:
    return (folder / RECORD).is_file()
