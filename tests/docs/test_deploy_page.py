"""docs/deploy.md against the tools that it describes."""

import re

from tests.docs import pages

DEPLOY = (pages.DOCS / "deploy.md").read_text()


def test_flags_that_the_deployment_guide_names_exist() -> None:
    tools = ("deploy", "invoke", "evaluate", "benchmark", "local_endpoint", "quantize")
    text = "".join(pages.help_of(f"tools.{tool}") for tool in tools)
    known = set(re.findall(r"--[a-z][a-z-]*", text)) | {"--platform", "--provenance", "--output"}  # docker's
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", DEPLOY)) <= known
