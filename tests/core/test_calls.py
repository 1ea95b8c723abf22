"""Every command has a Python call of the same name, with the same parameters and defaults."""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path

import click
import pytest

import tokframe
from tokframe.cli.main import _COMMANDS
from tokframe.errors import ComponentImportError, UnknownNameError

#: What a command has beside its call: how results are written, how a corpus is read (`Corpus.open`), how a config is
#: put together (a dict in Python), how many ids the summary lists.
_OF_THE_TERMINAL = {"as_json", "json_to", "top", "settings", "print_config"}
#: Commands that are something else in Python; docs/python.md says what.
ELSEWHERE = {"plugins", "components", "aliases", "playground", "encode", "decode", "new-plugin"}
#: Parameters whose names are words of Python, or differ for history's sake: command's -> call's.
#: Those of `lm compare` that are fields of its `settings`.
SETTINGS = ("max_bytes", "seeds", "equal", "eval_bytes", "prompts", "written")
RENAMED = {
    "count": {"words": "files"},
    "export": {"kind": "format"},
    "lm eval": {"model": "saved"},
    "lm generate": {"model": "saved", "words": None},
    "lm score": {"model": "saved"},
    "lm compare": {
        "names": "tokenizers",
        **dict.fromkeys(("max_bytes", "seeds", "equal", "eval_bytes", "prompts", "written")),
    },
    "lm migrate": {"pretrained": None, "untie": None},
}


def commands():
    for name in _COMMANDS:
        if name not in ELSEWHERE:
            module = importlib.import_module(f"tokframe.cli.{name.replace('-', '_')}")
            yield pytest.param(name, module.command, f"tokframe.{name}", id=name)
    for package, name in (("tokframe_huggingface", ""), ("tokframe_lm", "lm")):
        for command in importlib.import_module(package).tokframe_commands():
            if isinstance(command, click.Group):
                for inner, sub in command.commands.items():
                    call = f"tokframe.lm.{'evaluate' if inner == 'eval' else inner}"
                    yield pytest.param(f"{name} {inner}", sub, call, id=f"{name} {inner}")
            else:
                call = {"import": "import_"}.get(command.name, command.name.replace("-", "_"))
                yield pytest.param(command.name, command, f"tokframe.{call}", id=command.name)


@pytest.mark.parametrize(("name", "command", "call"), list(commands()))
def test_a_command_has_a_call_with_its_parameters_and_defaults(name, command, call):
    target = tokframe
    for part in call.split(".")[1:]:
        target = getattr(target, part)
    parameters = inspect.signature(target).parameters
    renamed = RENAMED.get(name, {})
    for option in command.params:
        if option.name in _OF_THE_TERMINAL or not option.expose_value:
            continue
        wanted = renamed.get(option.name, option.name)
        if wanted is None:
            continue
        assert wanted in parameters, f"{call} has no {wanted!r}"
        default = parameters[wanted].default
        if default is inspect.Parameter.empty:
            assert option.required or isinstance(option, click.Argument), wanted
        elif isinstance(option.default, (int, float, str)) and option.default != "":
            assert default == option.default, wanted
        else:
            assert not option.required and (
                default in (None, False, "", (), 0) or option.name in ("corpus", "words", "files")
            )


def test_a_call_of_a_plugin_that_is_not_installed_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr(tokframe, "_ELSEWHERE", {"lm": ("tokframe_nowhere", "")})
    monkeypatch.delitem(vars(tokframe), "lm", raising=False)
    with pytest.raises(ComponentImportError, match=r"comes with tokframe-nowhere, which is not installed\. Try: pip"):
        _ = tokframe.lm


@pytest.fixture
def text(tmp_path):
    (tmp_path / "a.txt").write_text("the thé\nthing\n", encoding="utf-8")
    return tmp_path / "a.txt"


def test_compare_and_analyze_take_paths_and_write_pages(toys, given_footprint, text, tmp_path):
    other = tokframe.load(toys).save(tmp_path / "other")
    found = tokframe.compare([toys, other], text, baseline=str(toys), html=tmp_path / "page.html")
    assert found.baseline == str(toys) and len(found.rows) == 2 and b"compared" in (tmp_path / "page.html").read_bytes()
    with pytest.raises(UnknownNameError, match=r"baseline .nowhere. is not among .*mine"):
        tokframe.compare(toys, text, baseline="nowhere")
    assert tokframe.analyze(toys, text).tokens == tokframe.analyze(tokframe.load(toys), [text]).tokens


def test_count_adds_up_files_as_wc_does(toys, text, tmp_path):
    (tmp_path / "b.bin").write_bytes(b"\xff\n")
    found = tokframe.count(toys, [text, tmp_path / "b.bin"])
    tokens = tokframe.load(toys).count(text.read_text(encoding="utf-8"))
    first = found.files[0]
    assert (first.tokens, first.lines, first.chars, first.bytes) == (tokens, 2, 14, 15)
    assert found.total.bytes == 17 and found.total.lines == 3 and found.records()[-1]["file"] == "total"
    assert found.to_dict()["total"]["tokens"] == tokens + 2


def test_vocab_lists_ids_that_contain_a_text(toys):
    found = tokframe.vocab(toys)
    assert len(found.entries) == found.vocab_size == len(tokframe.load(toys))
    assert [each.text for each in tokframe.vocab(toys, "the").entries] == ["the "]
    assert found.to_dict()["ids"][0] == {"id": 0, "text": "<pad>", "hex": b"<pad>".hex(), "special": True}


@pytest.fixture
def toys(toy_host, tmp_path):
    from support.toys import toy

    return Path(toy([b"the "]).save(tmp_path / "mine"))
