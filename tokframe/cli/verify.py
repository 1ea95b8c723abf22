"""`tokframe verify`: is a saved tokenizer sound."""

from __future__ import annotations

import click

from tokframe.cli.options import Command, json_option, name_argument

__all__ = ["command"]


@click.command(
    "verify", cls=Command, epilog="\b\nExample:\n  tokframe verify autoencoder-fsq\n  tokframe verify ./mine"
)
@name_argument()
@json_option()
@click.pass_context
def command(ctx: click.Context, name: str, as_json: bool) -> None:
    """Check that a saved tokenizer is sound; exit with 1 if it is not.

    Files against their checksums, every id, round trips, and whatever the tokenizer can check of itself.

    JSON: {"tokenizer", "ok", "checks": [{"name", "ok", "detail"}]}.
    """
    from rich.table import Table
    from rich.text import Text

    from tokframe.cli.console import show, show_json
    from tokframe.cli.progress import reporting
    from tokframe.loading.inspection import verify

    with reporting() as reporter:
        report = verify(name, reporter)
    if as_json:
        checks = [{"name": check.name, "ok": check.ok, "detail": check.detail} for check in report.checks]
        show_json({"tokenizer": report.tokenizer, "ok": report.ok, "checks": checks})
    else:
        table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, show_header=False)
        table.add_column(no_wrap=True)
        table.add_column(no_wrap=True)
        table.add_column(overflow="fold")
        for check in report.checks:
            mark = Text("ok", "green") if check.ok else Text("FAILED", "bold red")
            table.add_row(mark, check.name, Text(check.detail))
        show(table)
        failed = sum(not check.ok for check in report.checks)
        many = (
            f"{failed} of {len(report.checks)} checks failed" if failed else f"all {len(report.checks)} checks passed"
        )
        show(Text(f"{name}: {many}", style="bold red" if failed else "bold green"))
    if not report.ok:
        ctx.exit(1)
