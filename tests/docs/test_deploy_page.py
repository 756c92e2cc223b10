"""docs/deploy.md against the tools that it describes."""

import re

from tests.docs import pages

DEPLOY = (pages.DOCS / "deploy.md").read_text()


def test_flags_that_the_deployment_guide_names_exist() -> None:
    tools = ("deploy", "invoke", "evaluate", "benchmark", "local_endpoint", "quantize")
    text = "".join(pages.help_of(module) for module in ("serve", *(f"tools.{tool}" for tool in tools)))
    known = set(re.findall(r"--[a-z][a-z-]*", text)) | {"--platform", "--provenance", "--output"}  # docker's
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", DEPLOY)) <= known


def test_each_file_without_the_tool_has_a_command_that_checks_it() -> None:
    text = pages.section(pages.DOCS / "deploy.md", "Without this tool")
    files = {name for name in re.findall(r"^\| \[`(deploy/[^`]+)`\]", text, re.MULTILINE)}
    commands = dict(re.findall(r"^\| `(deploy/[^`]+)` \| (.*) \|$", text, re.MULTILINE))
    assert set(commands) == files
    for cells in commands.values():
        for path in re.findall(r"(?:tests|deploy)/[\w./-]+", cells):
            assert (pages.ROOT / path).exists(), path


def test_the_guide_names_the_steps_that_only_check() -> None:
    table = pages.section(pages.DOCS / "deploy.md", "What `up` creates")
    assert {"mode", "network", "given resources"} <= {row[0] for row in pages.rows(table)}
