"""The stage of the image that makes the demo model has every module that it imports."""

import re
from pathlib import Path

import grimp

ROOT = Path(__file__).parents[3]


def copied_in(stage: str) -> list[str]:
    """The files and folders of this project that a stage of the Dockerfile copies."""
    text = (ROOT / "Dockerfile").read_text().partition(f" AS {stage}\n")[2].partition("\nFROM ")[0]
    lines = re.findall(r"^COPY (?!--from)(.*) \S+$", text, re.MULTILINE)
    return [source for line in lines for source in line.split()]


def modules_of(command: str) -> set[str]:
    """The modules of this project that a command imports, directly or not, with those of its own package."""
    graph = grimp.build_graph("container", "model_loader", "serve", "tools")
    own = {module for module in graph.modules if module == command or module.startswith(f"{command}.")}
    return own.union(*(graph.find_upstream_modules(module) for module in own))


def test_the_stage_of_the_demo_model_has_every_module_that_quantize_imports() -> None:
    copied = {path for source in copied_in("demo") for path in ROOT.glob(source)}
    paths = [ROOT.joinpath(*module.split(".")) for module in sorted(modules_of("tools.quantize"))]
    files = [path / "__init__.py" if path.is_dir() else path.with_suffix(".py") for path in paths]
    assert len(files) > 40
    missing = [file for file in files if file.exists() and not ({file, *file.parents} & copied)]
    assert missing == []


def test_the_base_image_is_the_same_in_the_dockerfile_the_documentation_and_the_workflow() -> None:
    (default,) = re.findall(r"^ARG BASE_IMAGE=(\S+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    tag = default.partition("@")[0]
    page = (ROOT / "docs" / "image.md").read_text()
    assert f"| `BASE_IMAGE` | `{default}` |" in page
    workflow = (ROOT / ".github" / "workflows" / "publish.yml").read_text()
    named = re.findall(r"python:3[\w.-]*", page + workflow)
    assert len(named) > 5
    assert set(named) == {tag}


def test_the_page_says_that_the_digest_is_missing_as_long_as_it_is() -> None:
    (default,) = re.findall(r"^ARG BASE_IMAGE=(\S+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    says_so = "names the tag and no digest" in (ROOT / "docs" / "image.md").read_text().replace("\n", " ")
    assert says_so == ("@sha256:" not in default)
