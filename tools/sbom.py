"""Print the software bill of materials (SBOM) of the image: Debian's packages, Python, and Python's packages.

The format is CycloneDX 1.6 as JSON. `make sbom` pipes this program into the image and writes build/sbom.cdx.json. The
program needs the standard library only, because an image of `--target serve` has no tools.
"""

import importlib.metadata
import json
import platform
import re
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

STATUS = "var/lib/dpkg/status"  # deb822 format: https://manpages.debian.org/bookworm/dpkg-dev/deb822.5.en.html
RELEASE = "etc/os-release"
SOURCE = re.compile(r"(\S+)(?: \((\S+)\))?")  # Source: name, and the version if it differs from the package's

Component = dict[str, Any]


def debian_packages(root: Path) -> Iterator[dict[str, str]]:
    """Yield the fields of each package that dpkg has installed below a root. A distroless image has none there."""
    status = root / STATUS
    for paragraph in status.read_text().split("\n\n") if status.is_file() else ():
        fields: dict[str, str] = {}
        for line in paragraph.splitlines():
            name, colon, value = line.partition(":")
            if colon and not line.startswith((" ", "\t")):  # other lines continue the field above
                fields[name] = value.strip()
        if fields.get("Status", "").split()[-1:] == ["installed"]:
            yield fields


def debian_component(fields: dict[str, str], release: dict[str, str]) -> Component:
    """Return the component of a Debian package, with its source package, by which Debian lists vulnerabilities."""
    name, version = fields["Package"], fields["Version"]
    source = SOURCE.match(fields.get("Source", name))
    qualifiers = {
        "arch": fields["Architecture"],
        "distro": f"{release.get('ID', 'debian')}-{release.get('VERSION_ID', '')}",
    }
    if source and source[1] != name:
        qualifiers["upstream"] = f"{source[1]}@{source[2]}" if source[2] else source[1]
    return _component("deb", f"{release.get('ID', 'debian')}/{_quoted(name)}", (name, version), qualifiers)


def python_components() -> Iterator[Component]:
    """Yield a component for each Python package that this interpreter finds."""
    for found in importlib.metadata.distributions():
        name = re.sub(r"[-_.]+", "-", found.metadata["Name"]).lower()  # as PyPI normalizes names
        yield _component("pypi", _quoted(name), (name, found.version), {})


def os_release(root: Path) -> dict[str, str]:
    """Return the fields of /etc/os-release below a root, such as ID and VERSION_ID."""
    file = root / RELEASE
    lines = file.read_text().splitlines() if file.is_file() else []
    return {name: value.strip("\"'") for name, equals, value in (line.partition("=") for line in lines) if equals}


def _component(kind: str, path: str, identity: tuple[str, str], qualifiers: dict[str, str]) -> Component:
    """Return a component whose package URL follows https://github.com/package-url/purl-spec."""
    name, version = identity
    query = "&".join(f"{key}={quote(value, safe='.~-_')}" for key, value in sorted(qualifiers.items()))
    purl = f"pkg:{kind}/{path}@{_quoted(version)}" + (f"?{query}" if query else "")
    return {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}


def _quoted(text: str) -> str:
    return quote(text, safe=".~-_:")


def bill(root: Path = Path("/")) -> dict[str, Any]:
    """Return the bill of materials of this interpreter and of the system below a root."""
    release = os_release(root)
    components = [debian_component(fields, release) for fields in debian_packages(root)]
    components += python_components()
    system = {
        "type": "operating-system",
        "bom-ref": "os",
        "name": release.get("ID", "unknown"),
        "version": release.get("VERSION_ID", "unknown"),
    }
    interpreter = {"type": "platform", "bom-ref": "python", "name": "python", "version": platform.python_version()}
    unique = {component["bom-ref"]: component for component in components}
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid4()}",
        "version": 1,
        "metadata": {
            "timestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "component": {"type": "container", "bom-ref": "image", "name": "bert-qa"},
        },
        "components": [system, interpreter, *(unique[reference] for reference in sorted(unique))],
    }


if __name__ == "__main__":
    print(json.dumps(bill(), indent=1))
