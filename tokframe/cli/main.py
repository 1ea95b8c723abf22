"""`tokframe`: the command line. Finds commands, built in or of plugins; an error is one message and an exit code."""

from __future__ import annotations

import difflib
import errno
import importlib
import io
import os
import re
import signal
import sys
import warnings
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import NoReturn, cast

import click

from tokframe._version import __version__
from tokframe.cli.stdout import silence
from tokframe.errors import TokframeError
from tokframe.plugins.containment import PluginExitError, contained, reason_of, stdout_reserved
from tokframe.storage.advice import install_command, missing_module
from tokframe.storage.printable import printable
from tokframe.training.interruption import SIGNALS, Interrupted, caught
from tokframe.training.torchrun import count, number

__all__ = ["main"]

#: Command -> (section, one line of help); kept here so that `--help` imports no command.
_COMMANDS = {
    "plugins": ("Look around", "List installed plugins with their status, and why one is not ok."),
    "components": ("Look around", "List tokenizers and their parts that can be used by name."),
    "aliases": ("Look around", "List your own names for tokenizers, and whether each resolves."),
    "info": ("Look around", "Show what a saved tokenizer is: parts, config, files, training."),
    "verify": ("Look around", "Check that a saved tokenizer is sound."),
    "playground": ("Look around", "Type text in a local page and see how tokenizers split it."),
    "encode": ("Use", "Turn text or bytes into ids."),
    "decode": ("Use", "Turn ids back into the exact bytes."),
    "count": ("Use", "Count the tokens of files."),
    "vocab": ("Use", "List the ids of a tokenizer and what each stands for."),
    "tokenize": ("Use", "Turn a corpus into token shards, on several workers or machines."),
    "export": ("Use", "Write a tokenizer in another library's format."),
    "config": ("Train and measure", "List the keys of a training config, with defaults and meaning."),
    "train": ("Train and measure", "Train a tokenizer on your text."),
    "prune": ("Train and measure", "Make a smaller vocabulary out of a tokenizer's own."),
    "extend": ("Train and measure", "Give a tokenizer more ids for other text, the old ones unchanged."),
    "analyze": ("Train and measure", "Show how a tokenizer uses its vocabulary on a text."),
    "compare": ("Train and measure", "Compare tokenizers side by side on a text."),
    "new-plugin": ("Extend", "Write a plugin to start from, with its tests."),
}
_FROM_PLUGINS = "From plugins"

_EPILOG = """\b
NAME is a registered name (tokframe components), an alias (tokframe aliases) or a path with a
separator (./mine).

\b
Exit codes:
  0    done; also training that training.max_minutes ended, with a warning
  1    an error, reported in one message on stderr; also `plugins --check`,
       `aliases --check` and `verify` when something is not ok
  2    wrong usage of the command line
  130  interrupted by Ctrl-C (training keeps a checkpoint, tokenize its shards);
       143 by SIGTERM, 129 by SIGHUP, which are handled alike
  141  the reader of the output closed it, as in `tokframe encode ... | head`

\b
Environment:
  TOKFRAME_TRACEBACK=1        show where an error came from
  TOKFRAME_PLUGINS            load only these plugins (comma separated distributions)
  TOKFRAME_DISABLE_PLUGINS    load all plugins but these
  TOKFRAME_ALIASES            names of your own: production=word,next=./mine
  TOKFRAME_CONFIG             the one file to read aliases from; empty for none
  NO_COLOR=1                  no color

\b
Completion with the Tab key, in ~/.bashrc (zsh_source and fish_source for those shells):
  eval "$(_TOKFRAME_COMPLETE=bash_source tokframe)"

\b
Example:
  tokframe compare autoencoder-fsq bpe --corpus my-notes/
"""

#: Command -> the plugin of this project that adds it, for the hint where it is not installed.
_ELSEWHERE = {"import": "tokframe-huggingface", "lm": "tokframe-lm", "migrate-report": "tokframe-lm"}


class _PipeClosedError(Exception):
    """The reader of the output is gone."""


class _Root(click.Group):
    """The top command: built-in commands by name, then those of plugins, which only then are discovered."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*_COMMANDS, *sorted(_plugin_commands(ctx))]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in _COMMANDS:
            command: click.Command = importlib.import_module(f"tokframe.cli.{cmd_name.replace('-', '_')}").command
            return command
        return _plugin_commands(ctx).get(cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            near = difflib.get_close_matches(args[0], self.list_commands(ctx), n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            if args[0] in _ELSEWHERE:
                home = _ELSEWHERE[args[0]]
                hint = f" It comes with {home}, which is not installed or not loaded. Try: {install_command(home)}"
            raise click.UsageError(f"No such command {args[0]!r}.{hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        sections: dict[str, list[tuple[str, str]]] = {}
        for name, (section, text) in _COMMANDS.items():
            sections.setdefault(section, []).append((name, text))
        for name, command in sorted(_plugin_commands(ctx).items()):
            sections.setdefault(_FROM_PLUGINS, []).append((name, _summary(command)))
        for section, rows in sections.items():
            with formatter.section(section):
                formatter.write_dl(rows, col_max=16)

    def invoke(self, ctx: click.Context) -> object:
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError:  # before click, which would call it an ordinary error
            raise _PipeClosedError from None
        return result


def _plugin_commands(ctx: click.Context) -> dict[str, click.Command]:
    """Return the commands of plugins by name, gathered once; an error in one leaves the others working."""
    from tokframe.plugins.discovery import host

    if _FROM_PLUGINS in ctx.meta:
        return cast(dict[str, click.Command], ctx.meta[_FROM_PLUGINS])
    commands: dict[str, click.Command] = {}
    ctx.meta[_FROM_PLUGINS] = commands
    owners = dict.fromkeys(_COMMANDS, "tokframe")
    try:
        found = host().commands_with_owners()
    except Exception as error:  # a third party's code may raise anything
        _warn(f"commands of plugins are left out: {error}")
        return commands
    for owner, command in found:
        try:
            name = contained(partial(_name, command))
        except Exception as error:
            _warn(f"a command of {owner} is left out: {reason_of(error)}")
            continue
        if not name:
            _warn(f"a command of {owner} is left out: it has no name")
        elif name in owners:
            _warn(f"{owner}'s command {name!r} is left out: the name is taken by {owners[name]}")
        else:
            commands[name], owners[name] = command, owner
    return commands


def _name(command: click.Command) -> str:
    """Return the name of a plugin's command as a plain string."""
    return str.__str__(command.name) if isinstance(command.name, str) else ""


def _summary(command: click.Command) -> str:
    """Return the line on a plugin's command in the list, or what keeps it from being made."""
    try:
        return contained(lambda: command.get_short_help_str(100))
    except Exception as error:
        return f"cannot be described: {reason_of(error)}"


class _Help(click.HelpFormatter):
    """Help whose text is printable, also that of a plugin's command."""

    def getvalue(self) -> str:
        return printable(super().getvalue())


@click.group(
    cls=_Root, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(__version__, message="tokframe %(version)s", help="Show the version.")
def _root() -> None:
    """Tokenizers as plugins: train, use and compare them."""


def main(args: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code (see `tokframe --help`)."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a path may hold what no text can, and a terminal lack characters
            stream.reconfigure(errors="backslashreplace")
    before, click.Context.formatter_class = (warnings.showwarning, click.Context.formatter_class), _Help
    warnings.showwarning = lambda message, *_args, **_more: _warn(str(message))
    try:
        with stdout_reserved(), caught(_end, *SIGNALS[1:]):
            return _run(args)
    finally:
        warnings.showwarning, click.Context.formatter_class = before
        if args is None:  # this process ends now
            silence()


def _end(number: int, _: object) -> NoReturn:
    """Unwind as Ctrl-C does, so that no temporary file is left; the same signal again ends the process."""
    signal.signal(number, signal.SIG_DFL)
    raise Interrupted(number)


def _run(args: Sequence[str] | None) -> int:
    show_traceback = os.environ.get("TOKFRAME_TRACEBACK") == "1"
    try:
        code = _root.main(None if args is None else list(args), prog_name="tokframe", standalone_mode=False)
    except _PipeClosedError:
        _abandon_stdout()
        return 141
    except (click.Abort, KeyboardInterrupt) as error:  # click turns the one into the other
        with suppress(OSError):  # the terminal is gone
            click.echo("\nInterrupted.", err=True)
        cause = error.__cause__ if isinstance(error, click.Abort) else error
        return 128 + getattr(cause, "signal", signal.SIGINT)
    except click.ClickException as error:
        shown = io.StringIO()
        error.show(shown)
        click.echo(printable(shown.getvalue()), err=True, nl=False)
        return error.exit_code
    except Exception as error:
        if show_traceback:
            import traceback

            click.echo(printable(traceback.format_exc()), err=True, nl=False)
            return 1
        _fail(_message(error))
        return 1
    return code if isinstance(code, int) else 0


def _message(error: Exception) -> str:
    notes = "".join(f"\n{note}" for note in getattr(error, "__notes__", ()))
    if isinstance(error, TokframeError):
        return f"{error}{notes}"
    if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
        return f"{error.strerror}: {error.filename}{notes}" if error.filename else f"{error.strerror}{notes}"
    if missing := missing_module(error):
        return f"this needs the module {missing!r}, which is not installed. Try: pip install {missing}{notes}"
    return (
        f"{reason_of(error)}{notes}\n"
        f"This is a bug in {_origin(error)}; please report it, with the output of TOKFRAME_TRACEBACK=1"
    )


def _origin(error: BaseException) -> str:
    """Return whose code raised an error: the plugin's whose module comes last in the traceback, as far as it tells."""
    from tokframe.plugins.discovery import host

    packages: dict[str, str] = {}
    with suppress(Exception):  # an error is being told already
        for record in host().records:
            module = record.entry_point.partition(" = ")[2]
            packages[re.split(r"\W", module, maxsplit=1)[0]] = record.distribution
    cause = error.__cause__ if isinstance(error, PluginExitError) else None
    place = (cause or error).__traceback__
    found = "tokframe or in a plugin"
    while place is not None:
        package = str(place.tb_frame.f_globals.get("__name__", "")).partition(".")[0]
        found, place = packages.get(package, found), place.tb_next
    return found


def _fail(text: str) -> None:
    of = f" in process {number() + 1} of {count()}" if count() > 1 else ""
    click.echo(f"{_styled(f'Error{of}:', 'red')} {printable(text)}", err=True)


def _warn(text: str) -> None:
    click.echo(f"{_styled('Warning:', 'yellow')} {printable(text)}", err=True)


def _styled(text: str, color: str) -> str:
    return text if os.environ.get("NO_COLOR") else click.style(text, fg=color, bold=True)


def _abandon_stdout() -> None:
    """Point stdout at nothing, so that flushing it at exit does not fail again."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):  # no real file, as in tests
        pass


if __name__ == "__main__":
    sys.exit(main())
