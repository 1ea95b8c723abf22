"""tokenizer(batch) in transformers on 1,000 documents: TokframeTokenizer beside the exported fast tokenizer."""

import itertools
import tempfile
import time
from typing import Any

from tokframe_huggingface import TokframeTokenizer
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from tokframe.corpus.files import Corpus

DOCUMENTS, CHARACTERS, REPEATS = 1000, 2000, 3


def seconds(tokenizer: PreTrainedTokenizerFast, texts: list[str], **asked: Any) -> float:
    """Return the shortest of some runs."""
    found = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        tokenizer(texts, **asked)
        found.append(time.perf_counter() - start)
    return min(found)


ours = TokframeTokenizer.from_tokframe("autoencoder-fsq")
with tempfile.TemporaryDirectory() as folder:
    ours.save_pretrained(folder)
    export = AutoTokenizer.from_pretrained(folder)

text = "".join(itertools.islice(Corpus.open(["stdlib:heldout"]).documents(), 300))
texts = [text[start : start + CHARACTERS] for start in range(0, DOCUMENTS * CHARACTERS, CHARACTERS)]
cut = {"padding": True, "truncation": True, "max_length": 256}
for asked in ({}, cut, {**cut, "return_tensors": "pt"}, {"return_offsets_mapping": True}):
    search, slow = seconds(ours, texts, **asked), seconds(export, texts, **asked)
    print(f"{search:6.2f} s  export {slow:6.2f} s  {slow / search:5.1f} times  {asked}")
