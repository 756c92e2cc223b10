"""The SBOM lists Debian's and Python's packages, and `make audit` says what is known of Debian's."""

import importlib.metadata
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tools import debian_audit, sbom
from tools.debian_audit import audit_debian

ROOT = Path(__file__).parents[3]
STATUS = """Package: libssl3
Status: install ok installed
Architecture: amd64
Source: openssl
Version: 3.0.15-1~deb12u1
Description: Secure Sockets Layer toolkit
 Version: this line continues the description

Package: libstdc++6
Status: install ok installed
Architecture: amd64
Source: gcc-12 (12.2.0-14)
Version: 12.2.0-14+deb12u1

Package: removed
Status: deinstall ok config-files
Architecture: all
Version: 1.0

Package: passwd
Status: install ok installed
Architecture: amd64
Source: shadow
Version: 1:4.13+dfsg1-1+deb12u1
"""


@pytest.fixture
def system(tmp_path: Path) -> Path:
    """The files of a small Debian system."""
    for name, content in ((sbom.STATUS, STATUS), (sbom.RELEASE, 'ID=debian\nVERSION_ID="12"\n')):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    return tmp_path


def purls(found: dict[str, Any], kind: str) -> list[str]:
    return [each["purl"] for each in found["components"] if each.get("purl", "").startswith(f"pkg:{kind}/")]


def test_installed_debian_packages_have_package_urls_with_their_source(system: Path) -> None:
    assert purls(sbom.bill(system), "deb") == [
        "pkg:deb/debian/libssl3@3.0.15-1~deb12u1?arch=amd64&distro=debian-12&upstream=openssl",
        "pkg:deb/debian/libstdc%2B%2B6@12.2.0-14%2Bdeb12u1?arch=amd64&distro=debian-12&upstream=gcc-12%4012.2.0-14",
        "pkg:deb/debian/passwd@1:4.13%2Bdfsg1-1%2Bdeb12u1?arch=amd64&distro=debian-12&upstream=shadow",
    ]


def test_python_packages_are_those_that_are_installed(system: Path) -> None:
    found = purls(sbom.bill(system), "pypi")
    assert f"pkg:pypi/fastapi@{importlib.metadata.version('fastapi')}" in found
    assert f"pkg:pypi/pydantic-settings@{importlib.metadata.version('pydantic_settings')}" in found


def test_a_system_without_dpkg_has_no_debian_packages(tmp_path: Path) -> None:
    assert purls(sbom.bill(tmp_path), "deb") == []


def test_the_program_runs_from_its_standard_input_as_make_sbom_runs_it() -> None:
    """The image of `--target serve` has no tools, so the program may import the standard library only."""
    program = (ROOT / "tools" / "sbom.py").read_text()
    ended = subprocess.run([sys.executable, "-I", "-"], input=program, capture_output=True, text=True, check=True)
    found = json.loads(ended.stdout)
    assert (found["bomFormat"], found["specVersion"]) == ("CycloneDX", "1.6")
    references = [each["bom-ref"] for each in found["components"]]
    assert len(references) == len(set(references))
    installed = subprocess.run(["dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n"], capture_output=True)
    if installed.returncode == 0:
        names = {line.split()[0] for line in installed.stdout.decode().splitlines() if line.endswith(" installed")}
        listed = {each["name"] for each in found["components"] if each.get("purl", "").startswith("pkg:deb/")}
        assert listed == names
    (pipe,) = re.findall(r"^\t(.* < tools/sbom\.py .*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert "--network none" in pipe


def match(name: str, identifier: str, state: str, kind: str = "deb") -> dict[str, Any]:
    """A finding in the form of grype's JSON."""
    fix = {"state": state, "versions": ["2"] if state == "fixed" else []}
    return {
        "vulnerability": {"id": identifier, "severity": "High", "fix": fix},
        "artifact": {"name": name, "version": "1", "type": kind},
    }


def test_the_summary_names_the_packages_that_a_newer_base_image_fixes() -> None:
    matches = [
        match("libssl3", "CVE-2099-1", "fixed"),
        match("libssl3", "CVE-2099-1", "fixed"),
        match("tar", "CVE-2099-2", "not-fixed"),
        match("torch", "CVE-2099-3", "fixed", "python"),
    ]
    assert debian_audit.summary({"matches": matches}, 90) == (
        "90 Debian packages were checked: 2 findings, of which 1 are fixed in Debian (1 high): libssl3. "
        "Build the image again with a newer base image (docs/image.md)"
    )


@pytest.mark.parametrize(
    ("prints", "expected"),
    [
        (json.dumps({"matches": []}), "3 Debian packages were checked: 0 findings, of which 0 are fixed in Debian"),
        ("", "DEBIAN'S 3 PACKAGES WERE NOT CHECKED: grype could not finish: no database"),
        (None, "DEBIAN'S 3 PACKAGES WERE NOT CHECKED: grype is not installed"),
    ],
)
def test_a_check_that_cannot_run_does_not_look_clean(
    system: Path, monkeypatch: pytest.MonkeyPatch, prints: str | None, expected: str
) -> None:
    """A script stands for grype, which needs its database from the network."""
    programs = system / "bin"
    programs.mkdir()
    if prints is not None:
        (programs / "grype").write_text(f"#!/bin/sh\necho 'no database' >&2\nprintf %s '{prints}'\n")
        (programs / "grype").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    file = system / "sbom.json"
    file.write_text(json.dumps(sbom.bill(system)))
    assert expected in audit_debian(file)


def test_without_an_sbom_the_audit_says_how_to_make_one(tmp_path: Path) -> None:
    assert "`make sbom` make it" in audit_debian(tmp_path / "missing")
