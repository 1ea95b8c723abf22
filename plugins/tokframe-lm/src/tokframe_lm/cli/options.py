"""What several `tokframe lm` commands share: training options, and config keys listed in the help."""

from __future__ import annotations

from collections.abc import Callable
from pkgutil import resolve_name
from typing import Any, TypeVar

import click

from tokframe.cli import options
from tokframe.cli.options import Command, with_settings

__all__ = ["ConfigCommand", "max_bytes_option", "print_config", "read_settings", "training_options"]

F = TypeVar("F", bound=Callable[..., Any])

max_bytes_option = click.option("--max-bytes", type=click.IntRange(1), help="Read at most N bytes of the corpus.")


class ConfigCommand(Command):
    """A command whose help lists the keys of its config class, named as `module:Class` and imported only then."""

    def __init__(self, *args: Any, config: str, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.config = config

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the config keys, then the examples."""
        from tokframe.storage.documented import keys_of

        with formatter.section("Config keys with their defaults"):
            formatter.write_dl(
                [(f"{key.key} {key.default}", key.meaning) for key in keys_of(resolve_name(self.config))]
            )
        super().format_epilog(ctx, formatter)


def training_options(command: F) -> F:
    """Add the options of a training run to a command."""
    seed = click.option("--seed", type=click.IntRange(0, 2**63 - 1), help="Random seed.")
    return max_bytes_option(seed(options.training_options("the model")(command)))


def read_settings(options: dict[str, Any], *keys: str) -> dict[str, Any]:
    """Take the file of `--config` and the options that are config keys out of `options`; return the config.

    Raises: ConfigError.
    """
    from tokframe.storage.strictjson import read_json

    config = options.pop("config")
    given = {key: options.pop(key) for key in keys}
    settings = read_json(config, given=True) if config else {}
    settings = with_settings(settings, options.pop("settings", {}))
    return settings | {key: value for key, value in given.items() if value is not None}


def print_config(config: type[Any], settings: dict[str, Any]) -> None:
    """Write a whole config as JSON to stdout. Raises: ConfigError."""
    from tokframe.cli.console import show_json
    from tokframe.storage.config import structure, unstructure

    show_json(unstructure(structure(config, settings)))
