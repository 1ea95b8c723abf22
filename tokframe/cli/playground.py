"""`tokframe playground`: a local web page that shows how tokenizers split text while you type."""

from __future__ import annotations

import errno
import os
import sys

import click

from tokframe.cli.installed import complete_names
from tokframe.cli.options import Command

__all__ = ["command"]


@click.command(
    "playground",
    cls=Command,
    examples=["tokframe playground", "tokframe playground autoencoder-fsq ./mine --port 8123 --no-browser"],
)
@click.argument("names", nargs=-1, metavar="[NAME...]", shell_complete=complete_names)
@click.option("--port", default=0, show_default="a free one", type=click.IntRange(0, 65535), help="Port to listen on.")
@click.option("--no-browser", is_flag=True, help="Only print the address.")
def command(names: tuple[str, ...], port: int, no_browser: bool) -> None:
    """Type text and see how each tokenizer splits it, side by side.

    Opens a page in your browser, served to this machine only (127.0.0.1) until Ctrl-C. Text is never stored. NAME is a
    registered name or a path with a separator; without any, all installed tokenizers that are ready to use are shown.
    """
    from tokframe.cli.console import note
    from tokframe.loading.loading import load
    from tokframe.loading.ready import ready
    from tokframe.playground.bench import Bench
    from tokframe.playground.server import Playground

    tokenizers = {name: load(name) for name in dict.fromkeys(names or ready(note, "playground"))}
    try:
        server = Playground(Bench(tokenizers), port)
    except OSError as error:
        if error.errno not in (errno.EADDRINUSE, errno.EACCES):
            raise
        why = "is taken" if error.errno == errno.EADDRINUSE else "needs privileges"
        raise click.BadParameter(f"{port} {why}; omit --port for a free one", param_hint="--port") from error
    with server:
        click.echo(server.url)
        sys.stdout.flush()
        note(f"{', '.join(tokenizers)}: open the address above. Ctrl-C stops.")
        if not no_browser:
            _open(server.url)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            note("\nStopped.")


def _open(url: str) -> None:
    """Open the address in a browser; on a machine without a display, do nothing."""
    import webbrowser

    if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return
    try:
        webbrowser.open(url)
    except webbrowser.Error:
        return
