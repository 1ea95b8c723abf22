"""`tokframe new-plugin`: write a plugin package that installs, is discovered and passes its contract."""

from __future__ import annotations

import keyword
import re
import shlex
import sys
from contextlib import suppress
from datetime import date
from importlib import resources
from pathlib import Path
from string import Template

import click

from tokframe._version import __version__
from tokframe.cli.options import Command
from tokframe.errors import InvalidSpecError, UnknownNameError
from tokframe.plugins.discovery import host
from tokframe.storage.paths import expanded
from tokframe.storage.places import claimed_place, writing_folder

__all__ = ["command", "render"]

_NAME = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")
_PREFIX = "tokframe-"
#: Kind of part -> its summary, and its settings in a small autoencoder.
_PARTS = {
    "encoder": (
        "two linear layers over the bytes of a segment",
        '"d_latent": 32, "max_chunk_size": 8, "d_char": 16, "hidden": 128',
    ),
    "quantizer": ("one bit per dimension: the sign", '"bits": 14, "vocab_size": 300'),
    "decoder": ("two linear layers from a latent to bytes and an end", '"d_latent": 32, "hidden": 128'),
}
_KINDS = (*_PARTS, "tokenizer")
_TOKENIZER_EXTRAS = 'test = ["tokframe[testing]"]'
_PART_EXTRAS = 'train = ["torch>=2.2"]\ntest = ["tokframe[testing]", "tokframe-autoencoder[train]"]'


@click.command(
    "new-plugin",
    cls=Command,
    examples=[
        "tokframe new-plugin tokframe-sign --kind quantizer",
        "cd tokframe-sign && pip install -e '.[test]' && pytest",
    ],
)
@click.argument("name", metavar="NAME")
@click.option("--kind", type=click.Choice(_KINDS), required=True, help="What the plugin adds.")
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="Output folder.  [default: ./NAME]")
def command(name: str, kind: str, out: Path | None) -> None:
    """Write a plugin to start from: it installs, is discovered, trains, and passes its contract.

    NAME is the distribution's: lower-case words joined by hyphens. The component has the same name, without a
    leading "tokframe-".
    """
    from tokframe.cli.console import say

    target = expanded(out or name)
    files = render(name, kind)
    with claimed_place(target), writing_folder(target) as folder:
        for path, text in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text, encoding="utf-8")
    for path in files:
        say(str(target / path))
    short = name.removeprefix(_PREFIX)
    say(f"\nThe {kind} {short!r}. Next:\n  {shlex.join(['cd', str(target)])}\n  pip install -e '.[test]'\n  pytest")


def render(name: str, kind: str) -> dict[str, str]:
    """Return path -> text of every file of a new plugin. Raises: InvalidSpecError for a name it cannot have."""
    short, module = name.removeprefix(_PREFIX), name.replace("-", "_")
    if problem := _problem(name, kind):
        raise InvalidSpecError(f"the name {name!r} {problem}", kind=kind, name=name)
    title = "".join(word.title() for word in short.split("-"))
    summary, settings = _PARTS.get(kind, ("", ""))
    values = {
        "kind": kind,
        "distribution": name,
        "module": module,
        "name": short,
        "class_name": title if title.lower().endswith(kind) else title + kind.title(),
        "bounds": _bounds(),
        "year": str(date.today().year),
        "extras": _PART_EXTRAS if kind in _PARTS else _TOKENIZER_EXTRAS,
        "summary": summary,
        "part_settings": settings,
    }
    family = "component" if kind in _PARTS else kind
    source = f"src/{module}"
    places = {
        "pyproject.toml": "common/pyproject.toml",
        "LICENSE": "common/LICENSE",
        ".gitignore": "common/gitignore",
        ".github/workflows/tests.yml": "common/tests.yml",
        "README.md": f"{family}/README.md",
        f"{source}/__init__.py": f"{family}/init.py",
        f"{source}/config.py": f"{kind}/config.py",
        f"{source}/{kind}.py": f"{kind}/{kind}.py",
        "tests/test_contract.py": f"{kind}/test_contract.py",
        "tests/test_training.py": f"{family}/test_training.py",
    }
    root = resources.files("tokframe.cli") / "templates"
    files = {
        path: Template((root / f"{template}.tmpl").read_text(encoding="utf-8")).substitute(values)
        for path, template in places.items()
    }
    return files | {f"{source}/py.typed": ""}


def _problem(name: str, kind: str) -> str:
    """Return what is wrong with the name of a plugin, or ""."""
    short, module = name.removeprefix(_PREFIX), name.replace("-", "_")
    if not _NAME.fullmatch(name):
        near = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-0123456789")
        hint = f"; {near!r} would do" if _NAME.fullmatch(near) else "; e.g. 'tokframe-sign'"
        return f"is not lower-case words joined by hyphens, beginning with a letter{hint}"
    if not _NAME.fullmatch(short):
        return f"leaves {short!r} as the name of the {kind}, which must begin with a letter"
    if keyword.iskeyword(module) or module in sys.stdlib_module_names or module == "tokframe":
        return f"would be imported as {module!r}, which is Python's or tokframe's own; {_PREFIX + name!r} would do"
    with suppress(UnknownNameError):
        taken = host().registry.get(kind, short)
        return f"would add the {kind} {short!r}, which {taken.distribution} has already; choose another name"
    return ""


def _bounds() -> str:
    """Return the requirement on tokframe: this minor version, as the next may change what plugins rely on."""
    major, minor = (int(part) for part in __version__.split(".")[:2])
    return f">={major}.{minor},<{major}.{minor + 1}" if major == 0 else f">={major}.{minor},<{major + 1}"
