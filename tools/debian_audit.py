"""Check the Debian packages of an SBOM with grype, if it is installed; else say how to check them."""

import json
import shutil
import subprocess
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tools.errors import ToolError

TIMEOUT_SECONDS = 600
SEVERITIES = ("Critical", "High", "Medium", "Low", "Negligible", "Unknown")
HOW = (
    "This check needs the network. On a machine that has it, run one of: `grype sbom:build/sbom.cdx.json`; "
    "`trivy image bert-qa`; or in a container of the image as root, "
    "`apt-get update && apt-get install debsecan && debsecan --suite bookworm --only-fixed`"
)


def audit_debian(sbom: Path) -> str:
    """Return a line that says what is known of the vulnerabilities of the Debian packages in an SBOM."""
    if not sbom.is_file():
        return f"DEBIAN'S PACKAGES WERE NOT CHECKED: {sbom} is missing; `make image` and `make sbom` make it. {HOW}"
    components = json.loads(sbom.read_text())["components"]
    count = sum(each.get("purl", "").startswith("pkg:deb/") for each in components)
    if not count:
        return f"DEBIAN'S PACKAGES WERE NOT CHECKED: {sbom} lists none of them. {HOW}"
    program = shutil.which("grype")
    if program is None:
        return f"DEBIAN'S {count} PACKAGES WERE NOT CHECKED: grype is not installed. {HOW}"
    try:
        return summary(report_of("grype", [program, f"sbom:{sbom}", "--output", "json", "--quiet"]), count)
    except ToolError as error:
        return f"DEBIAN'S {count} PACKAGES WERE NOT CHECKED: {error}. {HOW}"


def summary(report: dict[str, Any], count: int) -> str:
    """Return the line that sums up grype's report. Findings without a fix are only counted."""
    found = {
        (match["artifact"]["name"], match["vulnerability"]["id"]): match["vulnerability"]
        for match in report["matches"]
        if match["artifact"]["type"] == "deb"
    }
    fixable = {key: each for key, each in found.items() if each["fix"]["state"] == "fixed"}
    severities = Counter(each["severity"] for each in fixable.values())
    listed = ", ".join(f"{severities[each]} {each.lower()}" for each in SEVERITIES if severities[each])
    line = f"{count} Debian packages were checked: {len(found)} findings, of which {len(fixable)} are fixed in Debian"
    if not fixable:
        return line
    names = ", ".join(sorted({name for name, _ in fixable}))
    return f"{line} ({listed}): {names}. Build the image again with a newer base image (docs/image.md)"


def report_of(name: str, command: Sequence[str]) -> dict[str, Any]:
    """Run a program that prints a report in JSON, and return the report. name: what messages call the program.

    Raises: ToolError if the program cannot run, takes longer than TIMEOUT_SECONDS, or prints no report.
    """
    try:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False)
        report: dict[str, Any] = json.loads(ended.stdout)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ToolError(f"{name} could not run: {error}") from None
    except ValueError:
        reason = (ended.stderr.strip().splitlines() or ["it printed no report"])[-1]
        raise ToolError(f"{name} could not finish: {reason}") from None
    return report
