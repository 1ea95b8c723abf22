"""`tokframe new-plugin`: write a plugin package that installs, is discovered and passes its contract."""

from __future__ import annotations

import keyword
import re
import sys
from importlib import resources
from pathlib import Path
from string import Template

import click
from attrs import frozen

from tokframe._version import __version__
from tokframe.errors import InvalidSpecError, UnknownNameError
from tokframe.plugins.discovery import host
from tokframe.storage.places import writing_folder

__all__ = ["command", "render"]

_KINDS = ("encoder", "quantizer", "decoder", "tokenizer")
_NAME = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")
_PREFIX = "tokframe-"
#: Kind -> settings other than the defaults for the contract, settings of a part in a small autoencoder.
_SETTINGS = {
    "encoder": ('"d_char": 8, "hidden": 48', '"d_latent": 32, "max_chunk_size": 8, "d_char": 16, "hidden": 128'),
    "quantizer": ('"bits": 9, "vocab_size": 300, "spread": 1.0', '"bits": 14, "vocab_size": 300'),
    "decoder": ('"hidden": 48', '"d_latent": 32, "hidden": 128'),
    "tokenizer": ('"vocab_size": 300, "longest": 6', ""),
}
_SUMMARIES = {
    "encoder": "two linear layers over the bytes of a segment",
    "quantizer": "one bit per dimension: the sign",
    "decoder": "two linear layers from a latent to bytes and an end",
    "tokenizer": "the most frequent words and the 256 bytes, by longest match",
}


@frozen(kw_only=True)
class _Names:
    """Names of a plugin's parts."""

    distribution: str
    module: str
    name: str
    class_name: str


@click.command(
    "new-plugin",
    epilog="\b\nExample:\n  tokframe new-plugin tokframe-sign --kind quantizer\n"
    "  cd tokframe-sign && pip install -e '.[test]' && pytest",
)
@click.argument("name", metavar="NAME")
@click.option("--kind", type=click.Choice(_KINDS), required=True, help="What the plugin adds.")
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="Output folder.  [default: ./NAME]")
def command(name: str, kind: str, out: Path | None) -> None:
    """Write a plugin to start from: it installs, is discovered, trains, and passes its contract.

    NAME is the distribution's: lower-case words joined by hyphens. The component has the same name, without a
    leading "tokframe-".
    """
    names = _names(name, kind)
    target = out or Path(name)
    files = render(name, kind)
    with writing_folder(target) as folder:
        for path, text in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text, encoding="utf-8")
    for path in files:
        click.echo(target / path)
    click.echo(f"\nThe {kind} {names.name!r}. Next:\n  cd {target}\n  pip install -e '.[test]'\n  pytest")


def render(name: str, kind: str) -> dict[str, str]:
    """Return path -> text of every file of a new plugin. Raises: InvalidSpecError for a name it cannot have."""
    names = _names(name, kind)
    tokenizer = kind == "tokenizer"
    contract, part = _SETTINGS[kind]
    spec = [("kind", kind)] if not tokenizer else []
    spec += [
        ("name", names.name),
        ("target", f"{names.module}.{kind}:{names.class_name}"),
        ("config", f"{names.module}.config:Config"),
        ("summary", _SUMMARIES[kind]),
        *([] if tokenizer else [("extra", "train")]),
    ]
    train = [] if tokenizer else ['train = ["torch>=2.2"]']
    needed = ["tokframe[testing]"] if tokenizer else ["tokframe[testing]", "tokframe-autoencoder[train]"]
    extras = [*train, f"test = [{', '.join(f'{requirement!r}' for requirement in needed)}]".replace("'", '"')]
    values = {
        "kind": kind,
        "distribution": names.distribution,
        "module": names.module,
        "name": names.name,
        "class_name": names.class_name,
        "bounds": _bounds(),
        "extras": "".join(f"{line}\n" for line in extras),
        "spec_class": "TokenizerSpec" if tokenizer else "ComponentSpec",
        "hook": "tokframe_tokenizers" if tokenizer else "tokframe_components",
        "spec_lines": "\n".join(f'            {key}="{value}",' for key, value in spec),
        "contract_settings": contract,
        "part_settings": part,
        "use": _use(names.name, kind),
    }
    source = f"src/{names.module}"
    places = {
        "pyproject.toml": "common/pyproject.toml",
        "README.md": "common/README.md",
        f"{source}/__init__.py": "common/init.py",
        f"{source}/config.py": f"{kind}/config.py",
        f"{source}/{kind}.py": f"{kind}/{kind}.py",
        "tests/test_contract.py": f"{kind}/test_contract.py",
        "tests/test_training.py": "tokenizer/test_training.py" if tokenizer else "common/test_training.py",
    }
    root = resources.files("tokframe.cli") / "templates"
    files = {
        path: Template((root / f"{template}.tmpl").read_text(encoding="utf-8")).substitute(values)
        for path, template in places.items()
    }
    return files | {f"{source}/py.typed": ""}


def _names(name: str, kind: str) -> _Names:
    """Return the names of the parts. Raises: InvalidSpecError saying what is wrong with the name."""
    short = name.removeprefix(_PREFIX)
    module = name.replace("-", "_")
    problem = ""
    if not _NAME.fullmatch(name):
        near = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-0123456789")
        hint = f"; {near!r} would do" if _NAME.fullmatch(near) else "; e.g. 'tokframe-sign'"
        problem = f"is not lower-case words joined by hyphens, beginning with a letter{hint}"
    elif not _NAME.fullmatch(short):
        problem = f"leaves {short!r} as the name of the {kind}, which must begin with a letter"
    elif keyword.iskeyword(module) or module in sys.stdlib_module_names or module == "tokframe":
        problem = f"would be imported as {module!r}, which is Python's or tokframe's own; {_PREFIX + name!r} would do"
    else:
        registry = host().registry
        try:
            taken = registry.get(kind, short)
            problem = f"would add the {kind} {short!r}, which {taken.distribution} has already; choose another name"
        except UnknownNameError:
            pass
    if problem:
        raise InvalidSpecError(f"the name {name!r} {problem}", kind=kind, name=name)
    title = "".join(word.title() for word in short.split("-"))
    class_name = title if title.lower().endswith(kind) else title + kind.title()
    return _Names(distribution=name, module=module, name=short, class_name=class_name)


def _bounds() -> str:
    """Return the requirement on tokframe: this minor version, as the next may change what plugins rely on."""
    major, minor = (int(part) for part in __version__.split(".")[:2])
    return f">={major}.{minor},<{major}.{minor + 1}" if major == 0 else f">={major}.{minor},<{major + 1}"


def _use(name: str, kind: str) -> str:
    if kind == "tokenizer":
        return (
            f"```\ntokframe train {name} --corpus my-text/ --out ./mine\n"
            "tokframe compare ./mine bpe --corpus my-other-text/\n```"
        )
    return (
        f'```\necho \'{{"{kind}": {{"component": "{name}"}}}}\' > config.json\n'
        "tokframe train autoencoder-fsq --config config.json --corpus my-text/ --out ./mine\n```"
    )
