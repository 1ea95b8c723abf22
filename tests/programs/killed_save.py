"""Die at every file operation of an overwriting save; print the deaths and how often the place was left empty.

Arguments: the artifact's folder, and "exchange" or "two renames".
"""

import os
import sys
from pathlib import Path

from support.dying import audited, deaths_of
from support.numbered import HEADER, state, value_of

from tokframe.storage import atomic
from tokframe.storage.artifact import write

folder, exchange = Path(sys.argv[1]), sys.argv[2] == "exchange"
atomic._exchange = audited(atomic._exchange if exchange else lambda first, second: False)
lost = 0


def check(at, died):
    global lost
    if not folder.exists():
        # Only without an atomic exchange, between two renames: the old artifact then lies whole beside its place.
        assert not exchange
        (aside,) = folder.parent.glob(".mine.old-*")
        os.rename(aside, folder)
        lost += 1
    value = value_of(folder)
    assert died or value == at


write(folder, HEADER, state(0))
print(deaths_of(lambda at: write(folder, HEADER, state(at), overwrite=True), check), lost)
