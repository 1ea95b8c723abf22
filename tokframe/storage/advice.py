"""Advice: the commands that install what is missing, as errors tell them. Where to tell them is left to the callers."""

from __future__ import annotations

__all__ = ["FIRST_PARTY", "install_advice", "install_command"]

#: The distributions of this project. A name from outside, such as an artifact's, becomes a command only if it is here.
FIRST_PARTY = frozenset(
    {
        "tokframe",
        "tokframe-autoencoder",
        "tokframe-bpe",
        "tokframe-dictionary",
        "tokframe-huggingface",
        "tokframe-lm",
        "tokframe-ray",
        "tokframe-torch",
        "tokframe-vector-quantize",
        "tokframe-word",
    }
)


def install_command(distribution: str, extra: str = "", *, upgrade: bool = False) -> str:
    """Return the shell command that installs a distribution, with what its `extra` needs."""
    import shlex  # most processes give no advice

    name = f"{distribution}[{extra}]" if extra else distribution
    return shlex.join(["pip", "install", *(["--upgrade"] if upgrade else []), name])


def install_advice(distribution: str) -> str:
    """Return what to do about a missing distribution that a file names: who made the file chose the name."""
    if distribution in FIRST_PARTY:
        return f"Try: {install_command(distribution)}"
    return "It is not a plugin of this project: install it only if you know it"
