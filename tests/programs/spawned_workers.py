"""Encode and decode in spawned workers; an error arrives with its facts. Where toy-bytes is installed."""

import multiprocessing

from toy_bytes.tokenizer import ToyTokenizer

import tokframe

if __name__ == "__main__":
    tokenizer = ToyTokenizer([b"the "])
    tokenizer.name = "toy"
    texts = ["the a", "", "b the"]
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        assert pool.map(tokenizer.encode, texts) == [tokenizer.encode(text) for text in texts]
        assert pool.map(tokenizer.decode, tokenizer.encode_batch(texts)) == texts
        try:
            pool.apply(tokenizer.encode, ("a\ud800",))
        except tokframe.EncodingError as error:
            assert error.position == 1
        else:
            raise AssertionError("no error arrived")
