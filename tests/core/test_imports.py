"""Imports: what they cost, and that they run one way between files and between folders, in every distribution."""

from __future__ import annotations

import ast
import graphlib
import importlib
import json
import re
import sys
import textwrap
import tomllib
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

import tokframe
from tokframe.plugins.registry import normal_name

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
    "evaluate",
    "__init__",
    "testing",
    "playground",
    "cli",
    "__main__",
)
#: Imports that a distribution does without declaring them: torch only where the user has tensors.
UNDECLARED = {"tokframe": {"torch"}}
HEAVY_ROOTS = {"torch", "numba", "transformers", "tensorflow", "jax"}


REPOSITORY = PACKAGE.parent
#: The root of each package in this repository -> the folder with its pyproject.toml.
PROJECTS = {PACKAGE: REPOSITORY} | {
    package: project
    for project in sorted(REPOSITORY.glob("plugins/*"))
    for package in sorted(project.glob("src/tokframe_*"))
    if (package / "__init__.py").is_file()
}
PACKAGES = {package.name: package for package in PROJECTS}
MAX_ENTRIES = {"tokframe": 17, "tokframe_lm": 13, "tokframe_autoencoder": 11, "tokframe_dictionary": 10}


def files_of(package: Path) -> list[Path]:
    return sorted(path for path in package.rglob("*.py") if "templates" not in path.relative_to(package).parts)


def imports(tree: ast.AST, *, deferred: bool = True) -> list[str]:
    """Return the dotted names imported anywhere, or without those in functions and under TYPE_CHECKING."""
    found: list[str] = []
    nodes = [tree]
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide from this test"
            found += [f"{node.module}.{alias.name}" for alias in node.names]
        elif not deferred and isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            nodes += node.orelse
        elif deferred or not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            nodes += ast.iter_child_nodes(node)
    return found


def graph_of(package: Path) -> dict[tuple[str, ...], set[tuple[str, ...]]]:
    """Return each module of a package -> the modules of the package that it imports; names are tuples of parts."""
    modules = {path.relative_to(package.parent).with_suffix("").parts: path for path in files_of(package)}

    def module(name: str) -> tuple[str, ...] | None:
        parts = tuple(name.split("."))
        while parts and parts not in modules and (*parts, "__init__") not in modules:
            parts = parts[:-1]
        return parts if parts in modules else (*parts, "__init__") if parts else None

    return {
        name: {other for other in map(module, imports(parsed(path))) if other and other != name}
        for name, path in modules.items()
    }


def circle(graph: dict[Any, set[Any]]) -> list[Any]:
    """Return nodes that lead to one another in a circle, or none."""
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        return list(error.args[1])
    return []


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def by_name(package: Path) -> str:
    return package.name


# -- imports run one way ----------------------------------------------------------------------------------------


def test_imports_run_down_the_layers():
    graph = graph_of(PACKAGE)
    layer = {name: number for number, name in enumerate(LAYERS)}
    assert set(layer) == {name[1] for name in graph}, "each has its place in LAYERS"
    upward = [
        f"{'.'.join(name)} imports {'.'.join(other)}"
        for name, others in graph.items()
        for other in others
        if other[1] != name[1] and layer[other[1]] > layer[name[1]]
    ]
    assert not upward


@pytest.mark.parametrize("package", PROJECTS, ids=by_name)
def test_no_file_imports_itself_by_way_of_others(package):
    assert not circle(graph_of(package))


@pytest.mark.parametrize("package", PROJECTS, ids=by_name)
def test_no_folder_imports_itself_by_way_of_others(package):
    graph = graph_of(package)
    for folder in {name[:depth] for name in graph for depth in range(1, len(name))}:
        depth = len(folder)
        entries: dict[str, set[str]] = {}
        for name, others in graph.items():
            if name[:depth] == folder:
                inside = {other[depth] for other in others if other[:depth] == folder}
                entries.setdefault(name[depth], set()).update(inside - {name[depth]})
        assert not circle(entries), f"in {'/'.join(folder)}"


@pytest.mark.parametrize("path", files_of(PACKAGE), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_core_module_imports_torch_or_a_plugin_when_imported(path):
    tree = parsed(path)
    roots = {name.partition(".")[0] for name in imports(tree, deferred=False)}
    assert not roots & HEAVY_ROOTS
    assert not {name for name in imports(tree) if name.startswith("tokframe_")}, "the core knows no plugin"


@pytest.mark.parametrize("package", PROJECTS, ids=by_name)
def test_a_distribution_declares_what_it_imports(package):
    project = tomllib.loads((PROJECTS[package] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    optional = project.get("optional-dependencies", {}).values()
    required = [*project.get("dependencies", ()), *(text for texts in optional for text in texts)]
    declared = {normal_name(re.match(r"[\w.-]+", text)[0]) for text in [*required, project["name"]]}
    roots = {name.partition(".")[0] for path in files_of(package) for name in imports(parsed(path))}
    installed = metadata.packages_distributions()
    unknown = {
        root
        for root in roots - set(sys.stdlib_module_names)
        if not declared & {normal_name(name) for name in [root, *installed.get(root, ())]}
    }
    assert unknown <= UNDECLARED.get(package.name, set())


@pytest.mark.parametrize("package", PROJECTS, ids=by_name)
def test_a_folder_holds_few_entries(package):
    def entries(folder: Path) -> int:
        return sum(path.name != "__pycache__" and path.suffix not in (".so", ".pyd") for path in folder.iterdir())

    folders = {path.parent for path in files_of(package)} - {package, PACKAGE / "cli"}
    assert entries(package) <= MAX_ENTRIES.get(package.name, 16)
    assert not {folder.name: entries(folder) for folder in folders if entries(folder) > 16}


def test_the_walks_see_what_they_should():
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
        def g(self):
            import hidden
    async def f():
        import hidden
    """
    tree = ast.parse(textwrap.dedent(source))
    assert sorted(imports(tree, deferred=False)) == ["a", "b", "d", "e", "tokframe.c"]
    assert sorted(imports(tree)) == ["a", "b", "d", "e", "hidden", "hidden", "hidden", "tokframe.c"]
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) and not circle({"a": {"b", "c"}, "b": {"c"}, "c": set()})
    assert ("tokframe", "storage", "artifact") in graph_of(PACKAGE)["tokframe", "tokenizer", "base"]


# -- what importing costs ---------------------------------------------------------------------------------------


def loaded(fresh, source: str, **environment) -> set[str]:
    """Return the modules loaded after `source` ran in a fresh process."""
    end = "\nimport sys, json\nprint(json.dumps(sorted(sys.modules)))"
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


def test_loading_and_using_a_plain_tokenizer_needs_no_torch_and_nothing_that_writes(fresh):
    source = """
    import toy_bytes.tokenizer as toy
    tok = toy.ToyTokenizer([b"the "])
    tok.name = "toy"
    tok.save("toy")
    """
    fresh(textwrap.dedent(source), TOKFRAME_PLUGINS="toy-bytes")
    modules = loaded(
        fresh, "import tokframe\nassert tokframe.load('./toy').encode('the x')", TOKFRAME_PLUGINS="toy-bytes"
    )
    assert "numpy" in modules
    assert not modules & {"torch", "numba", "transformers", "cattrs", "rich", "click"}
    writing = {"atomic", "locks", "places"}
    assert not modules & {"secrets", *(f"tokframe.storage.{name}" for name in writing)}


def test_all_is_the_public_names_sorted():
    assert list(tokframe.__all__) == sorted({*tokframe._HOMES, "__version__"})
    assert dir(tokframe) == list(tokframe.__all__)


def test_every_public_name_is_the_one_of_its_home():
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
    assert tokframe.__version__ == metadata.version("tokframe")


def test_every_module_says_what_it_is():
    for path in (path for package in PROJECTS for path in files_of(package)):
        docstring = ast.get_docstring(parsed(path))
        assert docstring, f"{path} opens with no docstring"
