"""A tokenizer that is installed with its artifact, and a command line to run in this process."""

from __future__ import annotations

import io
import sys

import pytest

from tokframe.cli.main import main
from tokframe.loading import loading

SHIPPING = """
    from toy_bytes.tokenizer import ToyTokenizer
    from tokframe.errors import ConfigError, TrainingInterrupted
    from tokframe.training.run_folder import keep_checkpoints

    class Shipped(ToyTokenizer):
        @classmethod
        def train(cls, job):
            job.reporter.stage("training", 10, "steps")
            if job.config.get("stop"):
                kept = job.workdir if job.config["stop"] == "kept" else None
                raise TrainingInterrupted(f"stopped at step 3; checkpoint: {kept}", checkpoint=kept)
            if job.config.get("odd"):
                raise ConfigError("config", [("$.odd", "unknown key")])
            if job.config.get("hurried"):
                keep_checkpoints(job.workdir)
            if job.config.get("fault"):
                raise ZeroDivisionError("by mistake")
            return cls([b"the "], wrap=job.seed == 7)

    @tokframe.hookimpl
    def tokframe_tokenizers():
        target = f"{__name__}:Shipped"
        return [
            tokframe.TokenizerSpec(name="shipped", target=target, artifact=f"shipped_data:artifact", summary="a toy"),
            tokframe.TokenizerSpec(name="fixed", target=target, trainable=False),
        ]

    @tokframe.hookimpl
    def tokframe_commands():
        import click

        @click.command("hello", help="Say hello.")
        def hello():
            click.echo("hello from a plugin")

        @click.command("train", help="Not this one.")
        def train():
            click.echo("hijacked")

        return [hello, train]
"""


@pytest.fixture
def shipped(plugin, use_host, tmp_path, monkeypatch):
    """The tokenizer "shipped" is installed with its artifact, beside the made-up plugin; a.txt is here."""
    use_host(plugin("acme-toys", SHIPPING))
    package = tmp_path / "plugins-made-up" / "shipped_data"
    package.mkdir()
    (package / "__init__.py").touch()
    loading.train("shipped", corpus=[package.parent / "acme_toys_0_plugin.py"], out=package / "artifact")
    (tmp_path / "a.txt").write_text("the theatre\n" * 50)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    yield tmp_path
    sys.modules.pop("shipped_data", None)


@pytest.fixture
def run(capsysbinary, monkeypatch):
    """Return a function that runs a command: `run(*words, stdin=b"")` -> (exit code, stdout, stderr)."""

    def call(*words, stdin=b""):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        code = main([str(word) for word in words])
        out, err = capsysbinary.readouterr()
        return code, out, err.decode()

    return call
