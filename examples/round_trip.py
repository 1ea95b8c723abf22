"""Take a hard string through every shipped lossless tokenizer and back, and show what became of it."""

import tokframe

HARD = "naïve café \x00 👩‍👩‍👧‍👦 مرحبا 你好\r\n\tif x == 1:  # <s> is plain text here"

for name in ("autoencoder-fsq", "bpe"):
    tokenizer = tokframe.load(name)
    ids = tokenizer.encode(HARD)
    back = tokenizer.decode(ids)
    print(f"{name}: {len(HARD.encode())} bytes -> {len(ids)} tokens -> {'the same text' if back == HARD else 'LOST'}")
    if back != HARD:
        raise SystemExit(1)
