"""ToyTokenizer: special tokens, the 256 bytes and a few longer pieces, by greedy longest match."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from attrs import evolve

from tokframe.errors import ArtifactCorruptError
from tokframe.storage.state import ComponentUse, State
from tokframe.tokenizer.base import ITokenizer
from tokframe.tokenizer.results import Capabilities

SPECIAL = {"<pad>": 0, "<unk>": 1, "<s>": 2, "</s>": 3}


class ToyPart:
    """A component that does nothing: artifacts record it by name."""


class ToyTokenizer(ITokenizer):
    capabilities = Capabilities(lossless=True, bytes_input=True)
    state_version = 2

    def __init__(self, pieces: Iterable[bytes] = (), *, wrap: bool = False, parts: tuple[ComponentUse, ...] = ()):
        self.wrap = wrap
        self.parts = parts
        self.pieces = [text.encode() for text in SPECIAL] + [bytes([b]) for b in range(256)] + list(pieces)
        self._ids = {piece: i for i, piece in enumerate(self.pieces) if i >= len(SPECIAL)}
        self._longest = max(map(len, self._ids))

    @property
    def vocab_size(self):
        return len(self.pieces)

    @property
    def special_tokens(self):
        return SPECIAL

    def token_bytes(self, token):
        return self.pieces[self.check_token(token)]

    def template(self):
        return ((2,), (3,)) if self.wrap else ((), ())

    def encode_raw(self, data):
        return np.asarray([token for token, _ in self._walk(data)], np.int32)

    def decode_raw(self, ids):
        return b"".join(self.pieces[token] for token in ids.tolist())

    def stable_prefix(self, data):
        stable = 0
        for _, end in self._walk(data):
            if stable + self._longest > len(data):
                break
            stable = end
        return stable

    def _walk(self, data):
        at = 0
        while at < len(data):
            length = next(n for n in range(self._longest, 0, -1) if data[at : at + n] in self._ids)
            yield self._ids[data[at : at + length]], at + length
            at += length

    def state(self):
        extra = self.pieces[len(SPECIAL) + 256 :]
        return State(
            config={"wrap": self.wrap, "format": "toy"},
            tensors={
                "codebook": {
                    "bytes": np.frombuffer(b"".join(extra), np.uint8),
                    "ends": np.cumsum([len(piece) for piece in extra], dtype=np.int64),
                },
                "weights": {"matrix": np.arange(64, dtype=np.float32).reshape(8, 8).T},  # not contiguous
            },
            files={"notes.txt": b"made by a test\n"},
            components=self.parts,
        )

    @classmethod
    def from_state(cls, state: State):
        wrap: Mapping[str, object] | object = state.config.get("wrap")
        if not isinstance(wrap, bool):
            raise ArtifactCorruptError(f"config.json has wrap {wrap!r}", file="config.json")
        table = state.group("codebook")
        ends = table["ends"].tolist()
        raw = table["bytes"].tobytes()
        pieces = [raw[start:end] for start, end in zip([0, *ends], ends, strict=False)]
        return cls(pieces, wrap=wrap, parts=state.components)

    @classmethod
    def from_config(cls, config):
        return cls([piece.encode() for piece in config.get("pieces", [])], wrap=config.get("wrap", False))

    @classmethod
    def train(cls, job):
        return cls([b"th", b"the "])


def from_version_1(state: State) -> State:
    """Version 1 called `wrap` by another name."""
    config = dict(state.config)
    config["wrap"] = config.pop("add_special")
    return evolve(state, config=config)
