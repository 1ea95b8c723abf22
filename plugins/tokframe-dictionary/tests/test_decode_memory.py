"""The compiled decoder keeps nothing of calls that fail."""

from __future__ import annotations

import gc
import sys

import numpy as np
import pytest


def test_refused_ids_leave_no_object_behind() -> None:
    search = pytest.importorskip("tokframe_dictionary.segmenter._search")
    offsets = np.array([0, 1, 2], np.int64)
    ids = np.zeros(1001, np.int32)
    ids[-1] = 9  # far enough along that its place is not one of the integers Python keeps anyway

    def refuse(times: int) -> None:
        for _ in range(times):
            try:  # not pytest.raises, which makes cycles of its own
                search.decode(b"ab", offsets, ids)
            except IndexError as error:
                assert error.args == (1000,)
            else:
                pytest.fail("an unknown id was decoded")

    refuse(10)
    gc.collect()
    before = sys.getallocatedblocks()
    refuse(2000)
    assert sys.getallocatedblocks() - before < 1000
