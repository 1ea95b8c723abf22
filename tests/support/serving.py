"""A playground that answers, in a thread of its own."""

from __future__ import annotations

import contextlib
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
