"""The plugin "faulty": one tokenizer or part for each fault, in a class of the same name."""

from __future__ import annotations

from faults import OF_PARTS, OF_TOKENIZERS

import tokframe


def class_of(name):
    return "SoundQuantizer" if name == "takes-any-setting" else name.title().replace("-", "")


@tokframe.hookimpl
def tokframe_tokenizers():
    return [
        tokframe.TokenizerSpec(
            name=name,
            target=f"faulty_tokenizers:{class_of(name)}",
            trainable=name != "narrow" and not name.endswith("-it-refuses"),
            summary="for tests",
        )
        for name in OF_TOKENIZERS
    ]


@tokframe.hookimpl
def tokframe_components():
    return [
        tokframe.ComponentSpec(
            kind=kind,
            name=name,
            target=f"faulty_parts:{class_of(name)}",
            config=f"faulty_parts:{'Loose' if name == 'takes-any-setting' else 'Config'}",
            summary="for tests",
        )
        for kind, name in OF_PARTS
    ]
