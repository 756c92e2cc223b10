"""Report the known vulnerabilities of the pinned packages, and which of them docs/security.md explains; then Debian's.

`make audit` runs this command with pip-audit in an environment of its own. Debian's packages are those of the image's
SBOM (tools/sbom.py), and grype checks them if it is installed. The command reports and never fails: a new
advisory about an old package must not stop a change that has nothing to do with it.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tools.debian_audit import audit_debian, report_of
from tools.errors import ToolError, run
from tools.local_server import PROGRAM_DIR

PINNED = ("container/requirements-torch.txt", "container/constraints.txt")
SBOM = "build/sbom.cdx.json"  # where `make sbom` writes it


@dataclass(frozen=True)
class Finding:
    """One advisory about one package. identifiers: its id and the names that other databases give it."""

    package: str
    version: str
    identifiers: tuple[str, ...]
    fixed_in: tuple[str, ...]

    @property
    def name(self) -> str:
        """The CVE number, or the advisory's own id if it has none."""
        return next((each for each in self.identifiers if each.startswith("CVE-")), self.identifiers[0])


@dataclass(frozen=True)
class Audit:
    """What pip-audit found. checked and unchecked: packages with and without an answer from the advisory service."""

    findings: Sequence[Finding]
    checked: int
    unchecked: int


def read_report(report: dict[str, Any]) -> Audit:
    """Read the JSON report of pip-audit."""
    answered = [each for each in report["dependencies"] if "vulns" in each]
    found: dict[tuple[str, str], Finding] = {}
    for each in answered:
        for vulnerability in each["vulns"]:
            identifiers = (vulnerability["id"], *vulnerability["aliases"])
            finding = Finding(each["name"], each["version"], identifiers, tuple(vulnerability["fix_versions"]))
            found.setdefault((finding.package, finding.name), finding)  # several databases list the same CVE
    return Audit(list(found.values()), len(answered), len(report["dependencies"]) - len(answered))


def summary(audit: Audit, explained: str) -> str:
    """Return the line that says what was found. explained: the text that names the findings that are known."""
    if not audit.checked:
        return (
            f"NOTHING WAS CHECKED: the advisory service knows none of the {audit.unchecked} packages. The package "
            "index of this machine may have no advisories. Run `make audit` where pypi.org can be reached"
        )
    new = [finding for finding in audit.findings if not is_explained(finding, explained)]
    line = f"{audit.checked} packages were checked: {len(audit.findings)} findings, of which {len(new)} are new"
    return line + (f"; {audit.unchecked} packages could not be checked" if audit.unchecked else "")


def is_explained(finding: Finding, explained: str) -> bool:
    """Return whether a text names a finding by any of its identifiers."""
    return any(each in explained for each in finding.identifiers)


def _run_pip_audit(program: str) -> dict[str, Any]:
    files = [argument for name in PINNED for argument in ("-r", str(PROGRAM_DIR / name))]
    command = [program, "--no-deps", "--disable-pip", "--progress-spinner", "off", "--format", "json", *files]
    return report_of("pip-audit", command)


def _audit_python(console: Console) -> None:
    explained = (PROGRAM_DIR / "docs" / "security.md").read_text()
    try:
        audit = read_report(_run_pip_audit(sys.argv[1]))
    except ToolError as error:
        console.print(f"NOTHING WAS CHECKED: {error}", markup=False, soft_wrap=True)
        return
    table = Table()
    for column in ("package", "version", "finding", "fixed in", "docs/security.md"):
        table.add_column(column)
    for finding in sorted(audit.findings, key=lambda each: (each.package, each.name)):
        known = "explains it" if is_explained(finding, explained) else "NEW"
        table.add_row(finding.package, finding.version, finding.name, ", ".join(finding.fixed_in) or "-", known)
    if audit.findings:
        console.print(table)
    console.print(summary(audit, explained), markup=False, soft_wrap=True)


def main() -> None:
    """Print a table of the findings about Python's packages, and a line that sums up each part of the image."""
    console = Console()
    _audit_python(console)
    sbom = Path(sys.argv[2]) if len(sys.argv) > 2 else PROGRAM_DIR / SBOM
    console.print(audit_debian(sbom), markup=False, soft_wrap=True)


if __name__ == "__main__":
    run(main)
