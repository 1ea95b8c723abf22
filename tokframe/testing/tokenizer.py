"""TokenizerContract: what every tokenizer promises, and what it declares it can or cannot do."""

from __future__ import annotations

import contextlib
import copy
import itertools
import json
import pickle
import random
import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tokframe
from tokframe.errors import ConfigError, EncodingError, InvalidTokenError, UnsupportedError
from tokframe.plugins.discovery import host
from tokframe.plugins.protocols import (
    Analyzable,
    Check,
    Creatable,
    HasCodes,
    HasNetwork,
    HasVectors,
    Recompilable,
    Verifiable,
)
from tokframe.plugins.registry import TokenizerSpec, load_target
from tokframe.testing.component import torch_
from tokframe.testing.fingerprint import ids_of, same_parts, state_parts
from tokframe.testing.fresh import run_fresh
from tokframe.testing.texts import HARD_BYTES, HARD_TEXTS, TRAINING_TEXT
from tokframe.tokenizer.base import ITokenizer
from tokframe.training.job import TrainJob
from tokframe.training.progress import SILENT

__all__ = ["TokenizerContract"]

_REPORT = """
import json, sys
import tokframe
from tokframe.testing.fingerprint import ids_of, state_parts
tokenizer = tokframe.load(sys.argv[1] + "/saved")
texts = json.load(open(sys.argv[1] + "/texts.json", encoding="utf-8"))
print(json.dumps({
    "state": state_parts(tokenizer.state()),
    "size": tokenizer.vocab_size,
    "special": dict(tokenizer.special_tokens),
    "ids": ids_of(tokenizer, texts),
}))
"""


class TokenizerContract:
    """Subclass it and set `name`: pytest then runs the contract on a tokenizer made by `make`.

    `config` is what it is trained (or created) with: settings that are not the defaults, so that one which gets
    lost on the way is noticed. `make` may be overridden, and so may the fixture `tokenizer`.
    """

    name: str = ""  #: the registered name
    config: ClassVar[Mapping[str, Any]] = {}
    text: str = TRAINING_TEXT  #: what it is trained on
    max_examples: int = 100  #: random texts for each property

    def make(self) -> ITokenizer:
        """Return the tokenizer to test: trained on `text` with `config`, or created, or else the shipped one."""
        spec = host().registry.tokenizer(self.name)
        if spec.trainable:
            return self._train(self.config)
        if isinstance(load_target(spec), Creatable):
            return tokframe.create(self.name, self.config)
        return tokframe.load(self.name)

    @pytest.fixture
    def tokenizer(self) -> ITokenizer:
        """The tokenizer under test, made once for each class."""
        made: ITokenizer = self._once("made", self.make)
        return made

    # -- round trips --------------------------------------------------------------------------------------------

    def test_any_text_decodes_exactly(self, tokenizer: ITokenizer) -> None:
        """`decode(encode(text)) == text` where it is lossless; where not, at least nothing fails."""

        def check(text: str) -> None:
            back = tokenizer.decode(tokenizer.encode(text))
            assert back == text or not tokenizer.capabilities.lossless, f"{text!r} decodes to {back!r}"

        self._for_texts(check)

    def test_any_bytes_decode_exactly_or_are_refused(self, tokenizer: ITokenizer) -> None:
        """With `bytes_input` any bytes decode exactly; without it, what is not UTF-8 raises UnsupportedError."""
        if tokenizer.capabilities.bytes_input:

            def check(data: bytes) -> None:
                back = tokenizer.decode_bytes(tokenizer.encode_bytes(data))
                assert back == data or _is_text(data), f"{data!r} decodes to {back!r}"

            for hard in HARD_BYTES:
                check(hard)
            self._for_all(st.binary(max_size=80), check)
            return
        for hard in filter(lambda data: not _is_text(data), HARD_BYTES):
            with pytest.raises(UnsupportedError):
                tokenizer.encode_bytes(hard)

    # -- ids ----------------------------------------------------------------------------------------------------

    def test_all_ways_of_encoding_agree(self, tokenizer: ITokenizer) -> None:
        """`encode`, `encode_array`, `encode_bytes` and `count` agree, in int32 ids of the vocabulary."""
        before, after = tokenizer.template()

        def check(text: str) -> None:
            ids = tokenizer.encode_array(text, False)
            assert ids.dtype == np.int32 and ids.ndim == 1, f"ids are {ids.dtype} of {ids.ndim} dimensions"
            assert not len(ids) or (ids.min() >= 0 and ids.max() < tokenizer.vocab_size), "an id outside the vocabulary"
            assert tokenizer.encode(text, False) == ids.tolist() == tokenizer.encode_bytes(text.encode(), False)
            assert tokenizer.encode(text) == [*before, *ids.tolist(), *after], "the template is not added"
            assert tokenizer.count(text) == len(ids), "count differs from the number of ids"

        self._for_texts(check)

    def test_every_id_stands_for_bytes(self, tokenizer: ITokenizer) -> None:
        """`token_bytes` and `decode_raw` agree for every id, and no id stands for nothing."""
        for token in range(tokenizer.vocab_size):
            piece = tokenizer.token_bytes(token)
            assert isinstance(piece, bytes) and piece, f"id {token} stands for {piece!r}"
            assert tokenizer.decode_raw(np.asarray([token], np.int32)) == piece, f"id {token} decodes to something else"

    def test_an_id_outside_the_vocabulary_is_refused(self, tokenizer: ITokenizer) -> None:
        """Ids below 0 and from `vocab_size` up raise InvalidTokenError."""
        for wrong in (-1, tokenizer.vocab_size, 2**40):
            for call in (tokenizer.token_bytes, lambda token: tokenizer.decode([token])):
                with pytest.raises(InvalidTokenError):
                    call(wrong)

    def test_a_lone_surrogate_is_refused(self, tokenizer: ITokenizer) -> None:
        """A text that no UTF-8 can hold raises EncodingError with the position."""
        calls: list[Callable[[str], Any]] = [tokenizer.encode, tokenizer.encode_array, tokenizer.count]
        if tokenizer.capabilities.offsets:
            calls.append(tokenizer.offsets)
        for call in calls:
            with pytest.raises(EncodingError) as caught:
                call("abc\ud800")
            assert caught.value.position == 3

    # -- special tokens -----------------------------------------------------------------------------------------

    def test_special_tokens_are_skipped_or_shown(self, tokenizer: ITokenizer) -> None:
        """Each has an id of its own, shows its text, and is left out of decoded text unless asked for."""
        special = tokenizer.special_tokens
        assert len(set(special.values())) == len(special), "two special tokens share an id"
        assert tokenizer.textless_ids <= {*range(tokenizer.vocab_size)}, (
            "a special or unknown id is not in the vocabulary"
        )
        for text, token in special.items():
            assert tokenizer.decode([token], skip_special=False) == text
            # A word-level tokenizer shows the unknown one: what was lost is not left out silently.
            if not (token == tokenizer.unknown_id and not tokenizer.capabilities.lossless):
                assert tokenizer.decode([token]) == "", f"{text} is not skipped"

    def test_special_token_text_is_ordinary_text(self, tokenizer: ITokenizer) -> None:
        """A user who writes `<s>` gets no special token, unless the caller allows it."""
        shown = {text: token for text, token in tokenizer.special_tokens.items() if token != tokenizer.unknown_id}
        for text, token in shown.items():
            ids = tokenizer.encode(f"a{text}b", False)
            assert not set(ids) & set(shown.values()), f"the text {text} became a special token"
            assert token in tokenizer.encode(f"a{text}b", False, allowed_special={text})

    # -- the same ids, always -----------------------------------------------------------------------------------

    def test_the_same_ids_in_any_batch(self, tokenizer: ITokenizer) -> None:
        """Batches of any size and order, on one thread or several, have the ids that `encode` returns."""
        texts = list(HARD_TEXTS)
        wanted = {text: tokenizer.encode(text) for text in texts}
        for order in range(3):
            random.Random(order).shuffle(texts)
            for threads in (1, 2, None):
                assert tokenizer.encode_batch(texts, threads=threads) == [wanted[t] for t in texts]
            for text in texts[:5]:
                assert tokenizer.encode_batch([text]) == [wanted[text]]
            assert tokenizer.encode_batch(iter(texts)) == [wanted[t] for t in texts], "a batch may be an iterator"
        decoded = [tokenizer.decode(wanted[t]) for t in texts]
        assert tokenizer.decode_batch([wanted[t] for t in texts]) == decoded
        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(tokenizer.encode, texts * 4)) == [wanted[t] for t in texts] * 4

    def test_the_same_ids_in_any_process(self, tokenizer: ITokenizer) -> None:
        """Processes with other hash seeds return the same ids."""
        first, second = self._reports(tokenizer)
        different = [t for t, a, b in zip(HARD_TEXTS, first["ids"], second["ids"], strict=True) if a != b]
        assert not different, f"two processes return different ids for {different[0]!r}"

    # -- saved and copied ---------------------------------------------------------------------------------------

    def test_a_saved_one_is_the_same_in_a_fresh_process(self, tokenizer: ITokenizer) -> None:
        """Saved here and loaded there, it has the same state, config included, and the same ids."""
        first, second = self._reports(tokenizer)
        lost = same_parts(tokenizer, first["state"])
        assert not lost, f"not the same after save and load: {', '.join(lost)}"
        assert (first["size"], first["special"]) == (tokenizer.vocab_size, dict(tokenizer.special_tokens))
        if first["ids"] == second["ids"]:  # else another test fails
            for text, mine, loaded in zip(HARD_TEXTS, ids_of(tokenizer, HARD_TEXTS), first["ids"], strict=True):
                assert mine == loaded, f"after save and load other ids for {text!r}"

    def test_saving_twice_writes_the_same_bytes(self, tokenizer: ITokenizer, tmp_path: Path) -> None:
        """Same tokenizer, same files: no times, no random names."""
        one, two = (tokenizer.save(tmp_path / name) for name in ("one", "two"))
        files = sorted(path.name for path in one.iterdir())
        assert files == sorted(path.name for path in two.iterdir())
        for name in files:
            assert (one / name).read_bytes() == (two / name).read_bytes(), f"{name} differs"

    def test_it_can_be_pickled_and_copied(self, tokenizer: ITokenizer) -> None:
        """A pickled copy is what `from_state` builds, as data loaders with workers need it."""
        rebuilt = type(tokenizer).from_state(tokenizer.state())
        for twin in (pickle.loads(pickle.dumps(tokenizer)), copy.deepcopy(tokenizer)):
            lost = same_parts(rebuilt, state_parts(twin.state()))
            assert not lost, f"not the same after pickling: {', '.join(lost)}"
            assert ids_of(twin, HARD_TEXTS[:5]) == ids_of(rebuilt, HARD_TEXTS[:5])

    # -- what it declares ---------------------------------------------------------------------------------------

    def test_offsets_are_true_or_refused(self, tokenizer: ITokenizer) -> None:
        """Byte spans join and hold what their ids stand for; without `offsets`, asking raises UnsupportedError."""
        if not tokenizer.capabilities.offsets:
            with pytest.raises(UnsupportedError):
                tokenizer.offsets("some text")
            return

        def check(text: str) -> None:
            data, found = text.encode(), tokenizer.offsets(text)
            if tokenizer.capabilities.lossless and tokenizer.decode_raw(found.ids) != data:
                return  # another test fails
            end = 0
            for token, (start, stop) in zip(found.ids.tolist(), found.byte_spans.tolist(), strict=True):
                assert end == start <= stop <= len(data), f"the span {start}:{stop} does not begin at {end}"
                if tokenizer.capabilities.lossless:
                    assert data[start:stop] == tokenizer.token_bytes(token), f"id {token} is not at {start}:{stop}"
                end = stop
            assert end == len(data), f"the spans end at {end} of {len(data)} bytes"
            for first, last in found.char_spans.tolist():
                assert 0 <= first < last <= len(text), f"{first}:{last} are no characters of the text"

        self._for_texts(check)

    def test_streams_give_the_ids_of_the_whole_or_are_refused(self, tokenizer: ITokenizer) -> None:
        """Parts of any size have the ids of the whole, most of them before the end; or UnsupportedError."""
        if not tokenizer.capabilities.streaming:
            with pytest.raises(UnsupportedError):
                tokenizer.stream_encoder()
            return

        def check(text: str) -> None:
            data = text.encode()
            wanted = tokenizer.encode_raw(data).tolist()
            for size in (1, 7, 64):
                stream = tokenizer.stream_encoder()
                found: list[int] = []
                for at in range(0, len(data), size):
                    found += stream.feed(data[at : at + size])
                assert found + stream.finish() == wanted, f"in parts of {size} bytes other ids for {text!r}"

        self._for_texts(check, self.max_examples // 2)
        stream, text = tokenizer.stream_encoder(), TRAINING_TEXT * 20
        assert stream.feed(text), f"no stable prefix in {len(text)} characters: memory would grow without bound"

    def test_prompts_stay_whatever_follows(self, tokenizer: ITokenizer) -> None:
        """Ids of a text and more begin with those of its prompt, and go on as `allowed` says or it is refused."""
        spells = tokenizer.capabilities.lossless and tokenizer.capabilities.offsets
        before = len(tokenizer.template()[0])

        def check(text: str, more: str) -> None:
            data = (text + more).encode()
            if tokenizer.capabilities.lossless and tokenizer.decode_raw(tokenizer.encode_raw(data)) != data:
                return  # another test fails
            prompt, whole = tokenizer.prompt(text), tokenizer.encode(text + more)
            first = len(prompt.ids)
            assert whole[:first] == prompt.ids, f"{more!r} changes the ids of the prompt {text!r}"
            if not spells:
                with pytest.raises(UnsupportedError):
                    prompt.allowed()
                return
            ids = np.asarray(prompt.ids[before:], np.int32)
            assert tokenizer.decode_raw(ids) + prompt.open == text.encode(), f"ids and open bytes are not {text!r}"
            at, left = first, len(prompt.open)
            while left > 0:
                assert prompt.allowed(whole[first:at])[whole[at]], f"{text + more!r} has an id that is not allowed"
                left -= len(tokenizer.token_bytes(whole[at]))
                at += 1
            if tokenizer.capabilities.streaming:
                ways = [path for path, rest in prompt.covers() if goes_on(tokenizer, whole[first:], path, rest)]
                assert len(ways) == 1, f"{len(ways)} of covers() are how the ids of {text!r} go on before {more!r}"

        def goes_on(tokenizer: ITokenizer, ids: list[int], path: list[int], rest: bytes) -> bool:
            if ids[: len(path)] != path:
                return False
            following = tokenizer.token_bytes(ids[len(path)]) if rest and len(ids) > len(path) else b""
            return not rest or (following.startswith(rest) and following != rest)

        for text in HARD_TEXTS:
            some = text[:60]
            check(some[: len(some) // 2], some[len(some) // 2 :])
        places = st.tuples(st.integers(0, len(TRAINING_TEXT)), st.integers(0, 30), st.integers(0, 30))
        cut = places.map(lambda at: (TRAINING_TEXT[at[0] :][: at[1]], TRAINING_TEXT[at[0] + at[1] :][: at[2]]))
        pairs = cut | st.tuples(st.text(max_size=20), st.text(max_size=20))
        self._for_all(pairs, lambda pair: check(*pair), self.max_examples // 2)

    def test_decoded_streams_give_the_text_of_the_whole_or_are_refused(self, tokenizer: ITokenizer) -> None:
        """Ids in parts, whatever they are, give the text of all of them at once; or UnsupportedError."""
        special = sorted(tokenizer.special_tokens.values())

        def check(wanted: list[int]) -> None:
            for skip, size in itertools.product((True, False), (1, 3)):
                try:
                    stream = tokenizer.stream_decoder(skip)
                except UnsupportedError:
                    return
                parts = [wanted[at : at + size] for at in range(0, len(wanted), size)]
                text = "".join(map(stream.feed, parts)) + stream.finish()
                assert text == tokenizer.decode(wanted, skip), f"in parts of {size} another text for the ids {wanted}"

        for text in HARD_TEXTS:
            check(tokenizer.encode(text))
        some = st.integers(0, tokenizer.vocab_size - 1)
        one = some | st.sampled_from(special) if special else some
        # Few different ids: what depends on neighbors is seen in their repetitions.
        self._for_all(
            st.lists(one, min_size=1, max_size=6).flatmap(lambda few: st.lists(st.sampled_from(few), max_size=12)),
            check,
        )

    def test_impossible_pairs_stand_in_no_text(self, tokenizer: ITokenizer) -> None:
        """No short text has a pair of ids that `impossible_pairs` rules out."""
        pairs = tokenizer.impossible_pairs()
        if pairs is None:
            return

        def check(text: str) -> None:
            for first, second in itertools.pairwise(tokenizer.encode_raw(text.encode()).tolist()):
                assert second not in pairs.after(first), f"{second} follows {first} in {text!r}"

        self._for_texts(check)

    def test_the_model_has_the_ids_or_is_refused(self, tokenizer: ITokenizer) -> None:
        """`model` has the bytes of every id and the special tokens; or raises UnsupportedError."""
        try:
            model = tokenizer.model()
        except UnsupportedError:
            return
        assert model.pieces == tuple(map(tokenizer.token_bytes, range(tokenizer.vocab_size)))
        assert dict(model.special) == dict(tokenizer.special_tokens)
        assert len(model.scores) in (0, tokenizer.vocab_size), f"{len(model.scores)} scores"

    def test_training_is_configurable_or_refused(self, tokenizer: ITokenizer, tmp_path: Path) -> None:
        """A setting that does not exist is a ConfigError; without training, asking raises UnsupportedError."""
        spec = host().registry.tokenizer(self.name or tokenizer.name)
        assert isinstance(spec, TokenizerSpec)
        target = load_target(spec)
        if spec.trainable:
            with pytest.raises(ConfigError, match="no_such_setting"):
                self._train({**self.config, "no_such_setting": 1})
            return
        corpus, work = self._corpus(tmp_path), tmp_path / "work"
        job = TrainJob(corpus=corpus, config=self.config, workdir=work, registry=host().registry)
        with pytest.raises(UnsupportedError):
            target.train(job)

    def test_creating_is_configurable(self, tokenizer: ITokenizer) -> None:
        """Where `tokframe.create` can build one from a config, a setting that does not exist is a ConfigError."""
        target = load_target(host().registry.tokenizer(self.name or tokenizer.name))
        if not isinstance(target, Creatable):
            return
        with pytest.raises(ConfigError, match="no_such_setting"):
            target.from_config({**self.config, "no_such_setting": 1})

    # -- what it offers beyond the minimum (see `tokframe.plugins.protocols`) -----------------------------------

    def test_its_own_checks_pass(self, tokenizer: ITokenizer) -> None:
        """`verify` returns at least one Check, and all are ok."""
        if not isinstance(tokenizer, Verifiable):
            return
        checks = list(tokenizer.verify(SILENT))
        assert checks and all(isinstance(check, Check) for check in checks), f"verify returned {checks!r:.100}"
        failed = [f"{check.name}: {check.detail}" for check in checks if not check.ok]
        assert not failed, f"its own check fails: {failed[0]}"

    def test_its_own_analysis_is_json(self, tokenizer: ITokenizer) -> None:
        """`analysis` returns a mapping that JSON can hold as it is, its numbers finite."""
        if not isinstance(tokenizer, Analyzable):
            return
        found = dict(tokenizer.analysis())
        assert json.loads(json.dumps(found, allow_nan=False)) == found, "JSON gives another value than analysis()"

    def test_codes_and_digits_agree(self, tokenizer: ITokenizer) -> None:
        """Codes and digits are int64, the same asked for one id or all; equal codes and no others have equal digits."""
        if not isinstance(tokenizer, HasCodes):
            return
        codes, levels = tokenizer.codes(), tokenizer.levels
        assert codes.dtype == np.int64 and codes.shape == (tokenizer.vocab_size,) and codes.min() >= -1
        some = np.arange(0, tokenizer.vocab_size, 7)
        assert np.array_equal(tokenizer.codes(some), codes[some]), "the codes of some ids are not those among all"
        if not levels:
            with pytest.raises(UnsupportedError):
                tokenizer.digits()
            return
        digits = tokenizer.digits()
        assert digits.dtype == np.int64 and digits.shape == (tokenizer.vocab_size, len(levels))
        assert np.array_equal(tokenizer.digits(some), digits[some]), "the digits of some ids are not those among all"
        assert (digits[codes < 0] == -1).all(), "an id without a code has digits"
        assert ((digits >= 0) & (digits < levels))[codes >= 0].all(), f"a digit is outside of levels {levels}"
        both = np.unique(np.column_stack([codes, digits]), axis=0)
        assert len(both) == len(np.unique(codes)) == len(np.unique(digits, axis=0)), "codes and digits do not agree"

    def test_vectors_classes_and_neighbors_agree(self, tokenizer: ITokenizer) -> None:
        """Vectors have length one or are zeros; the nearest by use are those of the highest cosine but itself."""
        if not isinstance(tokenizer, HasVectors):
            return
        try:
            classes = tokenizer.classes()
        except UnsupportedError:
            with pytest.raises(UnsupportedError):
                tokenizer.embed([0])
            return
        every = np.arange(tokenizer.vocab_size)
        vectors = tokenizer.embed(every)
        assert classes.dtype == np.int64 and classes.shape == every.shape and classes.min() >= -1
        assert vectors.dtype == np.float32 and vectors.ndim == 2 and len(vectors) == len(every)
        known = np.flatnonzero(vectors.any(1))
        assert np.allclose(np.linalg.norm(vectors[known], axis=1), 1, atol=1e-3), "a vector is not of length one"
        assert (np.delete(classes, known) == -1).all(), "an id without a vector has a class"
        for token in known[:: max(1, len(known) // 16)].tolist():
            assert np.array_equal(tokenizer.embed(token), vectors[[token]]), "one id alone has another vector"
            cosines = vectors @ vectors[token]
            for by in ("use", "spelling"):
                found = tokenizer.nearest(token, k=7, by=by)
                alike = [similarity for _, similarity in found]
                assert token not in [other for other, _ in found], "an id is its own neighbor"
                assert sorted(found, key=lambda pair: (-pair[1], pair[0])) == found and len(found) <= 7
                if by == "use":
                    assert np.allclose(cosines[[other for other, _ in found]], alike, atol=1e-3)
                    beyond = np.setdiff1d(known, [token, *(other for other, _ in found)])
                    assert not len(beyond) or cosines[beyond].max() <= alike[-1] + 1e-3, "a nearer id is left out"
        for wrong in ([tokenizer.vocab_size], "", [True], [1.5]):
            with pytest.raises(EncodingError):
                tokenizer.embed(wrong)

    def test_its_network_gives_the_codes_of_its_ids(self, tokenizer: ITokenizer) -> None:
        """`network` has encoder, quantizer and decoder, does not train, and encodes an id's bytes to the id's code."""
        network = self._network(tokenizer)
        if network is None or not isinstance(tokenizer, HasCodes):
            return
        torch = torch_()
        assert not network.training, "the network is in training mode"
        assert callable(network.decoder), "the network has no decoder"
        codes = tokenizer.codes()
        ids = np.flatnonzero(codes >= 0)[:: max(1, int((codes >= 0).sum()) // 256)]
        pieces = [tokenizer.token_bytes(token) for token in ids.tolist()]
        lengths = torch.tensor([len(piece) for piece in pieces])
        data = torch.tensor([list(piece.ljust(int(lengths.max()), b"\0")) for piece in pieces])
        with torch.no_grad():
            found = network.quantizer(network.encoder(data, lengths)).indices.numpy()
        wrong = ids[found != codes[ids]].tolist()
        assert not wrong, f"the network encodes the bytes of id {wrong[0]} to another code"

    def test_recompiling_an_unchanged_network_changes_nothing(self, tokenizer: ITokenizer, tmp_path: Path) -> None:
        """`recompile` of an unchanged network changes no id, bytes or code."""
        network = self._network(tokenizer)
        if network is None or not isinstance(tokenizer, Recompilable):
            return
        found = tokenizer.recompile(network, workdir=tmp_path / "work", steps=10, learning_rate=1e-4)
        assert found.kept.tolist() == list(range(tokenizer.vocab_size)) and not found.dropped, "an id is not kept"
        assert found.moved == 0, f"{found.moved} codes moved"
        assert ids_of(found.tokenizer, HARD_TEXTS) == ids_of(tokenizer, HARD_TEXTS), "a text has other ids"

    # -- helpers ------------------------------------------------------------------------------------------------

    def _train(self, config: Mapping[str, Any]) -> ITokenizer:
        with tempfile.TemporaryDirectory() as folder:
            corpus = self._corpus(Path(folder))
            return tokframe.train(self.name, corpus=corpus, config=config, out=Path(folder) / "out", seed=1)

    def _corpus(self, folder: Path) -> tokframe.Corpus:
        file = folder / "text.txt"
        file.write_text(self.text, encoding="utf-8")
        return tokframe.Corpus.open([file])

    def _network(self, tokenizer: ITokenizer) -> Any:
        """Return the network, or None where the tokenizer has none or was saved without it."""
        if isinstance(tokenizer, HasNetwork):
            torch_()
            with contextlib.suppress(UnsupportedError):
                return tokenizer.network()
        return None

    def _reports(self, tokenizer: ITokenizer) -> tuple[Any, Any]:
        """Return what two fresh processes with different hash seeds find in the saved tokenizer."""

        def ask() -> tuple[Any, Any]:
            with tempfile.TemporaryDirectory() as folder:
                tokenizer.save(Path(folder) / "saved")
                (Path(folder) / "texts.json").write_text(json.dumps(HARD_TEXTS), encoding="utf-8")
                return run_fresh(_REPORT, folder, hash_seed=0), run_fresh(_REPORT, folder, hash_seed=1)

        reports: tuple[Any, Any] = self._once("reports", ask)
        return reports

    def _for_texts(self, check: Callable[[str], None], examples: int = 0) -> None:
        for text in HARD_TEXTS:
            check(text)
        self._for_all(st.text(max_size=60), check, examples)

    def _for_all(self, strategy: st.SearchStrategy[Any], check: Callable[[Any], None], examples: int = 0) -> None:
        @settings(
            max_examples=examples or self.max_examples,
            deadline=None,
            database=None,
            suppress_health_check=[HealthCheck.too_slow],
        )
        @given(strategy)
        def run(value: Any) -> None:
            check(value)

        run()

    def _once(self, key: str, make: Callable[[], Any]) -> Any:
        """Make an expensive value once for each class: pytest builds an object for each test."""
        kept: dict[str, Any] = vars(type(self)).get("_kept") or {}
        if key not in kept:
            kept[key] = make()
            type(self)._kept = kept
        return kept[key]

    _kept: ClassVar[dict[str, Any]] = {}


def _is_text(data: bytes) -> bool:
    return data.decode(errors="ignore").encode() == data
