"""tokframe.testing imports pytest when a contract is asked for, and says what to install where it is missing."""

from __future__ import annotations

import pytest

from tokframe import testing
from tokframe.testing.fresh import FreshProcessError, run_fresh


def test_the_package_itself_needs_neither_pytest_nor_hypothesis():
    source = """
    import json, sys
    import tokframe.testing, tokframe.testing.texts, tokframe.testing.fresh, tokframe.testing.fingerprint
    print(json.dumps(sorted({"pytest", "hypothesis", "torch"} & set(sys.modules))))
    """
    assert run_fresh(source) == []


@pytest.mark.parametrize("missing", ["pytest", "hypothesis"])
def test_where_one_is_missing_the_error_says_what_to_install(missing):
    source = """
    import json, sys
    sys.modules[sys.argv[1]] = None
    import tokframe.testing
    try:
        tokframe.testing.TokenizerContract
    except tokframe.UnsupportedError as error:
        print(json.dumps([error.capability, str(error)]))
    """
    capability, text = run_fresh(source, missing)
    assert capability == "testing" and missing in text and "[testing]'" in text


def test_what_is_no_contract_is_named():
    with pytest.raises(AttributeError, match="no attribute 'Contract'; it has DecoderContract"):
        _ = testing.Contract


def test_a_fresh_process_that_fails_says_what_it_wrote():
    with pytest.raises(FreshProcessError, match="ended with 3"):
        run_fresh("import sys; sys.exit(3)")
    assert run_fresh("print('first'); print('[1, 2]')") == [1, 2]
    assert run_fresh("pass") is None


def test_a_distribution_that_is_not_installed_is_named():
    case = type("Case", (testing.PluginContract,), {"distribution": "no-such-plugin"})()
    with pytest.raises(AssertionError, match=r"'no-such-plugin' is not installed. From its folder: pip install -e \."):
        case.test_it_bounds_the_tokframe_it_works_with()
