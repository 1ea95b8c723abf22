"""Pickles, copies and worker processes have the same tokenizer."""

from __future__ import annotations

import pickle

import pytest
from support.toys import TEXT, toy

import tokframe


def test_a_loaded_tokenizer_can_be_pickled_when_its_folder_is_gone(saved):
    import shutil

    data = pickle.dumps(tokframe.load(saved))
    shutil.rmtree(saved)
    assert pickle.loads(data).encode(TEXT) == toy(wrap=True).encode(TEXT)


def test_a_pickle_holds_no_code_path_of_the_plugin():
    assert b"toy_bytes" not in pickle.dumps(toy())


def test_the_name_in_older_pickles_builds_the_same_tokenizer():
    mine = toy(wrap=True)
    older = pickle.dumps(mine, 0).replace(b"ctokframe.plugins.discovery\nrebuild\n", b"ctokframe.loading\nfrom_state\n")
    assert b"from_state" in older and pickle.loads(older).encode(TEXT) == mine.encode(TEXT)


def test_a_pickle_is_read_in_a_fresh_process(fresh, tmp_path):
    (tmp_path / "toy.pickle").write_bytes(pickle.dumps(toy(wrap=True)))
    source = """
    import pickle, sys
    tok = pickle.loads(open(sys.argv[1], "rb").read())
    print(tok.encode("the th"), tok)
    """
    done = fresh(source, tmp_path / "toy.pickle", TOKFRAME_PLUGINS="toy-bytes")
    assert done.stdout.strip() == f"{toy(wrap=True).encode('the th')} <ToyTokenizer 'toy' vocab_size=263>"


@pytest.mark.slow
def test_a_tokenizer_works_in_spawned_workers(fresh):
    source = """
    import multiprocessing, sys
    import tokframe
    from toy_bytes.tokenizer import ToyTokenizer

    def ready():
        tok = ToyTokenizer([b"the "])
        tok.name = "toy"
        return tok

    if __name__ == "__main__":
        tok = ready()
        texts = ["the a", "", "b the"]
        with multiprocessing.get_context("spawn").Pool(2) as pool:
            assert pool.map(tok.encode, texts) == [tok.encode(t) for t in texts]
            assert pool.map(tok.decode, tok.encode_batch(texts)) == texts
            try:
                pool.apply(tok.encode, ("a\\ud800",))
            except tokframe.EncodingError as error:
                assert error.position == 1
            else:
                raise AssertionError("no error came back")
    """
    fresh(source, TOKFRAME_PLUGINS="toy-bytes")
