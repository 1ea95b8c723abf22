"""Results of tokframe's calls: frozen classes with named fields. What computes them lives elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt
from attrs import asdict, field, frozen

from tokframe.errors import EncodingError
from tokframe.tokenizer.display import Result

if TYPE_CHECKING:
    import torch

    from tokframe.plugins.protocols import Check

__all__ = ["Capabilities", "Encoding", "IntArray", "PaddedBatch", "TokenizerModel", "TrainingRecord", "VerifyReport"]

IntArray = npt.NDArray[np.int32]


@frozen(kw_only=True)
class Capabilities:
    """What a tokenizer promises; a promise is tested, and what is not promised raises UnsupportedError."""

    lossless: bool  #: decode(encode(text)) == text for every text
    bytes_input: bool  #: encode_bytes accepts any bytes and decode_bytes returns them
    offsets: bool = True  #: offsets() returns byte and character spans
    streaming: bool = True  #: stream_encoder() returns the ids of the whole in bounded memory


@frozen(kw_only=True, eq=False)
class Encoding:
    """Ids with the piece of text each stands for.

    `ids` (tokens,), `byte_spans` and `char_spans` (tokens, 2) half open. A character cut by a token border
    belongs to every token that holds one of its bytes.
    """

    ids: IntArray
    byte_spans: IntArray
    char_spans: IntArray

    def __len__(self) -> int:
        return len(self.ids)


@frozen(kw_only=True, eq=False)
class PaddedBatch:
    """Padded sequences: `ids` and `mask` (batch, width) int32; mask is 1 for a token and 0 for padding."""

    ids: IntArray
    mask: IntArray

    @classmethod
    def of_rows(cls, rows: Sequence[IntArray], pad: int, width: int | None = None) -> Self:
        """Return rows of ids padded with the id `pad` to `width`, by default that of the longest.

        Raises: EncodingError naming a row longer than `width`.
        """
        longest = max((len(row) for row in rows), default=0)
        width = longest if width is None else width
        if longest > width:
            where = next(i for i, row in enumerate(rows) if len(row) > width)
            raise EncodingError(f"text {where} has {len(rows[where])} ids, more than pad_to={width}; set max_length")
        ids = np.full((len(rows), width), pad, np.int32)
        mask = np.zeros((len(rows), width), np.int32)
        for position, row in enumerate(rows):
            ids[position, : len(row)] = row
            mask[position, : len(row)] = 1
        return cls(ids=ids, mask=mask)

    def to_torch(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return `(ids, mask)` as int64 torch tensors that share no memory with this object."""
        import torch

        return torch.from_numpy(self.ids.astype(np.int64)), torch.from_numpy(self.mask.astype(np.int64))


@frozen(kw_only=True)
class TokenizerModel:
    """A tokenizer as plain data, which exporters read. Ids are positions in `pieces`.

    A text is cut into parts (`pattern`, then `max_line_bytes`; by default it is one part), and `algorithm` finds the
    ids of each part. "unigram": the pieces of the highest total score; of equal ones those whose last piece is longest.
    "bpe": single bytes, joined by `merges`. "wordlevel": the part as a whole, or else `unknown`. Any other algorithm is
    described only by a file in `files`.
    """

    algorithm: str
    pieces: tuple[bytes, ...]  #: bytes of each id (a special token: its text)
    special: Mapping[str, int]  #: special token text to id; never found in text
    unknown: int | None = None  #: id of what no piece stands for
    scores: tuple[float, ...] = ()  #: of "unigram": log-probability of each id
    merges: tuple[tuple[int, int], ...] = ()  #: of "bpe": pairs of ids, the first to be joined first
    pattern: str | None = None  #: regular expression in Oniguruma's syntax whose matches are the parts
    #: Parts are lines with all newlines after them; longer ones are cut before a whole character.
    max_line_bytes: int | None = None
    #: The tokenizer in other libraries' formats, by file name, where it was made from such a file.
    files: Mapping[str, bytes] = field(factory=dict)


@frozen(kw_only=True, repr=False)
class TrainingRecord(Result):
    """How a tokenizer was trained: its `training.json`. `history` has a dict of figures per evaluation, in order.

    Each names `stage` and `step` beside its losses; the records and `to_pandas()` are those of the history.
    """

    tokenizer: str
    facts: Mapping[str, Any]

    @property
    def title(self) -> str:
        """The tokenizer, and how many evaluations there were."""
        return f"Training of {self.tokenizer}: {len(self.history):,} evaluations"

    @property
    def history(self) -> Sequence[Mapping[str, Any]]:
        """Figures per evaluation; empty where training has no steps, and in tokenizers trained before it was kept."""
        found: Sequence[Mapping[str, Any]] = self.facts.get("history", ())
        return found

    def to_dict(self) -> dict[str, Any]:
        """Return the content of `training.json`."""
        return dict(self.facts)

    def records(self) -> list[dict[str, Any]]:
        """Return the history, one row per evaluation."""
        return [dict(figures) for figures in self.history]


@frozen(kw_only=True, repr=False)
class VerifyReport(Result):
    """What `tokframe verify` found; `ok` when every check is."""

    tokenizer: str
    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        """True when every check passed."""
        return all(check.ok for check in self.checks)

    @property
    def title(self) -> str:
        """How many checks passed."""
        skipped = sum(check.skipped for check in self.checks)
        failed = sum(not check.ok for check in self.checks)
        count = len(self.checks) - skipped
        many = f"{failed} of {count} checks failed" if failed else f"all {count} checks passed"
        return f"{self.tokenizer}: {many}" + (f", {skipped} skipped" if skipped else "")

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON data of `tokframe verify --json`."""
        return {"tokenizer": self.tokenizer, "ok": self.ok, "checks": [asdict(check) for check in self.checks]}

    def records(self) -> list[dict[str, Any]]:
        """Return one row per check."""
        status = {True: "ok", False: "FAILED"}
        return [
            {"check": each.name, "result": "skipped" if each.skipped else status[each.ok], "detail": each.detail}
            for each in self.checks
        ]
