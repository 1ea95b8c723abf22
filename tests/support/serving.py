"""A playground that answers, in a thread of its own, and requests as bytes."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator, Mapping

from tokframe.playground.bench import Bench
from tokframe.playground.server import Playground
from tokframe.tokenizer.base import ITokenizer


@contextlib.contextmanager
def served(tokenizers: Mapping[str, ITokenizer]) -> Iterator[Playground]:
    with Playground(Bench(tokenizers)) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def raw(server: Playground, request: bytes) -> bytes:
    """Send a request, HOST in it being the server's, and return all that is answered before the connection ends."""
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=30) as connection:
        with contextlib.suppress(OSError):  # it may hang up at once
            connection.sendall(request.replace(b"HOST", server.hosts[0].encode()))
            connection.shutdown(socket.SHUT_WR)
        parts = []
        with contextlib.suppress(OSError):
            while part := connection.recv(65536):
                parts.append(part)
        return b"".join(parts)
