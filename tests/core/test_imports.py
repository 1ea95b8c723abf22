"""What importing costs, and that imports between the core's modules run one way."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest

import tokframe

PACKAGE = Path(tokframe.__file__).parent

#: From the ground up: a folder imports only from those before it.
LAYERS = (
    "_version",
    "errors",
    "storage",
    "plugins",
    "corpus",
    "training",
    "tokenizer",
    "loading",
    "shards",
    "shadowing",
    "__init__",
    "evaluate",
    "testing",
    "playground",
    "cli",
    "__main__",
)
LAYER_OF = {name: layer for layer, name in enumerate(LAYERS)}
HEAVY_ROOTS = {"torch", "numba", "transformers", "tensorflow", "jax"}


def module_name(path: Path) -> str:
    """`tokframe/cli/main.py` and all of `tokframe/cli/` are the layer `cli`."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports_when_imported(tree: ast.Module) -> list[str]:
    """Return the dotted names a module imports at its own level, `if TYPE_CHECKING` left out."""
    found: list[str] = []

    def visit(statements):
        for node in statements:
            if isinstance(node, ast.Import):
                found.extend(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, "relative imports hide from this test"
                found.extend(f"{node.module}.{alias.name}" for alias in node.names)
            elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                continue
            elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
                visit(node.orelse)
            else:
                for field in ("body", "orelse", "finalbody"):
                    visit(getattr(node, field, []))
                for handler in getattr(node, "handlers", []):
                    visit(handler.body)

    visit(tree.body)
    return found


def core_files() -> list[Path]:
    return sorted(p for p in PACKAGE.rglob("*.py"))


def test_every_module_has_its_layer():
    unplaced = {module_name(path) for path in core_files()} - set(LAYER_OF)
    assert not unplaced, f"give {unplaced} a place in LAYERS"


@pytest.mark.parametrize("path", core_files(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_run_one_way(path):
    own = module_name(path)
    wrong = []
    for name in imports_when_imported(ast.parse(path.read_text(encoding="utf-8"))):
        root, _, rest = name.partition(".")
        if root != "tokframe":
            continue
        other = rest.partition(".")[0]
        if other not in LAYER_OF:  # `from tokframe import __version__`
            other = "__init__"
        if other != own and LAYER_OF[other] >= LAYER_OF[own]:
            wrong.append(name)
    assert not wrong


@pytest.mark.parametrize("path", core_files(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_core_module_imports_torch_or_a_plugin_when_imported(path):
    roots = {name.partition(".")[0] for name in imports_when_imported(ast.parse(path.read_text(encoding="utf-8")))}
    assert not roots & HEAVY_ROOTS
    assert not {root for root in roots if root.startswith("tokframe_")}


def test_the_walk_sees_what_it_should():
    source = """
    import a
    if TYPE_CHECKING:
        import hidden
    else:
        import b
    try:
        from tokframe import c
    except ImportError:
        import d
    class E:
        import e
    def f():
        import hidden
    """
    import textwrap

    tree = ast.parse(textwrap.dedent(source))
    assert sorted(imports_when_imported(tree)) == ["a", "b", "d", "e", "tokframe.c"]


def loaded(fresh, source: str, **environment) -> set[str]:
    """Return the top-level modules loaded after `source` ran in a fresh process."""
    end = "\nimport sys, json\nprint(json.dumps(sorted({m.partition('.')[0] for m in sys.modules})))"
    return set(json.loads(fresh(source + end, **environment).stdout.splitlines()[-1]))


def test_import_loads_nothing_heavy(fresh):
    modules = loaded(fresh, "import tokframe")
    assert "tokframe" in modules
    assert not modules & {"torch", "numpy", "numba", "cattrs", "attr", "pluggy", "click", "rich", "typing_extensions"}


def test_discovery_loads_no_framework(fresh):
    # Every plugin installed here takes part: the first-party ones, the toy and the broken one.
    modules = loaded(fresh, "import tokframe\nassert tokframe.host().records")
    assert "pluggy" in modules
    assert not modules & {"torch", "numba", "transformers", "numpy", "tokenizers", "cattrs"}


def test_loading_and_using_a_plain_tokenizer_needs_no_torch_and_no_cattrs(fresh, tmp_path):
    source = f"""
    import toy_bytes.tokenizer as toy, tokframe
    tok = toy.ToyTokenizer([b"the "])
    tok.name = "toy"
    tok.save({str(tmp_path / "toy")!r})
    assert tokframe.load({str(tmp_path / "toy")!r}).encode("the x")
    """
    import textwrap

    modules = loaded(fresh, textwrap.dedent(source), TOKFRAME_PLUGINS="toy-bytes")
    assert "numpy" in modules
    assert not modules & {"torch", "numba", "transformers", "cattrs"}


def test_all_is_the_public_names_sorted():
    assert list(tokframe.__all__) == sorted({*tokframe._HOMES, "__version__"})
    assert dir(tokframe) == list(tokframe.__all__)


def test_every_public_name_is_the_one_of_its_home():
    import importlib

    for name, home in tokframe._HOMES.items():
        module = importlib.import_module(f"tokframe.{home}")
        assert getattr(tokframe, name) is getattr(module, name)
        assert name in module.__all__


def test_type_checkers_see_the_same_names():
    tree = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    block = next(n for n in tree.body if isinstance(n, ast.If) and ast.unparse(n.test) == "TYPE_CHECKING")
    seen = {}
    for node in block.body:
        assert isinstance(node, ast.ImportFrom)
        seen |= {alias.asname: node.module.removeprefix("tokframe.") for alias in node.names}
    assert seen == tokframe._HOMES


def test_an_unknown_attribute_is_named():
    with pytest.raises(AttributeError, match="'tokframe' has no attribute 'lode'"):
        _ = tokframe.lode


def test_version_is_that_of_the_distribution():
    from importlib import metadata

    assert tokframe.__version__ == metadata.version("tokframe")


def test_every_module_says_what_it_is():
    for path in core_files():
        docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
        assert docstring, f"{path} opens with no docstring"
