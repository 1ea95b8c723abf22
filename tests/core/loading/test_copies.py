"""Pickles and copies have the same tokenizer."""

from __future__ import annotations

import pickle
import shutil

from support.toys import TEXT, toy

import tokframe


def test_a_loaded_tokenizer_can_be_pickled_when_its_folder_is_gone(saved):
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
