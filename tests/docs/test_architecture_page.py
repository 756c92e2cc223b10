"""docs/architecture.md and CONTRIBUTING.md against the code: paths, functions, modules and constants that they name."""

import ast
import contextlib
import re
from collections import defaultdict
from pathlib import Path

import pytest

from tests.docs import pages

PAGE = pages.DOCS / "architecture.md"
SERVER_CODE = [
    path for folder in ("container", "model_loader", "serve") for path in (pages.ROOT / folder).rglob("*.py")
]


def definitions(module: Path) -> set[str]:
    """The names of a module's functions, and of its classes' methods as Class.method."""
    tree = ast.parse(module.read_text())
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    names = {node.name for node in tree.body if isinstance(node, functions)}
    for each in tree.body:
        if isinstance(each, ast.ClassDef):
            names |= {f"{each.name}.{node.name}" for node in each.body if isinstance(node, functions)}
    return names


def constants() -> dict[str, list[object]]:
    """Every value that a module of the server assigns to a constant of this name."""
    found: dict[str, list[object]] = defaultdict(list)
    for module in SERVER_CODE:
        for node in ast.parse(module.read_text()).body:
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id.isupper():
                with contextlib.suppress(ValueError):  # neither a number nor a text
                    found[node.targets[0].id].append(ast.literal_eval(node.value))
    return found


@pytest.mark.parametrize("page", [PAGE, pages.ROOT / "CONTRIBUTING.md"], ids=pages.name_of)
def test_paths_that_a_page_names_exist(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    paths = {name for name in pages.names(text) if re.fullmatch(r"[\w.]+/[\w./*-]*", name)}
    assert paths
    folders = (pages.ROOT, pages.ROOT / "serve" / "page" / "assets")
    assert {path for path in paths if not any(list(folder.glob(path)) for folder in folders)} == set()


def test_functions_of_the_traced_request_exist() -> None:
    _, *table = pages.rows(pages.section(PAGE, "One request, function by function"))
    assert table
    for _, module, functions, _ in table:
        assert set(pages.names(functions)) <= definitions(pages.ROOT / pages.names(module)[0]), module


def test_the_table_of_modules_names_every_module_of_the_server_and_no_other() -> None:
    _, *table = pages.rows(pages.section(PAGE, "Modules of the server"))
    modules = {pages.name_of(path) for path in (pages.ROOT / "serve").rglob("*.py") if path.name != "__init__.py"}
    assert {module.strip("`") for module, _ in table} == modules


def test_the_table_of_the_page_names_every_file_of_the_page_and_no_other() -> None:
    _, *table = pages.rows(pages.section(PAGE, "Modules of the page"))
    assets = pages.ROOT / "serve" / "page" / "assets"
    files = {path.relative_to(assets).as_posix() for path in assets.rglob("*") if path.is_file()}
    assert {file.strip("`") for file, _ in table} == files


def test_constants_have_the_documented_values() -> None:
    values = constants()
    _, *table = pages.rows(pages.section(PAGE, "Constants"))
    for name, documented, _ in table:
        numbers = [float(each.replace(",", "")) for each in re.findall(r"\d+(?:,\d{3})*(?:\.\d+)?", documented)]
        found = values[name.strip("`")]
        assert any(list(value if isinstance(value, tuple) else (value,)) == numbers for value in found), (name, found)
