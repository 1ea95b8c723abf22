"""Options that several commands share: NAME, `--corpus a b c` and `--json [FILE]`."""

from __future__ import annotations

import inspect
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from tokframe.cli.installed import complete_names
from tokframe.cli.stdout import kept_for_json
from tokframe.plugins.containment import PluginExitError, reason_of
from tokframe.training.torchrun import is_first

if TYPE_CHECKING:
    from tokframe.corpus.files import Corpus

__all__ = [
    "ARGUMENTS",
    "Command",
    "FileOption",
    "Place",
    "SpreadOption",
    "as_path",
    "corpus_option",
    "device_option",
    "json_file_option",
    "json_option",
    "languages_option",
    "name_argument",
    "open_corpus",
    "training_options",
    "with_settings",
]

_MAX_NOTES = 20  # on what was left out of a corpus
ARGUMENTS = "tokframe.arguments"  #: where a command's context keeps them as they were given

_TAKEN = "tokframe.taken"  # where a command's context keeps which option has which place

#: Options that name a file of results, which a later run must not take for text.
_RESULTS = ("json_to", "html")
F = TypeVar("F", bound=Callable[..., Any])


class SpreadOption(click.Option):
    """An option with all values up to the next option, which may be given again: `--corpus a b --corpus c`."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **{**settings, "multiple": True})


class Place(click.ParamType[str]):
    """A file or a folder to write results to, checked before any work; `-` is stdout."""

    def __init__(self, name: str) -> None:
        self.name = name

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the path. Raises: click.BadParameter where it cannot be written."""
        from tokframe.errors import ArtifactError
        from tokframe.storage.paths import expanded
        from tokframe.storage.places import check_file, check_writable

        if value == "-":
            if not isinstance(param, FileOption):
                self.fail(f"only JSON goes to stdout; name a {self.name}", param, ctx)
            return "-"
        place = f"{expanded(value)}{'/' * str(value).endswith('/')}"
        try:
            if self.name == "folder" and os.path.lexists(place) and not os.path.isdir(place):
                raise ArtifactError(f"{place} is not a folder", path=place)
            if self.name == "file":
                check_file(place)
            else:  # of a folder that is there its own rights count, not those of the folder it is in
                check_writable(os.path.join(place, "file") if os.path.isdir(place) else place)
        except ArtifactError as error:
            self.fail(str(error), param, ctx)
        option, taken = param.opts[0] if param else "", ctx.meta.setdefault(_TAKEN, {}) if ctx else {}
        if (other := taken.setdefault(os.path.realpath(place), option)) != option:
            self.fail(f"{value} is where the results of {other} go. Choose another path", param, ctx)
        return place


class FileOption(click.Option):
    """An option whose file may be omitted, for stdout: `--json`, `--json out.json`, `--json=out`."""


class Command(click.Command):
    """A command with `SpreadOption` and `FileOption`, rewritten for click; its help ends with its JSON and examples."""

    def __init__(self, *args: Any, examples: Sequence[str] = (), **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.help, _, self.schema = inspect.cleandoc(self.help or "").partition("\n\nJSON: ")
        if examples:
            self.epilog = "\n  ".join(("\b\nExample:", *examples))

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse arguments as click does, with spread options repeated before each value."""
        ctx.meta[ARGUMENTS] = tuple(args)
        relaxed = [option for option in self.params if option.required and isinstance(option, click.Option)]
        for option in relaxed:
            option.required = "--print-config" not in args
        try:
            return super().parse_args(ctx, list(self._expanded(args)))
        finally:
            for option in relaxed:
                option.required = True

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; what no Exception is arrives as one, so that an exit of a plugin's code is no success."""
        try:
            return super().invoke(ctx)
        except (Exception, KeyboardInterrupt):
            raise
        except BaseException as error:
            raise PluginExitError(reason_of(error)) from error

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the paragraph on JSON, which follows the options, then the examples."""
        if self.schema:
            with formatter.section("JSON"):
                formatter.write_text(self.schema)
        super().format_epilog(ctx, formatter)

    def _expanded(self, args: list[str]) -> Iterator[str]:
        kinds = {name: param for param in self.params for name in param.opts}
        position = 0
        while position < len(args):
            word = args[position]
            position += 1
            if word == "--":
                yield from args[position - 1 :]
                return
            option = kinds.get(word)
            if isinstance(option, FileOption):
                named = position < len(args) and _looks_like_a_file(args[position])
                yield f"{word}={args[position] if named else '-'}"
                position += named
            elif isinstance(option, SpreadOption) and position < len(args) and _is_value(args[position]):
                yield from (word, args[position])  # the first is never a NAME
                position += 1
                takes_names = isinstance(option, CorpusOption) and any(
                    isinstance(p, click.Argument) for p in self.params
                )
                while position < len(args) and _is_value(args[position]):
                    if not (takes_names and _is_tokenizer(args[position])):
                        yield word
                    yield args[position]
                    position += 1
            else:
                yield word


def _is_value(word: str) -> bool:
    return word == "-" or not word.startswith("-")


def _is_tokenizer(word: str) -> bool:
    """Return whether a word among the paths of `--corpus` can only be a tokenizer's NAME: there is no such file."""
    if os.sep in word or os.path.lexists(word) or word.partition(":")[0] in ("-", "stdlib"):
        return False
    from tokframe.errors import TokframeError
    from tokframe.loading.reference import resolve

    try:
        resolve(word)
    except TokframeError:
        return False
    return True


def _looks_like_a_file(word: str) -> bool:
    """Return whether a word is the FILE of `--json FILE`, not a tokenizer's NAME that comes next."""
    if not _is_value(word):
        return False
    path = Path(word)
    return word == "-" or path.suffix == ".json" or path.is_file() or (os.sep in word and not path.is_dir())


class CorpusOption(SpreadOption):
    """`--corpus`, whose help lists the file formats; these are imported only when the help is shown."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """Return the option and its help for `ctx.command`'s help page."""
        from tokframe.corpus.compression import SUFFIXES
        from tokframe.corpus.formats import FORMATS

        formats = "".join(f", {suffix}" for each in FORMATS for suffix in each.suffixes[:1])
        text = (
            f"Text: files (.txt .md .py ...{formats}; also {' '.join(SUFFIXES)}), folders, globs, '-' for stdin, "
            "'stdlib' for Python's own source. Accepts several paths, up to the next option."
        )
        option, help_text = super().get_help_record(ctx) or ("", "")
        return option, f"{text}  {help_text}".rstrip()


def corpus_option(required: bool, default: str = "") -> Callable[[F], F]:
    """Return the option `--corpus`, given to the command as a tuple of strings, and those on how it is read.

    The command does not see the latter: `open_corpus` finds them.
    """
    text = f"[default: {default}]" if default else ""
    added: list[Callable[[F], F]] = [
        click.option("--corpus", cls=CorpusOption, required=required, metavar="PATH...", help=text),
        click.option("--column", default="text", help=_COLUMN, show_default=True, **_FOR_READING),
        click.option("--on-error", default="skip", type=click.Choice(["skip", "stop"]), help=_ON_ERROR, **_FOR_READING),
    ]
    return lambda command: reduce(lambda inner, option: option(inner), reversed(added), command)


def _keep(ctx: click.Context, param: click.Parameter, value: str) -> None:
    ctx.meta.setdefault(_READING, {})[param.name] = value


_READING = "tokframe.reading"  # where a command's context keeps how its corpus is read
_FOR_READING: dict[str, Any] = {"expose_value": False, "callback": _keep}
_COLUMN = "Field of .jsonl or column of .parquet that holds the text, e.g. content or meta.text."
_ON_ERROR = "Leave out files, lines and records that cannot be read, and say so; or stop at the first.  [default: skip]"


def open_corpus(paths: Sequence[str]) -> Corpus:
    """Open the corpus of `--corpus`, and note what is left out, now and when the command ends. Raises: CorpusError."""
    from tokframe.cli.console import note
    from tokframe.corpus.files import Corpus
    from tokframe.storage.places import outputs

    for path in paths:
        if _is_tokenizer(path):
            raise click.UsageError(
                f"{path!r} is a tokenizer, and there is no file of that name; name the text: --corpus FILE"
            )
    context = click.get_current_context()
    text = Corpus.open(paths, **context.meta.get(_READING, {}))
    files = [str(name) for name in map(context.params.get, _RESULTS) if name and name != "-"]
    files += _printed_to(text)
    count = len(text.files)
    text = text.without(*files) if files else text
    if is_first() and len(text.files) < count:
        note(f"left out: what this command writes itself, {', '.join(files)}")
    if out := context.params.get("out"):
        text.faults.forget([place.resolve() for place in outputs(out)])
    if is_first():
        told: set[str] = set()
        _tell_left_out(text, told)
        context.call_on_close(lambda: _tell_left_out(text, told))
    return text


def _printed_to(text: Corpus) -> list[str]:
    """Return the files of a corpus that stdout and stderr are redirected to, which grow during the run."""
    found = []
    for stream in (1, 2):
        with suppress(OSError):
            status = os.fstat(stream)
            same = [str(file.path) for file in text.files if file.stamp.inode == status.st_ino]
            found += [path for path in same if os.path.samestat(status, os.stat(path))]
    return found


def _tell_left_out(text: Corpus, told: set[str]) -> None:
    from tokframe.cli.console import note

    new = [reason for reason in text.skipped if reason not in told]
    for reason in new[:_MAX_NOTES]:
        note(f"left out: {reason}")
    if len(new) > _MAX_NOTES:
        note(f"left out: all or part of {len(new) - _MAX_NOTES:,} more files")
    told.update(new)


#: The argument NAME: a registered tokenizer or a path with a separator.
name_argument = click.argument("name", metavar="NAME", shell_complete=complete_names)


def _keep_stdout(ctx: click.Context, _: click.Parameter, value: Any) -> Any:
    """Keep stdout for the JSON that was asked for, to the end of the command."""
    if value in (True, "-"):
        ctx.with_resource(kept_for_json())
    return value


#: The flag `--json`, given to the command as `as_json`.
json_option = click.option(
    "--json", "as_json", is_flag=True, callback=_keep_stdout, help="Write JSON to stdout and nothing else."
)

_JSON_FILE = "Write JSON to FILE as well, or only JSON to stdout."
#: The option `--json [FILE]`, given to the command as `json_to`: None, `-` or a file.
json_file_option = click.option(
    "--json",
    "json_to",
    cls=FileOption,
    type=Place("file"),
    metavar="[FILE.json]",
    callback=_keep_stdout,
    help=_JSON_FILE,
)


def _as_languages(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    given = {}
    for value in values:
        pattern, equals, language = value.rpartition("=")
        if not pattern or not equals:
            raise click.BadParameter(f"{value!r} is not of the form PATTERN=LANGUAGE, as in 'notes-*=de'", ctx, param)
        given[pattern] = language
    return given


#: The option `--language PATTERN=LANGUAGE`, given to the command as `languages`: a dict.
languages_option = click.option(
    "--language",
    "languages",
    multiple=True,
    metavar="PATTERN=LANGUAGE",
    callback=_as_languages,
    help="Language of the files or sources that a pattern fits, where their names do not say; nothing after = is none.",
)


def _as_settings(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for value in values:
        key, equals, text = value.partition("=")
        if not equals or not all(key.split(".")):
            raise click.BadParameter(f"{value!r} is not of the form KEY=VALUE, as training.max_minutes=5", ctx, param)
        with suppress(ValueError):  # what is not JSON is text
            found[key] = json.loads(text)
        found.setdefault(key, text)
    return found


def with_settings(config: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return a config with values put at dotted keys, as those of `--set`."""
    made = dict(config)
    for key, value in settings.items():
        section, _, rest = key.partition(".")
        inner = made.get(section)
        made[section] = with_settings(inner if isinstance(inner, Mapping) else {}, {rest: value}) if rest else value
    return made


_DEVICE = "Where to train, e.g. cpu, cuda, cuda:1.  [default: the best available]"
#: The option `--device`.
device_option = click.option("--device", metavar="DEVICE", help=_DEVICE)


def training_options(what: str) -> Callable[[F], F]:
    """Return the options of every training command, which saves `what`."""
    beside = "Output folder; checkpoints go to DIR.training beside it."
    options: list[Callable[[F], F]] = [
        click.option("--out", required=True, metavar="DIR", help=beside),
        click.option("--config", metavar="FILE", help="JSON config; keys left out have defaults."),
        click.option(
            "--set",
            "settings",
            multiple=True,
            metavar="KEY=VALUE",
            callback=_as_settings,
            help="Set a key of the config, as training.max_minutes=5; repeatable.",
        ),
        click.option("--print-config", is_flag=True, help="Print the whole config as JSON and train nothing."),
        click.option("--resume", is_flag=True, help="Resume from the last checkpoint."),
        click.option("--overwrite", is_flag=True, help=f"Replace {what} at DIR once training is done."),
        device_option,
        json_option,
    ]
    return lambda command: reduce(lambda inner, option: option(inner), reversed(options), command)


def as_path(folder: str) -> str:
    """Return a folder with a separator in it, so that it is a path where a NAME is expected."""
    return folder if os.sep in folder else f"./{folder}"
