"""Files of other libraries, damaged: whatever stands in them, their parsers and ours answer with our own errors."""

from __future__ import annotations

import json
import os
import signal

import numpy as np
import pytest
from support.imported import tiktoken_file

from tokframe.errors import ArtifactCorruptError, EncodingError, TokframeError
from tokframe.plugins.discovery import rebuild
from tokframe.storage.state import State

huggingface = pytest.importorskip("tokframe_huggingface.imported.huggingface")


def word_piece(**changes) -> bytes:
    vocab = {"[UNK]": 0, "the": 1, "cat": 2, "##s": 3}
    model = {"type": "WordPiece", "vocab": vocab, "unk_token": "[UNK]", "continuing_subword_prefix": "##"}
    return json.dumps({"version": "1.0", "model": {**model, "max_input_chars_per_word": 100, **changes}}).encode()


def test_a_text_that_a_file_has_no_token_for_is_our_error():
    """Hugging Face raises a bare Exception."""
    made = huggingface.HuggingFaceTokenizer(word_piece(unk_token="[GONE]"))
    assert made.encode("the", False) == [1]
    for call in (lambda text: made.encode(text, False), made.offsets, made.count):
        with pytest.raises(EncodingError, match=r"cannot encode 'unknown': .*UNK"):
            call("unknown")


def damaged(data: bytes, random: np.random.Generator) -> bytes:
    """Alter, remove, add or repeat a few bytes."""
    found = bytearray(data)
    for _ in range(random.integers(1, 6)):
        at, size = int(random.integers(0, len(found))), int(random.integers(1, 40))
        kind = random.integers(0, 4)
        if kind == 0:
            found[at] = int(random.integers(0, 256))
        elif kind == 1 and len(found) > 2 * size:
            del found[at : at + size]
        elif kind == 2:
            found[at:at] = random.bytes(size)
        else:
            found[at:at] = found[-size:]
    return bytes(found)


FILES = {
    "imported-huggingface": ("tokenizer.json", word_piece, {}),
    "imported-tiktoken": ("ranks.tiktoken", tiktoken_file, {"pattern": r"\w+|\W", "special": {"<s>": 300}}),
}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("name", FILES)
def test_damaged_files_are_tokenizers_or_our_errors_and_crash_nothing(name):
    """In a process of its own: what would crash is another library's compiled code."""
    if name == "imported-tiktoken":
        pytest.importorskip("tiktoken")
    file, make, config = FILES[name]
    rebuild(name, State(config=config, files={file: make()}))
    child = os.fork()
    if child == 0:
        signal.alarm(300)
        code = 1
        try:
            random = np.random.default_rng(0)
            for _ in range(150):
                data = damaged(make(), random)
                try:
                    made = rebuild(name, State(config=config, files={file: data}))
                    made.decode(made.encode("the cats <s> é🙂\x00"))
                except TokframeError:
                    pass
            code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.parametrize("pattern", ["(", "(?P<", "\\", 5, None, ["a"]])
def test_a_pattern_that_is_none_is_refused(pattern):
    pytest.importorskip("tiktoken")
    with pytest.raises(ArtifactCorruptError):
        rebuild("imported-tiktoken", State(config={"pattern": pattern}, files={"ranks.tiktoken": tiktoken_file()}))
