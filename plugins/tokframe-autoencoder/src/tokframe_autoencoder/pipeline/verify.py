"""Verification of a codebook against its network: what `tokframe verify` runs for a learned tokenizer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from tokframe_dictionary.vocabulary.table import FIRST_LEARNED, corrupt

from tokframe.plugins.protocols import Check
from tokframe_autoencoder.codebook import Codebook
from tokframe_autoencoder.vectors.table import GROUP, VectorTable

if TYPE_CHECKING:
    from tokframe.training.progress import Reporter
    from tokframe_autoencoder.network.autoencoder import Autoencoder

__all__ = ["check_against_network", "check_codes", "check_vectors", "vector_cosines"]

_BATCH = 1024
#: How much lower the mean cosine of vectors may be than it was: a smaller vocabulary has others on the mean.
COSINE_TOLERANCE = 0.05


def check_against_network(
    codebook: Codebook, network: Autoencoder, reporter: Reporter, without_code: int = 0
) -> list[Check]:
    """Re-derive the tables from the network, id by id, in both directions.

    Four checks: every learned id has a code, but for `without_code` at most, which were added after training; no two
    ids share one; each code decodes, through the decoder, to exactly the id's bytes; those bytes encode, through
    encoder and quantizer, to exactly the code.
    """
    coded = np.flatnonzero(codebook.codes >= 0)
    missing = np.flatnonzero(codebook.codes[FIRST_LEARNED:] < 0)
    learned = codebook.vocab_size - FIRST_LEARNED
    bytes_coded = int((coded < FIRST_LEARNED).sum())
    if len(missing) <= without_code:
        detail = f"{learned - len(missing)} learned ids and {bytes_coded} of 256 single bytes have a code"
        detail += f", {len(missing)} added ones have none" if len(missing) else ""
    else:
        detail = f"learned id {int(missing[0]) + FIRST_LEARNED} has no code"
    every = Check(name="codes", ok=len(missing) <= without_code, detail=detail)
    return [every, *check_codes(codebook.codes, codebook.token_bytes, network, reporter)]


def check_codes(
    all_codes: npt.NDArray[np.int64], token_bytes: Callable[[int], bytes], network: Autoencoder, reporter: Reporter
) -> list[Check]:
    """Check the codes of ids, (vocab_size,), -1 where one has none: the other checks of `check_against_network`."""
    coded = np.flatnonzero(all_codes >= 0)
    codes = all_codes[coded]
    segments = [token_bytes(int(token)) for token in coded]
    distinct = len(np.unique(codes))
    checks = [Check(name="one code each", ok=distinct == len(codes), detail=f"{len(codes)} ids on {distinct} codes")]
    reporter.stage("verifying against the network", len(coded), "ids")
    decoded_wrong: list[int] = []
    encoded_wrong: list[int] = []
    for start in range(0, len(coded), _BATCH):
        part = slice(start, start + _BATCH)
        decoded, encoded = network.decode(codes[part]), network.encode(segments[part]).codes
        decoded_wrong += [int(t) for t, a, b in zip(coded[part], decoded, segments[part], strict=True) if a != b]
        encoded_wrong += [int(t) for t, a, b in zip(coded[part], encoded, codes[part], strict=True) if a != b]
        reporter.advance(min(start + _BATCH, len(coded)))
    for name, wrong in (("decoder: code to bytes", decoded_wrong), ("encoder: bytes to code", encoded_wrong)):
        detail = f"{len(coded) - len(wrong)} of {len(coded)} exact"
        if wrong:
            detail += f"; first wrong: id {wrong[0]} {token_bytes(wrong[0])!r}"
        checks.append(Check(name=name, ok=not wrong, detail=detail))
    return checks


def vector_cosines(segments: Sequence[bytes], table: VectorTable, network: Autoencoder) -> npt.NDArray[np.float32]:
    """Return the cosine of the network's vector to the stored one, of each id that has one: (ids,).

    `segments` (vocab_size,) are the bytes of ids; those that the network does not read are left out.
    """
    read = np.fromiter((0 < len(segment) <= network.max_length for segment in segments), np.bool_, len(segments))
    ids = np.flatnonzero(table.known & read)
    rows = network.vectors([segments[token] for token in ids.tolist()])
    if rows.shape[1] != table.rows.shape[1]:
        text = f"hold {table.rows.shape[1]} numbers each, the network's {rows.shape[1]}"
        raise corrupt(f"has vectors that {text}", f"{GROUP}.safetensors")
    cosines: npt.NDArray[np.float32] = (rows * table.unit[ids]).sum(1)
    return cosines


def check_vectors(cosines: npt.NDArray[np.float32], recorded: float) -> Check:
    """Check that the network's vectors are as near to the stored ones as when it was trained, on the mean."""
    mean, least = (float(cosines.mean()), float(cosines.min())) if len(cosines) else (recorded, recorded)
    bound = recorded - COSINE_TOLERANCE
    detail = f"{len(cosines)} ids, cosine {mean:.3f} on the mean (at least {bound:.3f}), {least:.3f} at the lowest"
    return Check(name="encoder: bytes to vector", ok=mean >= bound, detail=detail)
