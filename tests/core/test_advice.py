"""Advice to install: a command that works where tokframe came from: a checkout, a folder of wheels or an index."""

from __future__ import annotations

import json
import sys
from importlib import metadata

import pytest

from tokframe.cli.main import main
from tokframe.plugins.discovery import host
from tokframe.storage.advice import install_command, missing_module


@pytest.fixture
def came_from(monkeypatch):
    """Return a function that says what pip wrote of where tokframe came from."""

    def say(**origin):
        class Distribution:
            def read_text(self, name):
                return json.dumps(origin) if origin and name == "direct_url.json" else None

        monkeypatch.setattr(metadata, "distribution", lambda name: Distribution())

    return say


@pytest.fixture
def checkout(tmp_path, came_from):
    """A checkout of which tokframe-torch and tokframe-lm are not installed."""

    def project(folder, *needs, **extras):
        lines = ["[project]", f"dependencies = {json.dumps(needs)}", "[project.optional-dependencies]"]
        lines += [f"{name} = {json.dumps(value)}" for name, value in extras.items()]
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        (tmp_path / folder / "pyproject.toml").write_text("\n".join(lines))

    project(".", "numpy", report=["jinja2"])
    project("plugins/tokframe-lm", "tokframe>=0.1,<0.2", "tokframe-torch>=0.1,<0.2", "torch")
    project("plugins/tokframe-torch", "tokframe>=0.1")
    project("plugins/tokframe-autoencoder", "tokframe", train=["tokframe-torch>=0.1"], int8=["onnx"])
    came_from(url=tmp_path.as_uri(), dir_info={})
    return tmp_path


@pytest.fixture
def absent(monkeypatch):
    for name in ("tokframe_torch", "tokframe_lm"):
        monkeypatch.setitem(sys.modules, name, None)


def test_from_an_index_come_names(came_from):
    came_from()
    assert install_command("tokframe-lm") == "pip install tokframe-lm"
    assert install_command("tokframe", "report") == "pip install 'tokframe[report]'"
    came_from(url="https://example.org/tokframe", vcs_info={"vcs": "git"})
    assert install_command("tokframe-lm", options=["--upgrade"]) == "pip install --upgrade tokframe-lm"


@pytest.mark.usefixtures("absent")
def test_from_a_checkout_come_folders_with_what_they_need(checkout, monkeypatch):
    folder = checkout / "plugins"
    assert install_command("tokframe-lm") == f"pip install {folder / 'tokframe-torch'} {folder / 'tokframe-lm'}"
    monkeypatch.chdir(checkout)
    assert install_command("tokframe-lm") == "pip install ./plugins/tokframe-torch ./plugins/tokframe-lm"
    assert install_command("tokframe", "report") == "pip install '.[report]'"
    train = "pip install ./plugins/tokframe-torch './plugins/tokframe-autoencoder[train]'"
    assert install_command("tokframe-autoencoder", "train") == train
    assert install_command("tokframe-autoencoder", "int8") == "pip install './plugins/tokframe-autoencoder[int8]'"
    assert install_command("acme-sign", "train") == "pip install 'acme-sign[train]'"


def test_a_checkout_that_is_gone_is_no_source(checkout):
    (checkout / "plugins" / "tokframe-lm" / "pyproject.toml").write_text("altered [")
    (checkout / "plugins" / "tokframe-torch" / "pyproject.toml").unlink()
    assert install_command("tokframe-lm") == "pip install tokframe-lm"
    assert install_command("tokframe-torch") == "pip install tokframe-torch"


def test_beside_a_wheel_lie_the_others(tmp_path, came_from):
    came_from(url=(tmp_path / "tokframe-0.1.0-py3-none-any.whl").as_uri(), archive_info={})
    assert install_command("tokframe-lm") == "pip install tokframe-lm"
    (tmp_path / "tokframe_lm-0.1.0-py3-none-any.whl").touch()
    assert install_command("tokframe-lm") == f"pip install --find-links {tmp_path} tokframe-lm"


def test_every_project_of_this_checkout_has_a_command(monkeypatch):
    from pathlib import Path

    from tokframe.storage.advice import FIRST_PARTY

    root = Path(__file__).parents[2]
    assert {path.name for path in (root / "plugins").iterdir() if path.is_dir()} == FIRST_PARTY - {"tokframe"}


@pytest.mark.parametrize(
    ("kind", "name", "what"),
    [
        ("exporter", "huggingface", "tokframe-huggingface"),
        ("quantizer", "lfq", "tokframe-vector-quantize[train]"),
        ("quantizer", "rfsq", "tokframe-vector-quantize[train]"),
        ("encoder", "conv", "tokframe-autoencoder[train]"),
        ("tokenizer", "bpe", "tokframe-bpe"),
    ],
)
def test_a_name_of_this_project_says_where_it_comes_from(toy_host, came_from, kind, name, what):
    came_from()
    text = str(host().registry.unknown(kind, name))
    assert f"It comes with {what.partition('[')[0]}, which is not installed" in text
    assert f"Try: pip install {what!r}." in text.replace(f"install {what}.", f"install {what!r}.")


def test_a_missing_module_is_found_behind_other_errors(monkeypatch):
    monkeypatch.setitem(sys.modules, "acme_gone", None)
    try:
        try:
            import acme_gone.part  # noqa: F401
        except ImportError as error:
            raise ValueError("later") from error
    except ValueError as error:
        assert missing_module(error) == "acme_gone"
    assert missing_module(ImportError("libacme.so is damaged", name="json")) == ""
    assert missing_module(ModuleNotFoundError("json.gone", name="json.gone")) == ""


def test_a_command_that_needs_a_missing_module_is_no_bug(plugin, use_host, capsys):
    source = """
    @tokframe.hookimpl
    def tokframe_commands():
        import click

        @click.command("needy")
        def needy():
            import acme_gone

        return [needy]
    """
    use_host(plugin("acme-needy", source))
    assert main(["needy"]) == 1
    err = capsys.readouterr().err
    assert (
        "needs the module 'acme_gone', which is not installed. Try: pip install acme_gone" in err and "bug" not in err
    )
