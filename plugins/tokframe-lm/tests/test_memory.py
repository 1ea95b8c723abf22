"""Memory of a training step with a decoder head: a large vocabulary, a large batch, in a process of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = [
    pytest.mark.trains,
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="reads the peak from /proc"),
]

#: Logits of a softmax alone would be 64 * 128 * 200,000 * 4 bytes: 6.5 GB.
STEP = """
import itertools, re
from pathlib import Path
import torch
from tokframe_torch.optimizer import Optimizer
from tokframe_torch.processes import process_group
from tokframe_lm.model.config import LMConfig
from tokframe_lm.model.model import build

torch.set_num_threads(1)
SYLLABLES = [a + b + c for a in "bdfgklmnprstvz" for b in "aeiou" for c in ("", "n", "r", "s")]

class Words:
    name, special_tokens, special_roles, unknown_id = "words", {"<s>": 0}, {}, None
    textless_ids, vocab_size = frozenset([0]), 200_000

    def __init__(self):
        parts = itertools.chain(*(itertools.product(SYLLABLES, repeat=n) for n in (2, 3)))
        texts = (b" " + "".join(part).encode() for part in itertools.islice(parts, 400_000))
        self._texts = [b"", *dict.fromkeys(texts)][: self.vocab_size]
        assert len(self._texts) == self.vocab_size

    def token_bytes(self, token): return self._texts[token]
    def template(self): return (0,), ()
    def impossible_pairs(self): return None

torch.manual_seed(0)
config = LMConfig(d_model=128, layers=4, heads=4, context=128, embedding="spelled", head="decoder")
model = build(config, Words())
ids = (torch.rand(64, 129) ** 4 * 200_000).long()  # some far more often than others
model.prepare(torch.bincount(ids.flatten(), minlength=200_000) * 16)
with process_group("cpu", Path(".")) as processes:
    rows = [*model.embedding.row_parameters(), *model.head.rows()]
    theirs = {id(row) for row in rows}
    rest = [p for p in model.parameters() if id(p) not in theirs]
    groups = {"rest": (rest, 1e-3), "rows": (rows, 1e-3)}
    optimizer = Optimizer(groups, weight_decay=0.01, clip=1.0, processes=processes)
    loss = model.loss(ids[:, :-1], ids[:, 1:])
    optimizer.update(loss, 1.0)
# Not `ru_maxrss`, which begins with that of the process that started this one.
peak = re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]
print(float(loss.detach()), int(peak) * 1024)
"""


def test_a_step_on_200_000_ids_takes_less_than_a_gigabyte_and_a_half(tmp_path):
    done = subprocess.run([sys.executable, "-c", STEP], capture_output=True, text=True, check=True, cwd=tmp_path)
    loss, peak = map(float, done.stdout.split())
    assert 0 < loss < 13
    assert peak < 1.5e9
