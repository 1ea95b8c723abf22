"""Each deliberately faulty plugin fails exactly the test that is about its fault; sound ones fail none."""

from __future__ import annotations

import shutil
import textwrap
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from support import faults
from support.faults import OF_PARTS, OF_TOKENIZERS
from support.fixtures import completed
from support.hosts import put_distribution

pytestmark = pytest.mark.slow

FAULTY = Path(__file__).parent / "faulty"

#: Processes take their time: these run for sound tokenizers and for faults that might touch them.
OF_PROCESSES = ("test_the_same_ids_in_any_process", "test_a_saved_one_is_the_same_in_a_fresh_process")
PLUGIN = """
import tokframe

@tokframe.hookimpl
def tokframe_components():
    return [tokframe.ComponentSpec(kind="embedding", name="NAME", target="toy_part:Part", summary="x")]
"""
#: Distribution -> (what is put in place of what in its module, settings of its metadata, the test that fails).
OF_PLUGINS = {
    "fine": ({}, {}, ""),
    "breaks": ({'name="NAME"': 'name="No Name"'}, {}, "test_it_is_found_and_ok"),
    "unbounded": ({}, {"requires": "tokframe>=0.1"}, "test_it_bounds_the_tokframe_it_works_with"),
    "needs-nothing": ({}, {"requires": ""}, "test_it_bounds_the_tokframe_it_works_with"),
    "heavy": ({"import tokframe\n": "import numpy, tokframe\n"}, {}, "test_importing_it_is_light"),
    "loud": ({"import tokframe\n": "import tokframe\nprint('hello')\n"}, {}, "test_importing_it_is_silent"),
    "lost-target": ({"toy_part:Part": "toy_part:Gone"}, {}, "test_everything_it_declares_can_be_imported"),
    "mute": ({', summary="x"': ""}, {}, "test_everything_it_declares_has_a_summary"),
    "no-such-extra": (
        {'summary="x"': 'summary="x", extra="train"'},
        {"extra": "gpu"},
        "test_the_extras_it_names_exist",
    ),
    "takes-a-name": ({'name="NAME"': 'name="fine"'}, {}, "test_its_names_are_its_own"),
}


def class_of(*words):
    return "Test" + "".join(part.title() for word in words for part in word.split("-"))


@pytest.fixture
def failures(tmp_path):
    """Return a function: contracts' source (and a plugins' folder) -> {class: {names of failed tests}}."""

    def run(source, site):
        file, report = tmp_path / "test_of_contracts.py", tmp_path / "report.xml"
        file.write_text(textwrap.dedent(source), encoding="utf-8")
        # Plain assertions: in CI pytest shows whole differences, and that of two lists of thousands of ids takes hours.
        words = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "--assert=plain", f"--junitxml={report}", file]
        done = completed(tmp_path, words, check=False, PYTHONPATH=site)
        assert report.is_file(), f"pytest did not run:\n{done.stdout}\n{done.stderr}"
        failed = {}
        for case in ElementTree.parse(report).iter("testcase"):
            found = failed.setdefault(case.get("classname").rpartition(".")[2], set())
            if case.find("failure") is not None or case.find("error") is not None:
                found.add(case.get("name"))
        return failed

    return run


@pytest.fixture
def faulty(tmp_path):
    """The folder in which the plugin "faulty" is installed."""
    site = tmp_path / "site"
    shutil.copytree(FAULTY, site, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(faults.__file__, site)
    put_distribution(site, "faulty", "faulty_plugin")
    return site


def test_a_faulty_tokenizer_fails_exactly_its_test(failures, faulty):
    source = "from tokframe.testing import TokenizerContract\n"
    for name, test in OF_TOKENIZERS.items():
        source += f"class {class_of(name)}(TokenizerContract):\n    name = {name!r}\n"
        source += "    config = {'wrap': True}\n    max_examples = 20\n"
        if test not in {"", *OF_PROCESSES, "test_saving_twice_writes_the_same_bytes"}:
            source += "".join(f"    {other} = None\n" for other in OF_PROCESSES)
    wanted = {class_of(name): {test} - {""} for name, test in OF_TOKENIZERS.items()}
    assert failures(source, faulty) == wanted


def test_a_faulty_part_fails_exactly_its_test(failures, faulty):
    pytest.importorskip("torch")
    kinds = "EncoderContract, QuantizerContract, DecoderContract"
    # Torch takes seconds to import: the fresh process is shown with one sound part of each kind and with its fault.
    fresh = "test_saved_weights_give_the_same_in_a_fresh_process"
    source = f"import torch\nfrom tokframe.testing import {kinds}\ntorch.set_num_threads(1)\n"
    for (kind, name), test in OF_PARTS.items():
        source += f"class {class_of(name)}({kind.title()}Contract):\n    name = {name!r}\n    config = {{'width': 8}}\n"
        if test not in ("", fresh):
            source += f"    {fresh} = None\n"
    wanted = {class_of(name): {test} - {""} for (_, name), test in OF_PARTS.items()}
    assert failures(source, faulty) == wanted


def test_a_faulty_distribution_fails_exactly_its_test(failures, tmp_path):
    site = tmp_path / "site"
    site.mkdir()
    (site / "toy_part.py").write_text("class Part:\n    pass\n", encoding="utf-8")
    source = "import pytest\nfrom tokframe.plugins import discovery as plugins\n"
    source += "from tokframe.testing import PluginContract\n"
    for name, (changes, about, _) in OF_PLUGINS.items():
        text = PLUGIN
        for old, new in changes.items():
            assert old in text
            text = text.replace(old, new)
        module = f"plugin_{name.replace('-', '_')}"
        (site / f"{module}.py").write_text(text.replace("NAME", name), encoding="utf-8")
        put_distribution(site, name, module, **about)
        source += f"class {class_of(name)}(PluginContract):\n    distribution = {name!r}\n"
        others = ["takes-a-name"] if name != "takes-a-name" else []
        source += f"""
    @pytest.fixture(autouse=True)
    def alone(self, monkeypatch):
        monkeypatch.setattr(plugins, "_host", plugins.Host(deny={others!r}))
"""
    found = failures(source, site)
    # What cannot be loaded declares nothing either.
    assert found[class_of("breaks")] > {"test_it_is_found_and_ok"}
    assert found | {class_of("breaks"): {"test_it_is_found_and_ok"}} == {
        class_of(name): {test} - {""} for name, (_, _, test) in OF_PLUGINS.items()
    }


def test_every_test_of_a_contract_has_a_fault_that_fails_it():
    from tokframe import testing

    covered = {*OF_TOKENIZERS.values(), *OF_PARTS.values(), *(test for _, _, test in OF_PLUGINS.values())}
    for contract in set(testing.__all__) - {"EngineContract"}:  # whose faults are in test_engine_contract.py
        own = {name for name in dir(getattr(testing, contract)) if name.startswith("test_")}
        # What a distribution ships is loaded by every first-party plugin's contract; none of the faulty tokenizers has
        # vectors, and all others skip that test.
        elsewhere = {"test_what_it_ships_loads_in_a_fresh_process", "test_vectors_classes_and_neighbors_agree"}
        assert own - covered <= elsewhere, contract
