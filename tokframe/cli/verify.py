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
    from attrs import asdict
    from rich.text import Text

    from tokframe.cli.console import checks_table, show, show_json
    from tokframe.cli.progress import reporting
    from tokframe.loading.inspection import verify

    with reporting() as reporter:
        report = verify(name, reporter)
    if as_json:
        checks = [asdict(check) for check in report.checks]
        show_json({"tokenizer": report.tokenizer, "ok": report.ok, "checks": checks})
    else:
        show(checks_table(report.checks, "ok", "FAILED"))
        failed, skipped = sum(not check.ok for check in report.checks), sum(check.skipped for check in report.checks)
        count = len(report.checks) - skipped
        many = f"{failed} of {count} checks failed" if failed else f"all {count} checks passed"
        many += f", {skipped} skipped" if skipped else ""
        show(Text(f"{name}: {many}", style="bold red" if failed else "bold green"))
    if not report.ok:
        ctx.exit(1)
