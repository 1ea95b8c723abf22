"""The generated pages: `python docs/generate.py` writes them, and a test tells when one is out of date."""

from __future__ import annotations

import html
import inspect
import json
import re
import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path

import click
import tokframe_huggingface
import tokframe_lm
from tokframe_lm.finetuning.config import FinetuneConfig
from tokframe_lm.model.config import LMConfig

import tokframe
from tokframe import errors
from tokframe.cli.main import _root as cli
from tokframe.plugins.registry import load_config
from tokframe.storage.documented import Key, keys_of

FOLDER = Path(__file__).parent
TOKENIZERS = ("autoencoder-fsq", "dictionary", "bpe", "word")
#: Components whose settings are in no tokenizer's default config.
OTHERS = (("quantizer", "vq"), ("quantizer", "rfsq"), ("quantizer", "lfq"), ("head", "decoder"))

_HEAD = """# Config keys

Generated from the config classes by `python docs/generate.py`: every key of every training config, with its default, type, bounds and
meaning. `tokframe config NAME` prints the same for one tokenizer.

Three ways to set a key, the later over the earlier:

```
tokframe train autoencoder-fsq --config mine.json --set training.max_minutes=5 --vocab-size 8000 --corpus my-text/ --out ./mine
```

`mine.json` holds `{"vocab_size": 16000, "training": {"max_minutes": 30}}`; a part before a dot is a section. `--print-config` in place of
`--corpus` and `--out` shows the whole config as it would be used. In Python: `tokframe.train(..., config={...}, vocab_size=8000)`,
`tokframe.config(name)`, `tokframe.training_config(name, config)`.

A section of the autoencoder may name another component, as `"quantizer": {"component": "vq"}`; the quantizer's section may also bear its
name: `"vq": {...}`. `vocab_size` stands outside of the sections; configs that have it in the quantizer's section or in `selection` stay
valid.
"""


def config_page() -> str:
    """Return the page of config keys."""
    parts = [_HEAD]
    for name in TOKENIZERS:
        parts += [f"## {name}", "", f"`tokframe train {name}`", "", *_table(tokframe.config(name).keys), ""]
    for title, cls in (("lm train", LMConfig), ("lm finetune", FinetuneConfig)):
        parts += [f"## {title}", "", f"`tokframe {title}`", "", *_table(keys_of(cls)), ""]
    registry = tokframe.host().registry
    for kind, name in OTHERS:
        spec = registry.component(kind, name)
        parts += [f"## {kind} {name}", "", f"Of {spec.distribution}.", "", *_table(keys_of(load_config(spec))), ""]
    return "\n".join(parts)


def _table(keys: Iterable[Key]) -> Iterator[str]:
    yield "| key | default | type | bounds | meaning |"
    yield "|---|---|---|---|---|"
    for key in keys:
        cells = (f"`{key.key}`", f"`{json.dumps(key.default)}`", key.type, key.allowed, key.meaning)
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


#: Public names of `tokframe` by what they are for; a test tells which one is in none.
API = {
    "Load, make and save": ("load", "create", "train", "extend", "prune", "save", "reload_aliases"),
    "Look and measure": (
        "info",
        "verify",
        "compare",
        "analyze",
        "count",
        "vocab",
        "shadow",
        "config",
        "training_config",
    ),
    "Corpora and other formats": ("Corpus", "tokenize", "export"),
    "Models": ("convert_embeddings",),
    "Tokenizers": (
        "ITokenizer",
        "TableTokenizer",
        "Capabilities",
        "Encoding",
        "TokenizerModel",
        "ImpossiblePairs",
        "IntArray",
    ),
    "Results": (
        "Result",
        "Analysis",
        "Comparison",
        "ConfigKeys",
        "Counts",
        "Export",
        "TrainingRecord",
        "VerifyReport",
        "Vocabulary",
    ),
    "Training": (
        "TrainJob",
        "Reporter",
        "SilentReporter",
        "TrackingReporter",
        "TensorBoardReporter",
        "WandbReporter",
    ),
    "Plugins": (
        "hookimpl",
        "host",
        "list_components",
        "ComponentSpec",
        "TokenizerSpec",
        "Check",
        "Migration",
        "Quantized",
        "State",
        "setting",
        "structure",
        "unstructure",
        "TokframeDeprecationWarning",
    ),
}
#: Plugins of this project with calls of their own.
PACKAGES = {"Language models": tokframe_lm, "Hugging Face": tokframe_huggingface}
#: Modules and their members that are not in `import tokframe`.
MODULES = {
    "Prompts": {"tokframe.tokenizer.prompts": ("Prompt", "Growth")},
    "Shards and engines": {
        "tokframe.shards": ("ShardSettings", "TokenShards"),
        "tokframe.shards.engines": ("Engine", "engine", "local"),
    },
    "Shadowing": {
        "tokframe.shadowing.tokenizer": ("ShadowTokenizer",),
        "tokframe.shadowing.report": ("ShadowReport", "ShadowSide"),
    },
    "Protocols of parts and hooks": {"tokframe.plugins.protocols": (), "tokframe.plugins.hookspecs": ()},
    "Other results": {"tokframe.tokenizer.results": ("PaddedBatch",)},
}


def api_page() -> str:
    """Return the page of the Python API: what is shown of each name is mkdocstrings' work."""
    homes = tokframe._HOMES
    parts = [
        "# API\n",
        "Generated by `python docs/generate.py` from the docstrings. `import tokframe` gives every name of the first sections; it "
        "loads nothing until a name is used. Calls for notebooks: [Python](python.md). Exceptions: [errors](errors.md).\n",
    ]
    for title, names in API.items():
        parts.append(f"## {title}\n")
        parts += [_shown(f"tokframe.{homes[name]}.{name}", f"tokframe.{name}") for name in names]
    for title, package in PACKAGES.items():
        parts.append(f"## {title}\n\nOf `{package.__name__}`.\n")
        for name, module in package._MODULES.items():
            parts.append(_shown(f"{package.__name__}.{module}.{name}", f"{package.__name__}.{name}"))
    for title, modules in MODULES.items():
        parts.append(f"## {title}\n")
        for module, members in modules.items():
            parts.append(f"::: {module}\n    options:\n      heading_level: 3\n      show_root_heading: false")
            parts.append(f"      members: [{', '.join(members)}]\n" if members else "")
    return "\n".join(parts)


def _shown(path: str, heading: str) -> str:
    options = f"heading: {heading}\n      toc_label: {heading.partition('.')[2]}\n      heading_level: 3"
    return f"::: {path}\n    options:\n      {options}\n"


def errors_page() -> str:
    """Return the page of errors: the tree, then each with what it means and what it was raised with."""
    tree = (inspect.getdoc(errors) or "").split("\n\n")[1]
    parts = [
        "# Errors\n",
        "Generated by `python docs/generate.py`. Every exception that tokframe raises on purpose is a `TokframeError`; its text says what "
        "happened and what to do, and its facts are attributes. Catch the most general one that you can handle:\n",
        f"```\n{tree}\n```\n",
        "On the command line each is one message on stderr and exit code 1.\n",
    ]
    for name in errors.__all__:
        base = getattr(errors, name).__bases__[0].__name__
        parts.append(f"::: tokframe.errors.{name}\n    options:\n      heading_level: 2\n")
        parts += [f"A [`{base}`][tokframe.errors.{base}].\n"] if base in errors.__all__ else []
    return "\n".join(parts)


def cli_page() -> str:
    """Return the page of all commands with their options."""
    context = click.Context(cli, info_name="tokframe")
    parts = [
        "# Command line\n",
        "Generated by `python docs/generate.py` from the commands, those of the plugins of this project included. `tokframe COMMAND --help` "
        "shows the same in a terminal. NAME is a registered name, an alias or a path with a separator (`./mine`).\n",
    ]
    for name in cli.list_commands(context):
        command = cli.get_command(context, name)
        assert command is not None
        parts += _command(f"tokframe {name}", command, context)
    return "\n".join(parts)


def _command(path: str, command: click.Command, parent: click.Context) -> Iterator[str]:
    context = click.Context(command, info_name=path.rpartition(" ")[2], parent=parent)
    yield f"## {path}\n"
    yield f"{_prose(command.help or '')}\n"
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            assert child is not None
            yield from _command(f"{path} {name}", child, context)
        return
    usage = " ".join(command.collect_usage_pieces(context))
    yield f"```\n{path} {usage}\n```\n"
    records = [record for param in command.get_params(context) if (record := param.get_help_record(context))]
    options = [record for record in records if record[0] != "--help"]
    if options:
        yield "| argument or option | meaning |\n|---|---|"
        yield "\n".join(_row(option, text) for option, text in options) + "\n"
    if schema := getattr(command, "schema", ""):
        yield f"With `--json`:\n\n```\n{schema.strip()}\n```\n"
    if command.epilog:
        examples, _, rest = command.epilog.partition("Example:")[2].partition("\n\n")
        yield f"```\n{textwrap.dedent(examples.strip(chr(10)))}\n```\n"
        yield f"{_prose(rest)}\n" if rest else ""


def _prose(text: str) -> str:
    """Return help text as Markdown: braces and angle brackets as they are."""
    return re.sub(r"([<>*_{}\[\]])", r"\\\1", text.replace("\b", "").strip())


def _row(option: str, text: str) -> str:
    """Return a row of a table; the values of a choice stand with what it means."""
    name, _, choice = option.partition(" [")
    values = ", ".join(f"`{value}`" for value in choice.removesuffix("]").split("|"))
    meaning = f"{_prose(text)} One of {values}." if choice else _prose(text)
    cells = (f"<code>{html.escape(name)}</code>", meaning)
    return f"| {' | '.join(cell.replace('|', '&#124;').replace(chr(10), ' ') for cell in cells)} |"


#: Page -> what writes it.
PAGES = {"api.md": api_page, "cli.md": cli_page, "configs.md": config_page, "errors.md": errors_page}

if __name__ == "__main__":
    for name, page in PAGES.items():
        (FOLDER / name).write_text(page(), encoding="utf-8")
