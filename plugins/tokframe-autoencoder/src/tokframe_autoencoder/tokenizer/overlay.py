"""OverlayTokenizer: another tokenizer, the base, whose ids have codes and vectors too. Text is the base's affair."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
from attrs import evolve
from tokframe_dictionary.vocabulary.table import FIRST_LEARNED, corrupt

from tokframe.errors import UnsupportedError
from tokframe.loading.building import build
from tokframe.plugins.discovery import host
from tokframe.plugins.protocols import Check, HasCodes, Verifiable
from tokframe.storage.artifact import FORMAT, Artifact, check_origins
from tokframe.storage.state import ComponentUse, State
from tokframe.storage.strictjson import canonical_json
from tokframe.tokenizer.base import ITokenizer
from tokframe.tokenizer.results import IntArray
from tokframe.training.job import TrainJob
from tokframe.training.progress import Reporter
from tokframe_autoencoder.codebook import checked_codes
from tokframe_autoencoder.tokenizer.coded import BASE_FILE, CodedTokenizer
from tokframe_autoencoder.vectors.table import GROUP as VECTORS

__all__ = ["OverlayTokenizer"]

#: What begins the names of the base's files and groups of tensors in an artifact; `BASE_FILE` holds the rest of it.
_PREFIX = "base-"
_CODES = "codes"
_OWN = ("weights", VECTORS)


class OverlayTokenizer(CodedTokenizer):
    """A base tokenizer with its ids, texts and special tokens as they are, and codes and vectors beside them."""

    trains_in_processes: ClassVar[bool] = True

    def __init__(
        self,
        base: ITokenizer,
        codes: npt.NDArray[np.int64],
        *,
        config: Mapping[str, Any],
        components: tuple[ComponentUse, ...] = (),
        groups: Mapping[str, Any] | None = None,
        files: Mapping[str, bytes] | None = None,
    ) -> None:
        self.base = base
        self.capabilities = base.capabilities  # type: ignore[misc]  # each has those of its base
        self._files = dict(files or {})
        self._hold(config, components, groups)
        codes.setflags(write=False)
        self._all_codes = codes

    @classmethod
    def train(cls, job: TrainJob) -> Self:
        """Train codes and vectors of the ids of `job.vocabulary`.

        Raises: UnsupportedError for one that has codes already; as `pipeline.overlay.train`.
        """
        from tokframe_autoencoder.config import sized
        from tokframe_autoencoder.pipeline.overlay import train

        base: ITokenizer = job.vocabulary
        if isinstance(base, HasCodes):
            raise UnsupportedError(
                f"the ids of {base.name!r} have codes already. Give a tokenizer without, such as bpe or "
                "dictionary, or leave --vocabulary out to train a new one",
                capability="vocabulary",
            )
        size = max(base.vocab_size, FIRST_LEARNED + 1)  # the least that a config may ask for
        done = train(evolve(job, config=sized(job.config, size)))
        return cls(
            base,
            done.codes,
            config=done.parts.to_json(),
            components=done.parts.uses,
            groups=done.groups,
            files={"training.json": done.record},
        )

    # -- the base's -------------------------------------------------------------------------------------------

    @property
    def vocab_size(self) -> int:
        """Number of ids."""
        return self.base.vocab_size

    @property
    def special_tokens(self) -> Mapping[str, int]:
        """Special tokens of the base."""
        return self.base.special_tokens

    def token_bytes(self, token: int) -> bytes:
        """Return the bytes an id stands for. Raises: InvalidTokenError."""
        return self.base.token_bytes(token)

    def encode_raw(self, data: bytes) -> IntArray:
        """Return the ids of bytes."""
        return self.base.encode_raw(data)

    def decode_raw(self, ids: IntArray) -> bytes:
        """Return the bytes of ids."""
        return self.base.decode_raw(ids)

    # -- storage ----------------------------------------------------------------------------------------------

    @property
    def files(self) -> Mapping[str, bytes]:
        """Further files of the artifact, such as the record of its training."""
        return dict(self._files)

    def state(self) -> State:
        """Return the base's state under names of its own, codes, weights, vectors, config and training record."""
        base = self.base.state()
        head = host().registry.header(self.base.name, base.components, self.base.state_version)
        return State(
            config=self.config,
            tensors={
                **{name: self._groups[name] for name in _OWN if name in self._groups},
                _CODES: {"codes": self._all_codes},
                **{_PREFIX + name: base.tensors[name] for name in base.tensors},
            },
            files={
                **self._files,
                BASE_FILE: canonical_json({**head, "config": base.config}),
                **{_PREFIX + name: data for name, data in base.files.items()},
            },
            components=self._components,
        )

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Build from a state, the base first; weights and vectors stay on disk until they are used.

        Raises: ArtifactCorruptError; as `tokframe.load` for the base.
        """
        base = _base_of(state)
        file = f"{_CODES}.safetensors"
        if _CODES not in state.tensors:
            raise corrupt("is missing", file)
        return cls(
            base,
            checked_codes(state.tensors[_CODES], base.vocab_size, file),
            config=state.config,
            components=state.components,
            groups=state.tensors,
            files={name: data for name, data in state.files.items() if name != BASE_FILE and not _of_base(name)},
        )

    def verify(self, reporter: Reporter) -> list[Check]:
        """Check the base as it checks itself, and the codes against the network, in both directions."""
        from tokframe_autoencoder.pipeline.verify import check_codes

        checks = list(self.base.verify(reporter)) if isinstance(self.base, Verifiable) else []
        coded = int((self._all_codes >= 0).sum())
        detail = f"{coded} of {self.vocab_size} ids have a code"
        checks.append(Check(name="codes", ok=coded > 0, detail=detail))
        checks += check_codes(self._all_codes, self.token_bytes, self.network(), reporter)
        return [*checks, *self._vector_checks("training.json")]


def _of_base(name: str) -> bool:
    return name.startswith(_PREFIX)


def _base_of(state: State) -> ITokenizer:
    """Build the base that a state holds. Raises: ArtifactCorruptError; as `tokframe.load`."""
    head = FORMAT.parse(Path(), BASE_FILE, state.files[BASE_FILE])
    config = head.pop("config", None)
    if not isinstance(config, dict) or set(head) != {"tokenizer", "components"}:
        raise corrupt("does not hold tokenizer, components and config", BASE_FILE)
    if _PREFIX + BASE_FILE in state.files:
        raise corrupt("has a base of its own, and one is all there may be", BASE_FILE)
    path = Path(BASE_FILE)  # as errors name it
    check_origins(path, head)
    inner = State(
        config=config,
        tensors={name.removeprefix(_PREFIX): state.tensors[name] for name in state.tensors if _of_base(name)},
        files={name.removeprefix(_PREFIX): data for name, data in state.files.items() if _of_base(name)},
    )
    return build(Artifact(path=path, manifest=head, state=inner))


def _delegated(name: str) -> Any:
    """Return the method or property of that name that is the base's."""
    if isinstance(getattr(ITokenizer, name), property):
        return property(lambda self: getattr(self.base, name), doc=getattr(ITokenizer, name).__doc__)

    def method(self: OverlayTokenizer, *args: Any, **options: Any) -> Any:
        return getattr(self.base, name)(*args, **options)

    method.__name__, method.__doc__ = name, getattr(ITokenizer, name).__doc__
    return method


# A base may override any of what the base class derives, so all of that is asked of it.
_KEPT = {"name", "capabilities", "save", "sha256", "sized_config", "state_version", "trains_over_vocabulary"}
for _name in set(dir(ITokenizer)) - _KEPT - set(vars(CodedTokenizer)) - set(vars(OverlayTokenizer)):
    if not _name.startswith("_"):
        setattr(OverlayTokenizer, _name, _delegated(_name))
