"""The generated page of config keys: `python docs/generate.py` writes it, and a test tells when it is out of date."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from tokframe_lm.finetuning.config import FinetuneConfig
from tokframe_lm.model.config import LMConfig

import tokframe
from tokframe.plugins.registry import load_config
from tokframe.storage.documented import Key, keys_of

PAGE = Path(__file__).with_name("configs.md")
TOKENIZERS = ("autoencoder-fsq", "dictionary", "bpe", "word")
#: Components whose settings are in no tokenizer's default config.
OTHERS = (("quantizer", "vq"), ("quantizer", "rfsq"), ("quantizer", "lfq"), ("head", "decoder"))

_HEAD = """# Config keys

Generated from the config classes by `python docs/generate.py`: every key of every training config, with its default, type, bounds and
meaning. `tokframe config NAME` prints the same for one tokenizer.

Three ways to set a key, the later over the earlier:

```
tokframe train autoencoder-fsq --config mine.json --set training.max_minutes=5 --vocab-size 8000 --corpus my-text/ --out ./mine
```

`mine.json` holds `{"vocab_size": 16000, "training": {"max_minutes": 30}}`; a part before a dot is a section. `--print-config` in place of
`--corpus` and `--out` shows the whole config as it would be used. In Python: `tokframe.train(..., config={...}, vocab_size=8000)`,
`tokframe.config(name)`, `tokframe.training_config(name, config)`.

A section of the autoencoder may name another component, as `"quantizer": {"component": "vq"}`; the quantizer's section may also bear its
name: `"vq": {...}`. `vocab_size` stands outside of the sections; configs that have it in the quantizer's section or in `selection` stay
valid.
"""


def page() -> str:
    """Return the page of config keys."""
    parts = [_HEAD]
    for name in TOKENIZERS:
        parts += [f"## {name}", "", f"`tokframe train {name}`", "", *_table(tokframe.config(name).keys), ""]
    for title, cls in (("lm train", LMConfig), ("lm finetune", FinetuneConfig)):
        parts += [f"## {title}", "", f"`tokframe {title}`", "", *_table(keys_of(cls)), ""]
    registry = tokframe.host().registry
    for kind, name in OTHERS:
        spec = registry.component(kind, name)
        parts += [f"## {kind} {name}", "", f"Of {spec.distribution}.", "", *_table(keys_of(load_config(spec))), ""]
    return "\n".join(parts)


def _table(keys: Iterable[Key]) -> Iterator[str]:
    yield "| key | default | type | bounds | meaning |"
    yield "|---|---|---|---|---|"
    for key in keys:
        cells = (f"`{key.key}`", f"`{json.dumps(key.default)}`", key.type, key.allowed, key.meaning)
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
