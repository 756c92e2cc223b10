"""A container registry on localhost that asks for a password. The program is docker-registry from Debian."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import pytest

from tests.waiting import wait_until
from tools.deploy.container_image.engine import ContainerEngine
from tools.local_server import free_port

USER = "AWS"  # the user name of ECR
PASSWORD = "correct horse"
BCRYPT = "$2b$04$abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJLQc6e"  # hash of PASSWORD with the lowest cost
CONFIG = """
version: 0.1
log: {{accesslog: {{disabled: true}}}}
storage: {{filesystem: {{rootdirectory: "{folder}/images"}}}}
http: {{addr: "{host}"}}
auth: {{htpasswd: {{realm: test, path: "{folder}/passwords"}}}}
"""
# docker accepts plain HTTP on localhost without a setting; podman needs this one.
PODMAN_CONFIG = """
[[registry]]
location = "{host}"
insecure = true
"""
MANIFESTS = (  # the formats that engines push, depending on their settings
    "application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.manifest.v1+json, "
    "application/vnd.oci.image.index.v1+json"
)


class Registry:
    """A registry and its API. `host` includes the port; names of images begin with it."""

    def __init__(self, host: str) -> None:
        self.host = host

    def answers(self) -> bool:
        try:
            return self._ask("GET", "").is_success
        except httpx.TransportError:
            return False

    def tags(self, repository: str) -> list[str]:
        """Return the tags in a repository, or an empty list if the repository does not exist."""
        found = self._ask("GET", f"{repository}/tags/list")
        return found.json()["tags"] if found.is_success else []

    def media_type(self, repository: str, tag: str) -> str:
        """Return the format of an image's manifest."""
        return self._ask("HEAD", f"{repository}/manifests/{tag}").raise_for_status().headers["Content-Type"]

    def digest(self, repository: str, tag: str) -> str:
        """Return the digest of an image's manifest, such as sha256:..."""
        return self._ask("HEAD", f"{repository}/manifests/{tag}").raise_for_status().headers["Docker-Content-Digest"]

    def _ask(self, method: str, path: str) -> httpx.Response:
        url = f"http://{self.host}/v2/{path}"
        return httpx.request(method, url, auth=(USER, PASSWORD), headers={"Accept": MANIFESTS}, timeout=60)


@contextmanager
def running(engine: ContainerEngine, patch: pytest.MonkeyPatch) -> Iterator[Registry]:
    """Run an empty registry. Afterwards, remove its password and its images from the engine."""
    command = shutil.which("docker-registry")
    if command is None:
        pytest.skip("docker-registry is not installed: apt-get install docker-registry")
    with TemporaryDirectory(dir="/var/tmp") as folder:  # on disk, because /tmp may be in memory and too small
        registry = Registry(f"127.0.0.1:{free_port()}")
        for name, text in (
            ("config.yml", CONFIG.format(folder=folder, host=registry.host)),
            ("passwords", f"{USER}:{BCRYPT}\n"),
            ("podman.conf", PODMAN_CONFIG.format(host=registry.host)),
        ):
            Path(folder, name).write_text(text)
        patch.setenv("CONTAINERS_REGISTRIES_CONF", f"{folder}/podman.conf")
        with Path(folder, "log").open("wb") as log:
            process = subprocess.Popen([command, "serve", f"{folder}/config.yml"], stdout=log, stderr=log)
        try:

            def answers() -> bool:
                assert process.poll() is None, Path(folder, "log").read_text()
                return registry.answers()

            wait_until("the registry answers", answers)
            yield registry
            _forget(engine.command, registry.host)
        finally:
            process.terminate()
            process.wait()


def _forget(engine: str, host: str) -> None:
    subprocess.run([engine, "logout", host], capture_output=True)
    names = "{{.Repository}}:{{.Tag}}"
    listed = subprocess.run([engine, "images", "--format", names], capture_output=True, text=True, check=True)
    for name in listed.stdout.split():
        if name.startswith(f"{host}/"):
            subprocess.run([engine, "rmi", name], capture_output=True, check=True)
