"""A sound byte-pair-like tokenizer, one that promises less, and one subclass for each way to be wrong."""

from __future__ import annotations

import os
import random
import time
from types import SimpleNamespace

import numpy as np
from attrs import evolve, frozen

from tokframe.errors import UnsupportedError
from tokframe.plugins.protocols import Check
from tokframe.storage.config import structure
from tokframe.storage.state import State
from tokframe.tokenizer.base import ITokenizer
from tokframe.tokenizer.bigrams import ImpossiblePairs
from tokframe.tokenizer.results import Capabilities, TokenizerModel

SPECIAL = {"<pad>": 0, "<s>": 1}
FIRST = len(SPECIAL)
PAIRS = [*b"th he in er an aa ab qu ck br ow ju ov la".split(), b"  ", b"\xf5\xf5"]


@frozen(kw_only=True)
class Settings:
    wrap: bool = False


class Sound(ITokenizer):
    """Bytes and a few pairs, by greedy longest match."""

    capabilities = Capabilities(lossless=True, bytes_input=True)

    def __init__(self, wrap: bool = False):
        self.wrap = wrap
        self.pieces = [text.encode() for text in SPECIAL] + [bytes([b]) for b in range(256)] + PAIRS
        self.ids = {piece: i for i, piece in enumerate(self.pieces) if i >= FIRST}

    @property
    def vocab_size(self):
        return len(self.pieces)

    @property
    def special_tokens(self):
        return SPECIAL

    def template(self):
        return ((1,), ()) if self.wrap else ((), ())

    def token_bytes(self, token):
        return self.pieces[self.check_token(token)]

    def encode_raw(self, data):
        found, at = [], 0
        while at < len(data):
            size = 2 if data[at : at + 2] in self.ids and at + 2 <= len(data) else 1
            found.append(self.ids[data[at : at + size]])
            at += size
        return np.asarray(found, np.int32)

    def decode_raw(self, ids):
        return b"".join(self.pieces[token] for token in ids.tolist())

    def stable_prefix(self, data):
        at = 0
        while at + 2 <= len(data):
            at += 2 if data[at : at + 2] in self.ids else 1
        return at

    def state(self):
        return State(config={"wrap": self.wrap}, files={"pairs.bin": b"".join(PAIRS)})

    @classmethod
    def from_state(cls, state):
        return cls(state.config["wrap"])

    @classmethod
    def train(cls, job):
        return cls(structure(Settings, job.config).wrap)


class Narrow(Sound):
    """Sound, but promises only text, and no offsets, streams or training."""

    capabilities = Capabilities(lossless=True, bytes_input=False, offsets=False, streaming=False)

    def encode_raw(self, data):
        try:
            data.decode()
        except UnicodeDecodeError:
            raise UnsupportedError("only text", capability="bytes_input") from None
        return super().encode_raw(data)

    @classmethod
    def from_config(cls, config):
        return cls(structure(Settings, config).wrap)

    @classmethod
    def train(cls, job):
        raise UnsupportedError("no training", capability="train")


class LosesByteOrderMark(Sound):
    capabilities = evolve(Sound.capabilities, streaming=False)  # streams would show the fault too

    def encode_raw(self, data):
        return super().encode_raw(data.removeprefix(b"\xef\xbb\xbf"))


class LosesBytes(Sound):
    def encode_bytes(self, data, add_special=True):
        return super().encode_bytes(data.decode("utf-8", "ignore").encode(), add_special)


class TakesBytesItRefuses(Narrow):
    encode_raw = Sound.encode_raw


class Miscounts(Sound):
    def count(self, text):
        return super().count(text) + 1


class EmptyId(Sound):
    def token_bytes(self, token):
        return b"" if token == self.vocab_size - 1 else super().token_bytes(token)


class WrapsNegativeIds(Sound):
    def token_bytes(self, token):
        return self.pieces[token] if token == -1 else super().token_bytes(token)


class ReplacesSurrogates(Sound):
    def count(self, text):
        return super().count(text.encode("utf-8", "replace").decode())


class ShowsSpecial(Sound):
    def decode_bytes(self, tokens, skip_special=True):
        ids = self.as_ids(tokens)
        return self.decode_raw(ids[ids != 1] if skip_special else ids)


class ParsesSpecial(Sound):
    def encode(self, text, add_special=True, *, allowed_special=()):
        within_words = text[:1].isalpha()  # the hard texts that name special tokens do not begin with a letter
        return super().encode(text, add_special, allowed_special=allowed_special or (SPECIAL if within_words else ()))


class SortsBatches(Sound):
    def encode_batch(self, texts, add_special=True, **options):
        return super().encode_batch(sorted(texts, key=len), add_special, **options)


class DiffersByProcess(Sound):
    def __init__(self, wrap=False):
        super().__init__(wrap)
        chosen = random.Random(os.getpid())
        self.ids = {piece: i for piece, i in self.ids.items() if len(piece) == 1 or chosen.random() < 0.5}


class ForgetsConfig(Sound):
    @classmethod
    def from_state(cls, state):
        return cls()


class DatesFiles(Sound):
    def state(self):
        return evolve(super().state(), files={"made.txt": str(time.time_ns()).encode()})


class HoldsALambda(Sound):
    def __reduce__(self):
        return (lambda: self), ()


class ShiftsOffsets(Sound):
    def offsets(self, text):
        found = super().offsets(text)
        return evolve(found, byte_spans=found.byte_spans + 1)


class GivesOffsetsItRefuses(Narrow):
    def offsets(self, text):
        return None


class StableTooEarly(Sound):
    def stable_prefix(self, data):
        return len(data)

    def settled_ids(self, data):
        stable = super().stable_prefix(data)
        return self.encode_raw_list(data[:stable]), stable

    def open_covers(self, data, settled):
        return Sound().open_covers(data, settled)


class SettledTooEarly(Sound):
    def settled_ids(self, data):
        return self.encode_raw_list(data), len(data)


class OmitsOpenBytes(Sound):
    def settled_ids(self, data):
        return super().settled_ids(data)[0], len(data)


class OmitsCovers(Sound):
    def open_covers(self, data, settled):
        return [cover for cover in super().open_covers(data, settled) if not cover[1]]


class NeverStable(Sound):
    def stable_prefix(self, data):
        return 0


class StreamsThoughItRefuses(Narrow):
    def stream_encoder(self):
        return None


class DecodesPartsApart(Sound):
    """Leaves out the space that a text begins with, as some do; its stream begins anew with each part."""

    capabilities = evolve(Sound.capabilities, lossless=False)

    def decode_raw(self, ids):
        text = super().decode_raw(ids)
        return text.removeprefix(b" ") if len(ids) > 1 else text


class TellsPairs(Sound):
    """Sound, and says which ids never follow which."""

    def impossible_pairs(self):
        # a byte that stands alone would have been joined with the next
        used = [[piece] if len(piece) == 1 else [] for piece in self.pieces]
        return ImpossiblePairs.of_lists(used, self.joined())

    def joined(self):
        """By byte: the ids that begin with one that makes a pair with it."""
        ids = range(FIRST, len(self.pieces))
        return {
            bytes([first]): [i for i in ids if bytes([first]) + self.pieces[i][:1] in PAIRS] for first in range(256)
        }


class RulesOutTooMuch(TellsPairs):
    def impossible_pairs(self):
        # "he", "r" is what greedy search makes of "her", though "er" is a pair
        return ImpossiblePairs.of_lists([[piece[-1:]] if piece[-1:] else [] for piece in self.pieces], self.joined())


class ModelsOtherPieces(Sound):
    def model(self):
        return TokenizerModel(algorithm="greedy", pieces=tuple(self.pieces[:-1]), special=SPECIAL)


class IgnoresSettings(Sound):
    @classmethod
    def train(cls, job):
        return cls(bool(job.config.get("wrap")))


class TrainsThoughItRefuses(Narrow):
    @classmethod
    def train(cls, job):
        return cls()


class Able(Sound):
    """Sound, with every ability: an id's code is its place after the special tokens, in digits of base 20."""

    levels = (20, 20)

    @classmethod
    def from_config(cls, config):
        return cls(structure(Settings, config).wrap)

    def codes(self, ids=None):
        tokens = np.arange(self.vocab_size) if ids is None else np.asarray(ids)
        return np.where(tokens >= FIRST, tokens - FIRST, -1)

    def digits(self, ids=None):
        codes = self.codes(ids)[:, None]
        return np.where(codes < 0, -1, np.concatenate([codes % 20, codes // 20], 1))

    def analysis(self):
        return {"codes": int((self.codes() >= 0).sum())}

    def verify(self, reporter):
        reporter.stage("looking", 1)
        return [Check(name="codes", ok=True)]

    def network(self):
        from faulty_parts import Network

        return Network(self.pieces[FIRST:]).eval()

    def recompile(self, network, **options):
        ids = np.arange(self.vocab_size)
        return SimpleNamespace(tokenizer=self, kept=ids, dropped=(), moved=0, steps=0)


class AbleWithoutDigits(Able):
    """Sound: it has codes, but they are not made of digits, and no network."""

    levels = ()

    def digits(self, ids=None):
        raise UnsupportedError("no digits", capability="digits")

    def network(self):
        raise UnsupportedError("saved without its network", capability="network")


class CreatesFromAnything(Able):
    @classmethod
    def from_config(cls, config):
        return cls(config.get("wrap", False))


class FailsItsOwnCheck(Able):
    def verify(self, reporter):
        return [*super().verify(reporter), Check(name="weights", ok=False, detail="one is infinite")]


class AnalysisIsNoJson(Able):
    def analysis(self):
        return {"entropy": float("nan")}


class SharesDigits(Able):
    def digits(self, ids=None):
        return np.minimum(super().digits(ids), 10)


class NetworkOfAnother(Able):
    def codes(self, ids=None):
        codes = super().codes(ids)
        return np.where(codes < 0, -1, codes ^ 1)


class LosesIdsWhenRecompiled(Able):
    def recompile(self, network, **options):
        found = super().recompile(network, **options)
        found.kept, found.dropped = found.kept[:-1], (self.pieces[-1],)
        return found
