"""Children that die by SIGKILL at their n-th file operation, for every n."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

__all__ = ["audited", "deaths_of"]


def audited(call: Callable[..., Any]) -> Callable[..., Any]:
    """Return `call` as an operation before and after which a child may die; `sys.audit` does not see all by itself."""

    def wrapped(*arguments: Any) -> Any:
        sys.audit("audited", "before")
        result = call(*arguments)
        sys.audit("audited", "after")
        return result

    return wrapped


def deaths_of(write: Callable[[int], object], check: Callable[[int, bool], object]) -> int:
    """Call `write(n)` in a child that dies at its n-th operation, then `check(n, died)`, until one does not die."""
    count = dies_at = 0

    def operation(event: str, arguments: object) -> None:
        nonlocal count
        if dies_at and (event in ("open", "audited") or event.startswith(("os.", "shutil."))):
            count += 1
            if count == dies_at:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(operation)
    os.fsync = audited(lambda descriptor: None)  # a kill loses no write; power cuts are in test_power_cut.py
    for at in range(1, 300):
        child = os.fork()
        if child == 0:
            dies_at = at
            write(at)
            os._exit(0)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        assert code in (0, -signal.SIGKILL), code
        check(at, code != 0)
        if code == 0:
            return at - 1
    raise SystemExit("never got through")
