"""Each role's requirements contain what its code imports, and the server's contain nothing that only others need."""

import ast
import sys
from importlib.metadata import packages_distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[3]
OWN = {"container", "model_loader", "serve", "tools"}
TORCH_FREE = ("requirements-openvino.txt", "requirements.txt")
SERVING = ("requirements-torch.txt", *TORCH_FREE)
TOOLS = (*SERVING, "requirements-tools.txt")
DEVELOPMENT = (*TOOLS, "requirements-dev.txt")


def listed(*files: str) -> set[Requirement]:
    """The requirements in files of container/."""
    lines = "\n".join((ROOT / "container" / file).read_text() for file in files).splitlines()
    stripped = [line.partition("#")[0].strip() for line in lines]
    return {Requirement(line) for line in stripped if line}


def installed_by(*files: str) -> set[str]:
    """The canonical names of the packages in files of container/, and of all packages that they depend on."""
    names: set[str] = set()
    waiting = [(requirement, "") for requirement in listed(*files)]
    while waiting:
        requirement, extra = waiting.pop()
        if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
            continue
        name = canonicalize_name(requirement.name)
        if name in names and not requirement.extras:
            continue
        names.add(name)
        dependencies = [Requirement(line) for line in requires(name) or ()]
        waiting += [(each, extra) for each in dependencies for extra in ("", *requirement.extras)]
    return names


def imported_by(folder: str) -> dict[str, str]:
    """The distributions outside the standard library that a folder imports at any place, each with a file that does."""
    distributions = packages_distributions()
    found = {}
    for path in sorted((ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            modules = []
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                modules = [node.module or ""]
            for module in {each.partition(".")[0] for each in modules} - OWN - sys.stdlib_module_names:
                found[canonicalize_name(distributions.get(module, [module])[0])] = str(path.relative_to(ROOT))
    return found


@pytest.mark.parametrize(
    ("folder", "files"),
    [("container", SERVING), ("model_loader", SERVING), ("serve", SERVING), ("tools", DEVELOPMENT)],
)
def test_a_folder_imports_nothing_outside_its_requirements(folder: str, files: tuple[str, ...]) -> None:
    available = installed_by(*files)
    outside = {name: path for name, path in imported_by(folder).items() if name not in available}
    assert outside == {}


def test_the_commands_of_the_image_import_nothing_outside_the_requirements_of_tools() -> None:
    available = installed_by(*TOOLS)
    for command in ("quantize", "evaluate", "benchmark"):
        assert set(imported_by(f"tools/{command}")) <= available


def test_the_serving_environment_has_no_package_of_tools_or_tests() -> None:
    serving = installed_by(*SERVING)
    assert {"torch", "fastapi", "starlette", "tokenizers"} <= serving
    assert not serving & {
        "transformers",
        "matplotlib",
        "boto3",
        "botocore",
        "rich",
        "aiohttp",
        "pytest",
        "moto",
        "ruff",
    }


def test_the_environment_of_openvino_has_neither_torch_nor_ipex() -> None:
    packages = installed_by(*TORCH_FREE)
    assert {"openvino", "fastapi", "tokenizers"} <= packages
    assert not packages & {"torch", "intel-extension-for-pytorch", "transformers", "nncf"}


def test_every_requirement_is_in_the_file_of_one_role() -> None:
    names = [requirement.name for file in DEVELOPMENT for requirement in listed(file)]
    assert sorted(names) == sorted(set(names))


def test_every_package_that_is_installed_is_pinned() -> None:
    pinned = {canonicalize_name(each.name) for each in listed("constraints.txt", *DEVELOPMENT)}
    # torch pins CUDA's libraries and triton exactly, and only its CUDA build needs them and setuptools, for triton.
    by_torch = {name for name in installed_by("requirements-torch.txt") if name.startswith(("nvidia-", "triton"))}
    assert installed_by(*DEVELOPMENT) - pinned - by_torch - {"setuptools"} == set()
