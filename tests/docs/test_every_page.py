"""What every page must keep: links lead somewhere, and the commands and make targets that it names exist."""

import importlib.util
import json
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from tests.docs import pages

PYTHON_MODULE = re.compile(r"python -m ((?:tools|benchmarks)(?:\.\w+)+)([^`\n]*)")
PYTEST = re.compile(r"python -m (pytest [^`\n]*)")
# Argument: a list of pytest's arguments for each run. The last line of the output has the exit status of each.
COLLECT = """
import json, sys, pytest
print([int(pytest.main([*arguments, "--collect-only", "-q"])) for arguments in json.loads(sys.argv[1])])
"""


@cache
def make_targets() -> set[str]:
    listed = subprocess.run(["make", "help"], cwd=pages.ROOT, capture_output=True, text=True, check=True).stdout
    return {line.split()[0] for line in listed.splitlines()}


@pytest.mark.parametrize("page", pages.PAGES, ids=pages.name_of)
def test_links_lead_somewhere(page: Path) -> None:
    for target, anchor in re.findall(r"\]\(([^)#\s]*)(?:#([^)\s]+))?\)", page.read_text()):
        if target.startswith("https://"):
            continue
        linked = page.parent / target if target else page
        assert linked.exists(), target
        assert not anchor or anchor in pages.anchors(linked), f"{target}#{anchor}"


def test_the_index_lists_every_page_of_the_documentation() -> None:
    index = pages.DOCS / "README.md"
    linked = {(pages.DOCS / target).resolve() for target in re.findall(r"\]\(([^)#]+\.md)\)", index.read_text())}
    assert set(pages.DOCS.rglob("*.md")) - {index} <= linked


@pytest.mark.parametrize("page", pages.PAGES, ids=pages.name_of)
def test_make_targets_that_a_page_names_exist(page: Path) -> None:
    named = re.findall(r"(?:`|^|[A-Z_]=\S+ )make ([a-z-]+)", page.read_text(), re.MULTILINE)
    assert set(named) <= make_targets()


@pytest.mark.parametrize("page", pages.PAGES, ids=pages.name_of)
def test_modules_and_flags_of_the_commands_on_a_page_exist(page: Path) -> None:
    for module, arguments in PYTHON_MODULE.findall(page.read_text().replace("\\\n", " ")):
        assert importlib.util.find_spec(module), module
        for flag in re.findall(r"(?<![\w-])--[a-z][a-z0-9-]*", arguments.partition("#")[0]):
            assert re.search(rf"{flag}(?![\w-])", pages.help_of(module)), f"python -m {module} has no {flag}"


def test_commands_that_run_tests_select_some() -> None:
    """One process runs all commands, because most of the time goes into importing the tests."""
    commands = sorted(
        {command.partition("#")[0] for page in pages.PAGES for command in PYTEST.findall(page.read_text())}
    )
    arguments = [[word.strip("'\"") for word in command.split()[1:]] for command in commands]
    collect = [sys.executable, "-c", COLLECT, json.dumps(arguments)]
    run = subprocess.run(collect, cwd=pages.ROOT, capture_output=True, text=True, check=True)
    statuses = json.loads(run.stdout.splitlines()[-1])
    assert len(statuses) > 10
    assert {command for command, status in zip(commands, statuses, strict=True) if status != 0} == set(), run.stdout


@pytest.mark.parametrize("page", pages.PAGES, ids=pages.name_of)
def test_rows_of_tables_stand_in_a_table(page: Path) -> None:
    """A row after a paragraph is shown as text."""
    lines = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL).splitlines()
    for before, line in zip(["", *lines], lines, strict=False):
        assert not line.startswith("| ") or not before.strip() or before.startswith("| "), line
