"""tokframe-lm: train, evaluate, compare, generate and migrate language models over any tokenizer. Imports lazily."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from tokframe import ComponentSpec, hookimpl

if TYPE_CHECKING:
    import click

    from tokframe_lm.comparison.comparison import compare
    from tokframe_lm.evaluation.bits_per_byte import evaluate
    from tokframe_lm.evaluation.loglikelihood import loglikelihood, score
    from tokframe_lm.finetuning.finetuning import finetune
    from tokframe_lm.generation import generate
    from tokframe_lm.migration.autoclasses import TokframeLMConfig, TokframeLMForCausalLM, register_auto_classes
    from tokframe_lm.migration.conversion import migrate_pretrained
    from tokframe_lm.migration.migration import migrate
    from tokframe_lm.migration.report import migrate_report
    from tokframe_lm.storage import load
    from tokframe_lm.training import train

__all__ = [
    "TokframeLMConfig",
    "TokframeLMForCausalLM",
    "compare",
    "evaluate",
    "finetune",
    "generate",
    "load",
    "loglikelihood",
    "migrate",
    "migrate_pretrained",
    "migrate_report",
    "register_auto_classes",
    "score",
    "tokframe_commands",
    "tokframe_components",
    "train",
]

__version__ = "0.1.0"

_MODULES = {
    "TokframeLMConfig": "migration.autoclasses",
    "TokframeLMForCausalLM": "migration.autoclasses",
    "compare": "comparison.comparison",
    "evaluate": "evaluation.bits_per_byte",
    "finetune": "finetuning.finetuning",
    "generate": "generation",
    "load": "storage",
    "loglikelihood": "evaluation.loglikelihood",
    "migrate": "migration.migration",
    "migrate_pretrained": "migration.conversion",
    "migrate_report": "migration.report",
    "register_auto_classes": "migration.autoclasses",
    "score": "evaluation.loglikelihood",
    "train": "training",
}

#: name -> class in `model.embeddings`, summary
_EMBEDDINGS = {
    "lookup": ("LookupEmbedding", "one row per id"),
    "factored": ("FactoredEmbedding", "the sum of one row per digit of an id's code"),
    "factored-lookup": ("FactoredLookupEmbedding", "digits and a row per id added up"),
    "spelled": ("SpelledEmbedding", "a row per id and rows shared by ids that are spelled alike; for any tokenizer"),
    "factored-spelled": ("FactoredSpelledEmbedding", "digits, spelling and a row per id added up"),
    "vectors": ("VectorsEmbedding", "the vectors that a tokenizer ships, projected; to add: spelled+vectors"),
    "encoder": ("EncoderEmbedding", "the latents of a tokenizer's network, projected; to add: spelled+encoder"),
}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


@hookimpl
def tokframe_components() -> list[ComponentSpec]:
    """Add the embeddings and the heads."""
    return [
        *(
            ComponentSpec(kind="embedding", name=name, target=f"tokframe_lm.model.embeddings:{target}", summary=summary)
            for name, (target, summary) in _EMBEDDINGS.items()
        ),
        ComponentSpec(
            kind="head",
            name="softmax",
            target="tokframe_lm.model.heads:SoftmaxHead",
            summary="a logit for every id, tied to the embedding",
        ),
        ComponentSpec(
            kind="head",
            name="decoder",
            target="tokframe_lm.model.decoder:DecoderHead",
            config="tokframe_lm.model.decoder:DecoderConfig",
            summary="the next id written byte by byte along the vocabulary's trie; costs little per id",
        ),
    ]


@hookimpl
def tokframe_commands() -> list[click.Command]:
    """Add the group `lm`, and `migrate-report`."""
    from tokframe_lm.cli.main import group
    from tokframe_lm.cli.report import report_command

    return [group, report_command]
