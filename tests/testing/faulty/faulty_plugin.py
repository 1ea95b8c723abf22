"""The plugin "faulty": one tokenizer or part for each fault, declared in strings."""

from __future__ import annotations

import tokframe

TOKENIZERS = {
    "sound": "Sound",
    "narrow": "Narrow",
    "loses-byte-order-mark": "LosesByteOrderMark",
    "loses-bytes": "LosesBytes",
    "takes-bytes-it-refuses": "TakesBytesItRefuses",
    "miscounts": "Miscounts",
    "empty-id": "EmptyId",
    "wraps-negative-ids": "WrapsNegativeIds",
    "replaces-surrogates": "ReplacesSurrogates",
    "shows-special": "ShowsSpecial",
    "parses-special": "ParsesSpecial",
    "sorts-batches": "SortsBatches",
    "differs-by-process": "DiffersByProcess",
    "forgets-config": "ForgetsConfig",
    "dates-files": "DatesFiles",
    "tells-pairs": "TellsPairs",
    "rules-out-too-much": "RulesOutTooMuch",
    "holds-a-lambda": "HoldsALambda",
    "shifts-offsets": "ShiftsOffsets",
    "gives-offsets-it-refuses": "GivesOffsetsItRefuses",
    "stable-too-early": "StableTooEarly",
    "never-stable": "NeverStable",
    "streams-though-it-refuses": "StreamsThoughItRefuses",
    "models-other-pieces": "ModelsOtherPieces",
    "ignores-settings": "IgnoresSettings",
    "trains-though-it-refuses": "TrainsThoughItRefuses",
    "able": "Able",
    "able-without-digits": "AbleWithoutDigits",
    "creates-from-anything": "CreatesFromAnything",
    "fails-its-own-check": "FailsItsOwnCheck",
    "analysis-is-no-json": "AnalysisIsNoJson",
    "shares-digits": "SharesDigits",
    "network-of-another": "NetworkOfAnother",
    "loses-ids-when-recompiled": "LosesIdsWhenRecompiled",
}
PARTS = {
    "encoder": {
        "sound-encoder": "SoundEncoder",
        "counts-padding": "CountsPadding",
        "forgets-order": "ForgetsOrder",
        "looks-at-the-batch": "LooksAtTheBatch",
        "too-wide": "TooWide",
    },
    "quantizer": {
        "sound-quantizer": "SoundQuantizer",
        "returns-a-tuple": "ReturnsATuple",
        "decodes-backwards": "DecodesBackwards",
        "two-codes-one-latent": "TwoCodesOneLatent",
        "one-code": "OneCode",
        "noisy-in-training": "NoisyInTraining",
        "half-precision": "HalfPrecision",
        "no-gradient": "NoGradient",
        "unsaved-weights": "UnsavedWeights",
        "cannot-be-pickled": "CannotBePickled",
        "takes-any-setting": "SoundQuantizer",
        "sound-digits": "SoundDigits",
        "sound-codebook": "SoundCodebook",
        "input-side-decodes": "InputSideDecodes",
        "digits-backwards": "DigitsBackwards",
        "targets-without-margin": "TargetsWithoutMargin",
        "miscounts-what-shares": "MiscountsWhatShares",
    },
    "decoder": {
        "sound-decoder": "SoundDecoder",
        "no-end": "NoEnd",
        "ignores-the-latent-once": "IgnoresTheLatentOnce",
        "sound-positions": "SoundPositions",
        "logits-of-another-scale": "LogitsOfAnotherScale",
    },
}


@tokframe.hookimpl
def tokframe_tokenizers():
    return [
        tokframe.TokenizerSpec(
            name=name,
            target=f"faulty_tokenizers:{target}",
            trainable=name != "narrow" and not name.endswith("-it-refuses"),
            summary="for tests",
        )
        for name, target in TOKENIZERS.items()
    ]


@tokframe.hookimpl
def tokframe_components():
    return [
        tokframe.ComponentSpec(
            kind=kind,
            name=name,
            target=f"faulty_parts:{target}",
            config=f"faulty_parts:{'Loose' if name == 'takes-any-setting' else 'Config'}",
            summary="for tests",
        )
        for kind, parts in PARTS.items()
        for name, target in parts.items()
    ]
