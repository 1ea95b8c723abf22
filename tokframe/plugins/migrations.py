"""Migration: a step that converts an older artifact's state to the next version. Running it is left to `loading`."""

from __future__ import annotations

from attrs import frozen

__all__ = ["Migration"]


@frozen(kw_only=True)
class Migration:
    """One step for the artifacts of one tokenizer.

    `target` is `"package.module:function"`, called as `function(State) -> State` on artifacts whose manifest
    records tokenizer version `from_version`; the result counts as `from_version + 1`.
    """

    tokenizer: str
    from_version: int
    target: str
