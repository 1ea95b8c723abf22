"""Roles: which special token begins a text, ends it, pads it. Which there are is left to tokenizers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

__all__ = ["ROLES", "role_of", "roles_of", "start_of", "token_of"]

#: Names of special tokens by role, the usual ones first; compared without brackets, bars and case.
ROLES = {
    "pad": ("pad", "padding"),
    "unk": ("unk", "unknown"),
    "bos": ("s", "bos", "begin_of_text", "startoftext", "start_of_text", "begin_of_sentence"),
    "eos": ("/s", "eos", "end_of_text", "endoftext", "end_of_sentence"),
    "cls": ("cls",),
    "sep": ("sep",),
    "mask": ("mask",),
}
_ROLE = {name: role for role, names in ROLES.items() for name in names}


def role_of(text: str) -> str | None:
    """Return the role of a special token by its text, e.g. "bos" for `<s>`, `[BOS]` and `<|begin_of_text|>`."""
    return _ROLE.get(_name(text))


def token_of(role: str, special: Iterable[str]) -> str | None:
    """Return the special token of a role, of several the one whose name is the more usual; None without any."""
    found = [text for text in special if role_of(text) == role]
    return min(found, key=lambda text: ROLES[role].index(_name(text)), default=None)


def roles_of(special: Iterable[str]) -> dict[str, str]:
    """Return role to special token, by the names of the tokens; roles that none has are left out."""
    special = list(special)
    return {role: text for role in ROLES if (text := token_of(role, special)) is not None}


def start_of(
    special: Mapping[str, int], roles: Mapping[str, str], before: Sequence[int], unknown: int | None
) -> int | None:
    """Return the id that begins a text: the first of the template's (`before`), else a special token by its role.

    Any special token will do, as none stands in a text but the unknown one. None where there is none.
    """
    if before:
        return before[0]
    # The unknown token of no other role: GPT-2's is <|endoftext|>, which no text is encoded to.
    no_start = {text for text, token in special.items() if token == unknown and role_of(text) is None}
    usable = [text for text in special if text != roles.get("unk") and text not in no_start]
    for role in ("bos", "cls", "eos", "sep", "pad"):
        if (text := roles.get(role)) in usable:
            return special[str(text)]
    return min((special[text] for text in usable), default=None)


def _name(text: str) -> str:
    """Return `s` for `<s>`, `begin_of_text` for `<|begin_of_text|>`; nothing for a text without brackets."""
    if text[:1] + text[-1:] not in ("<>", "[]"):
        return ""
    return text[1:-1].strip("|｜").lower().replace("▁", "_").replace(" ", "_")
