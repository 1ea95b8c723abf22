"""Inspection of a saved tokenizer: `describe` reads its facts, `verify` checks that it is sound."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from attrs import asdict

from tokframe.errors import InvalidTokenError, TokframeError
from tokframe.loading.building import build
from tokframe.loading.loading import load
from tokframe.loading.reference import resolve
from tokframe.plugins.discovery import host
from tokframe.plugins.protocols import Check, Verifiable
from tokframe.storage import artifact
from tokframe.storage.advice import install_command, missing_module
from tokframe.storage.strictjson import parse_json
from tokframe.tokenizer.base import ITokenizer
from tokframe.tokenizer.hard_texts import HARD_TEXTS
from tokframe.tokenizer.results import VerifyReport
from tokframe.training.progress import AUTO, Reporter, shows_progress

__all__ = ["check_soundness", "describe", "info", "verify"]


def describe(name: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the facts of an artifact without building it: manifest, config, sizes, provenance."""
    reference = resolve(name)
    path = reference.folder()
    found = artifact.read(path)
    files = found.manifest["files"]
    described: dict[str, Any] = {
        "name": found.tokenizer["name"],
        "path": str(path),
        "registered": reference.spec is not None,
        "tokenizer": found.tokenizer,
        "components": found.components,
        "format_version": found.manifest["format_version"],
        "bytes": sum(entry["bytes"] for entry in files.values()),
        "files": files,
        "config": found.state.config,
    }
    if "training.json" in found.state.files:
        described["training"] = parse_json(found.state.files["training.json"], "training.json")
    if "extended.json" in found.state.files:
        described["extended"] = parse_json(found.state.files["extended.json"], "extended.json")
    return described


def info(name: str | os.PathLike[str]) -> dict[str, Any]:
    """Return what `describe` does and, where the tokenizer loads, `vocab_size`, `special_tokens` and `capabilities`.

    These three are None where it does not load; `reason` is why, and else empty. Raises: as `describe`.
    """
    facts = describe(name) | {"vocab_size": None, "special_tokens": None, "capabilities": None, "reason": ""}
    try:
        tokenizer = load(name)
        facts["vocab_size"] = tokenizer.vocab_size
        facts["special_tokens"] = dict(tokenizer.special_tokens)
        facts["capabilities"] = asdict(tokenizer.capabilities)
    except TokframeError as error:
        facts["reason"] = str(error)
    return facts


@shows_progress
def verify(name: str | os.PathLike[str], reporter: Reporter = AUTO) -> VerifyReport:
    """Check an artifact: its files, that it loads, every id, round trips, and the tokenizer's own `verify`.

    Where a module that these need is not installed, as torch, they are one check that was skipped. Never raises for an
    unsound artifact: its faults are in the report. Raises: UnknownNameError for a wrong name.
    """
    path = resolve(name).folder()
    checks: list[Check] = []
    try:
        found = artifact.read(path)
        files = found.manifest["files"]
        checks.append(Check(name="files", ok=True, detail=f"{len(files)} files match their sizes and SHA-256"))
        tokenizer = build(found)
        checks.append(Check(name="loads", ok=True, detail=repr(tokenizer)))
    except Exception as error:  # a plugin's code may raise anything
        checks.append(Check(name="loads" if checks else "files", ok=False, detail=_text_of(error)))
        return VerifyReport(tokenizer=str(name), checks=tuple(checks))
    try:
        checks += check_soundness(tokenizer)
        if isinstance(tokenizer, Verifiable):
            checks += tokenizer.verify(reporter)
    except Exception as error:
        needs = _needs(error, tokenizer)
        checks.append(Check(name="checks", ok=bool(needs), detail=needs or _text_of(error), skipped=bool(needs)))
    return VerifyReport(tokenizer=str(name), checks=tuple(checks))


def _needs(error: BaseException, tokenizer: ITokenizer) -> str:
    """Return which module is not installed and how to install it, where that is what an error comes from; else ""."""
    missing = missing_module(error)
    if not missing:
        return ""
    spec = host().registry.tokenizer(tokenizer.name)
    return f"needs {missing}: {getattr(error, 'install', '') or install_command(spec.distribution, spec.extra)}"


def _text_of(error: Exception) -> str:
    """Return an error's text, which for a foreign one begins with its class."""
    return str(error) if isinstance(error, TokframeError) else f"{type(error).__name__}: {error}"


def check_soundness(tokenizer: ITokenizer) -> list[Check]:
    """Check what holds for every tokenizer: bytes for each id, invalid ids refused, round trips as promised."""
    empty = [token for token in range(tokenizer.vocab_size) if not tokenizer.token_bytes(token)]
    detail = f"id {empty[0]} has none" if empty else f"{tokenizer.vocab_size} ids have bytes"
    checks = [Check(name="ids", ok=not empty, detail=detail), _refuses_invalid_ids(tokenizer)]
    if tokenizer.capabilities.lossless:
        failed = [text for text in HARD_TEXTS if tokenizer.decode(tokenizer.encode(text)) != text]
        detail = (
            f"{failed[0][:40]!r} is not decoded exactly" if failed else f"{len(HARD_TEXTS)} hard texts decoded exactly"
        )
        checks.append(Check(name="text round trip", ok=not failed, detail=detail))
    if tokenizer.capabilities.bytes_input:
        random = np.random.default_rng(0)
        samples = [random.permutation(256).astype(np.uint8).tobytes() for _ in range(64)]
        bad = sum(tokenizer.decode_bytes(tokenizer.encode_bytes(data)) != data for data in samples)
        orders = f"{len(samples)} orders of all 256 bytes"
        detail = f"{bad} of {orders} not decoded exactly" if bad else f"{orders} decoded exactly"
        checks.append(Check(name="bytes round trip", ok=not bad, detail=detail))
    return checks


def _refuses_invalid_ids(tokenizer: ITokenizer) -> Check:
    for token in (-1, tokenizer.vocab_size):
        try:
            tokenizer.decode([token])
        except InvalidTokenError:
            continue
        return Check(name="invalid ids", ok=False, detail=f"id {token} is outside the vocabulary and was decoded")
    return Check(name="invalid ids", ok=True, detail="ids outside the vocabulary are refused")
