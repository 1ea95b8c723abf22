"""The engine "ray" on a real Ray cluster of this machine: the same shards as the local engine's, whoever is killed."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from support.sharding import Killer, content
from support.stopping import stop_after

from tokframe.corpus.files import Corpus
from tokframe.errors import ShardsInterrupted
from tokframe.shards import ShardSettings, tokenize
from tokframe.shards.job import unfinished
from tokframe.testing import EngineContract

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of calls of Python's that are on their way out
    ray = pytest.importorskip("ray", reason="ray is not installed")
pytest.importorskip("tokframe_ray", reason="tokframe-ray is not installed")

# Ray's own, too: sockets and files that it leaves to the garbage collector.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:ray"),
    pytest.mark.filterwarnings("ignore::FutureWarning:ray"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

SETTINGS = ShardSettings(shard_size=250_000)


@pytest.fixture(scope="module")
def cluster():
    """A cluster of two workers, of processes of its own, as the engine starts one: once for all tests."""
    from tokframe_ray.cluster import connected

    with connected(workers=2):
        assert ray.is_initialized()
        yield


@pytest.fixture(scope="module")
def corpus():
    return Corpus.open(["stdlib:heldout"])


@pytest.fixture(scope="module")
def alone(corpus, tmp_path_factory):
    """What one worker of the local engine, never disturbed, makes of the text."""
    out = tmp_path_factory.mktemp("alone") / "out"
    tokenize("bpe", corpus=corpus, out=out, workers=1, settings=SETTINGS)
    return content(out)


def test_a_worker_killed_at_work_loses_nothing_and_shards_are_the_local_engines(cluster, corpus, alone, tmp_path):
    killer = Killer(unfinished(tmp_path / "out"))
    shards = tokenize(
        "bpe", corpus=corpus, out=tmp_path / "out", engine="ray", workers=2, settings=SETTINGS, reporter=killer
    )
    assert killer.killed
    assert len(shards.shards) > 8
    assert content(tmp_path / "out") == alone


def test_json_lines_and_parquet_and_compressed_text_are_read(cluster, tmp_path):
    import gzip
    import json

    pa, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    rows = [f"document {i}: a cat on the mat, and a dog\n" * 40 for i in range(60)]
    lines = "\n".join(json.dumps({"body": row}) for row in rows)
    (tmp_path / "a.jsonl").write_text(lines)
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    (tmp_path / "c.txt").write_text("".join(rows))
    parquet.write_table(pa.table({"body": rows}), tmp_path / "d.parquet", row_group_size=7)
    corpus = Corpus.open([tmp_path / name for name in ("a.jsonl", "b.jsonl.gz", "c.txt", "d.parquet")], column="body")
    options = {"corpus": corpus, "settings": ShardSettings(shard_size=20_000, layout="npy", end="</s>")}
    here = tokenize("word", out=tmp_path / "here", workers=1, **options)
    there = tokenize("word", out=tmp_path / "there", engine="ray", workers=1, **options)
    assert content(tmp_path / "there") == content(tmp_path / "here")
    assert here.bytes == there.bytes == 4 * len("".join(rows))


@pytest.mark.usefixtures("cluster")
class TestEngine(EngineContract):
    name = "ray"
    workers = 1  # starting one takes seconds


def test_a_stopped_run_goes_on_on_another_engine(cluster, corpus, alone, tmp_path):
    options = {"corpus": corpus, "out": tmp_path / "out", "settings": SETTINGS}
    with pytest.raises(ShardsInterrupted, match="parts of the corpus done; they are kept in"):
        tokenize("bpe", **options, engine="ray", workers=1, should_stop=stop_after(3))
    kept = {path: path.stat().st_ino for path in unfinished(tmp_path / "out").glob("units/unit-*.json")}
    assert kept
    tokenize("bpe", **options, workers=1, resume=True)
    assert content(tmp_path / "out") == alone


@pytest.mark.parametrize(
    ("before", "environment", "problems"),
    [
        (
            "import sys; sys.modules['ray'] = None",
            {},
            ["engine 'ray' from tokframe-ray failed to import", "tokframe-ray"],
        ),
        ("", {"RAY_ADDRESS": "127.0.0.1:1"}, ["cannot use the Ray cluster at RAY_ADDRESS=127.0.0.1:1"]),
    ],
    ids=["no ray", "no cluster"],
)
def test_what_is_missing_is_named_and_nothing_is_left(tmp_path, before, environment, problems):
    (tmp_path / "a.txt").write_text("text\n")
    words = ["tokenize", "word", "--corpus", "a.txt", "--out", "out", "--engine", "ray"]
    source = f"{before}\nfrom tokframe.cli.main import main\nraise SystemExit(main({words}))"
    done = subprocess.run(
        [sys.executable, "-c", source],
        cwd=tmp_path,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert all(problem in done.stderr for problem in problems)
    assert os.listdir(tmp_path) == ["a.txt"]


CONNECTED = """
import ray
from tokframe_ray.cluster import connected

@ray.remote
def seen():
    import acme_helper

with connected(1):
    try:
        ray.get(seen.remote())
    except ray.exceptions.RayTaskError as error:
        print(type(error.cause).__name__)
"""


@pytest.mark.skipif(os.name == "nt", reason="modes of files are another thing there")
def test_workers_import_nothing_of_the_working_directory_and_nobody_else_reads_the_token(tmp_path):
    (tmp_path / "acme_helper.py").touch()
    home = tmp_path / "home"
    home.mkdir()
    kept = {key: value for key, value in os.environ.items() if not key.startswith("RAY_")}
    done = subprocess.run(
        [sys.executable, "-c", CONNECTED],
        cwd=tmp_path,
        env=kept | {"HOME": str(home), "PYTHONSAFEPATH": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "ModuleNotFoundError\n", done.stderr
    (token,) = home.rglob("*token*")
    assert stat.S_IMODE(token.stat().st_mode) == 0o600 and token.stat().st_size >= 32


def test_what_their_driver_has_on_its_path_workers_have(tmp_path, monkeypatch):
    from tokframe_ray.cluster import _JobConfig

    monkeypatch.chdir(tmp_path)
    added = [str(tmp_path), "/acme/bin"]  # by Ray: the working directory and the folder of the script
    for path, expected in (["/acme/bin"], ["/acme/bin"]), (["", "/acme/bin"], added), (["/elsewhere"], []):
        monkeypatch.setattr(sys, "path", path)
        config = _JobConfig(_py_driver_sys_path=added)
        assert config._serialize() and config._py_driver_sys_path == expected


def test_a_token_that_is_there_is_kept_and_made_private(tmp_path, monkeypatch):
    from tokframe_ray import cluster

    for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    token = tmp_path / ".ray" / "auth_token"
    token.parent.mkdir()
    token.write_text("mine")
    token.chmod(0o644)
    cluster._keep_token_private()
    assert (token.read_text(), stat.S_IMODE(token.stat().st_mode)) == ("mine", 0o600)
    token.unlink()
    monkeypatch.setenv("RAY_AUTH_TOKEN", "given")
    cluster._keep_token_private()
    assert not token.exists()
