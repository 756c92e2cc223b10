"""`make audit`: what pip-audit found, and what docs/security.md explains of it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tools.audit import is_explained, read_report, summary

ROOT = Path(__file__).parents[3]
EXPLAINED = (ROOT / "docs" / "security.md").read_text()


def report(*dependencies: dict[str, Any]) -> dict[str, Any]:
    return {"dependencies": list(dependencies), "fixes": []}


def vulnerability(identifier: str, *aliases: str) -> dict[str, Any]:
    return {"id": identifier, "aliases": list(aliases), "fix_versions": ["2.10.0"], "description": ""}


TORCH = {
    "name": "torch",
    "version": "2.8.0",
    "vulns": [
        vulnerability("PYSEC-2026-2286", "GHSA-63cw-57p8-fm3p", "CVE-2026-24747"),
        vulnerability("GHSA-63cw-57p8-fm3p", "CVE-2026-24747"),
        vulnerability("PYSEC-2099-1", "CVE-2099-1"),
    ],
}
CLEAN = {"name": "numpy", "version": "2.4.6", "vulns": []}
UNKNOWN = {"name": "ours", "skip_reason": "Dependency not found on PyPI"}


def test_a_finding_counts_once_and_is_known_by_any_of_its_names() -> None:
    audit = read_report(report(TORCH, CLEAN, UNKNOWN))
    assert [(each.name, is_explained(each, EXPLAINED)) for each in audit.findings] == [
        ("CVE-2026-24747", True),
        ("CVE-2099-1", False),
    ]
    line = summary(audit, EXPLAINED)
    assert line == "2 packages were checked: 2 findings, of which 1 are new; 1 packages could not be checked"


def test_an_audit_that_checked_nothing_does_not_look_clean() -> None:
    assert "NOTHING WAS CHECKED" in summary(read_report(report(UNKNOWN)), EXPLAINED)


@pytest.mark.parametrize(
    ("prints", "expected"),
    [
        (json.dumps(report(TORCH, CLEAN)), "2 packages were checked: 2 findings, of which 1 are new"),
        ("", "NOTHING WAS CHECKED: pip-audit could not finish: no connection"),
        (None, "NOTHING WAS CHECKED: pip-audit could not run"),
    ],
)
def test_the_command_reports_and_never_fails(tmp_path: Path, prints: str | None, expected: str) -> None:
    """A script stands for pip-audit, which ends with 1 if it finds anything, and needs a connection to its service."""
    program = tmp_path / "pip-audit"
    if prints is not None:
        program.write_text(f"#!/bin/sh\necho 'Traceback\nno connection' >&2\nprintf %s '{prints}'\nexit 1\n")
        program.chmod(0o755)
    ended = subprocess.run(
        [sys.executable, "-m", "tools.audit", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert expected in ended.stdout


def test_the_findings_about_the_pinned_versions_are_explained() -> None:
    """docs/security.md names torch's and transformers' pinned versions, so a new version needs a new look."""
    pins = "".join((ROOT / "container" / name).read_text() for name in ("requirements-torch.txt", "constraints.txt"))
    for name in ("torch", "transformers"):
        version = next(line for line in pins.splitlines() if line.startswith(f"{name}==")).split("==")[1]
        assert f"{name} {version}" in EXPLAINED
