"""The exception tree: what errors.py draws is what there is."""

from __future__ import annotations

import inspect
import pickle
import re

import pytest

from tokframe import errors

CLASSES = [getattr(errors, name) for name in errors.__all__]


def drawn() -> dict[str, str | None]:
    """Return class name -> parent as drawn in the docstring of errors.py."""
    parents: dict[str, str | None] = {}
    path: list[str] = []
    for line in errors.__doc__.splitlines():
        match = re.match(r"^((?:[│ ]   )*)([├└]── )?([A-Z]\w+)(?:\s{2,}|$)", line)
        if not match or not match[3].endswith(("Error", "Interrupted")):
            continue
        depth = len(match[1]) // 4 + (1 if match[2] else 0)
        path[depth:] = [match[3]]
        parents[match[3]] = path[depth - 1] if depth else None
    return parents


def make(cls: type[Exception]) -> Exception:
    if cls is errors.ConfigError:
        return cls("config.json", [("$.a", "is wrong"), ("$.b[1]", "too")])
    optional = {
        name: {"position": 3, "token": 7, "found": 2, "supported": 1}.get(
            name, ["x", "y"] if "Sequence" in str(p.annotation) else "v"
        )
        for name, p in inspect.signature(cls.__init__).parameters.items()
        if p.kind is inspect.Parameter.KEYWORD_ONLY
    }
    return cls("what happened", **optional)


def test_every_class_is_drawn_with_its_parent():
    tree = drawn()
    assert len(tree) > 15
    assert set(tree) == set(errors.__all__)
    for name, parent in tree.items():
        bases = [base.__name__ for base in getattr(errors, name).__bases__ if issubclass(base, errors.TokframeError)]
        assert bases == ([parent] if parent else []), name


def test_nothing_public_is_left_out():
    public = {
        name for name, value in vars(errors).items() if inspect.isclass(value) and issubclass(value, BaseException)
    }
    assert public == set(errors.__all__)


def test_each_class_says_when_it_is_raised():
    assert all(cls.__doc__ and "__doc__" in vars(cls) for cls in CLASSES)


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
class TestEveryError:
    def test_is_no_key_error_and_shows_its_text_plainly(self, cls):
        assert not issubclass(cls, KeyError)
        text = str(make(cls))
        assert text and not text.startswith(("'", '"', "("))

    def test_survives_pickling_with_its_facts(self, cls):
        error = make(cls)
        again = pickle.loads(pickle.dumps(error))
        assert type(again) is cls
        assert str(again) == str(error)
        assert vars(again) == vars(error)


def test_config_error_counts_and_lists_its_problems():
    one = errors.ConfigError("a.json", [("$.x", "bad")])
    assert str(one) == "a.json: 1 problem\n  $.x: bad"
    two = errors.ConfigError("a.json", iter([("$.x", "bad"), ("$", "worse")]))
    assert str(two).startswith("a.json: 2 problems\n")
    assert two.problems == (("$.x", "bad"), ("$", "worse"))


@pytest.mark.parametrize(
    ("cls", "builtin"),
    [
        (errors.ConfigError, ValueError),
        (errors.EncodingError, ValueError),
        (errors.ArtifactNotFoundError, FileNotFoundError),
        (errors.ArtifactExistsError, FileExistsError),
        (errors.UnsupportedError, NotImplementedError),
        (errors.ComponentImportError, ImportError),
        (errors.UnknownNameError, LookupError),
    ],
)
def test_the_builtin_a_user_would_catch_also_catches_it(cls, builtin):
    assert issubclass(cls, builtin)
