"""`tokframe verify`: check that a saved tokenizer is sound."""

from __future__ import annotations

import click

from tokframe.cli.options import Command, json_option, name_argument

__all__ = ["command"]


@click.command("verify", cls=Command, examples=["tokframe verify autoencoder-fsq", "tokframe verify ./mine"])
@name_argument
@json_option
@click.pass_context
def command(ctx: click.Context, name: str, as_json: bool) -> None:
    """Check that a saved tokenizer is sound; exit with 1 if it is not.

    Checks files against their checksums, every id, round trips, and what the tokenizer itself can check. A check that
    needs something that is not installed, as torch, is skipped and is no failure.

    JSON: {"tokenizer", "ok", "checks": [{"name", "ok", "detail", "skipped"}]}; a skipped check is "ok" too.
    """
    from rich.text import Text

    from tokframe.cli.console import checks_table, show, show_json
    from tokframe.loading.inspection import verify
    from tokframe.training.terminal import reporting

    with reporting() as reporter:
        report = verify(name, reporter)
    if as_json:
        show_json(report.to_dict())
    else:
        show(checks_table(report.checks, "ok", "FAILED"))
        show(Text(report.title, style="bold green" if report.ok else "bold red"))
    if not report.ok:
        ctx.exit(1)
