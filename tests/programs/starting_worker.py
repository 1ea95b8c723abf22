"""Kill a worker of the local engine while it starts, before it has what it needs; print the results (Linux)."""

import os
import signal
import threading
import time
from functools import partial
from pathlib import Path

from tokframe.shards.engines import local


def repeat(item, filler):
    return item


def kill_the_first():
    # Not by multiprocessing's own list, in which a worker stands only once it was sent what it needs.
    while True:
        for child in Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split():
            if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes():
                os.kill(int(child), signal.SIGKILL)
                return
        time.sleep(0.0005)


if __name__ == "__main__":
    threading.Thread(target=kill_the_first, daemon=True).start()
    large = partial(repeat, filler=bytes(10_000_000))  # more than the pipe of a starting worker holds
    print(sorted(local(large, range(4), workers=2, should_stop=lambda: False)))
