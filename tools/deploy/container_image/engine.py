"""docker and podman by their command lines, which know the user's registries, credentials and proxies."""

import contextlib
import shutil
import subprocess
from dataclasses import dataclass

from tools.deploy.container_image.registry_login import temporary_login
from tools.errors import ToolError

ENGINES = ("docker", "podman")


@dataclass(frozen=True)
class ContainerEngine:
    """A container engine that runs on this machine. `command` is docker or podman."""

    command: str

    @staticmethod
    def find(wanted: str = "") -> "ContainerEngine":
        """Return the wanted engine, or the first one that runs if none is named.

        Raises: ToolError if no such engine is installed and running.
        """
        for command in [wanted] if wanted else ENGINES:
            if shutil.which(command) and subprocess.run([command, "info"], capture_output=True).returncode == 0:
                return ContainerEngine(command)
        raise ToolError(
            f"{wanted or ' and '.join(ENGINES)}: not installed or not running. Start it, choose another with --engine, "
            "or name an image that is already in ECR with --image-uri"
        )

    def image_id(self, image: str) -> str:
        """Return the id of a local image, in hexadecimal digits.

        Raises: ToolError if there is no such image.
        """
        try:
            output = self._run("image", "inspect", "--format", "{{.Id}}", image)
        except ToolError:
            raise ToolError(
                f"{self.command} has no image {image}: build it with `make image IMAGE={image}`, "
                "name another one with --image, or name one that is already in ECR with --image-uri"
            ) from None
        return output.strip().removeprefix("sha256:")

    def media_type(self, image: str) -> str:
        """Return the format of a local image's manifest, or "" if the engine does not say."""
        for template in ("{{.ManifestType}}", "{{.Descriptor.MediaType}}"):  # podman; docker with containerd's store
            with contextlib.suppress(ToolError):
                found = self._run("image", "inspect", "--format", template, image).strip()
                if found.startswith("application/"):
                    return found
        return ""

    def push(self, image: str, uri: str, *, user: str = "", password: str = "") -> None:
        """Push a local image to a registry, under the name `uri`, with a password if `user` is given.

        Afterwards, also after a failure, the image has only the names that it had before.

        Raises: ToolError, which ends with the last line that the engine printed.
        """
        before = self._names(image)
        self._run("tag", image, uri)
        try:
            if not user:
                self._run("push", uri, is_shown=True)
                return
            with temporary_login(uri.partition("/")[0], user, password) as environment:
                self._run("push", uri, is_shown=True, environment=environment)
        finally:
            # Without another name, the engine would remove the image itself.
            if before and uri not in before:
                with contextlib.suppress(ToolError):
                    self._run("rmi", uri)

    def _names(self, image: str) -> list[str]:
        return self._run("image", "inspect", "--format", '{{join .RepoTags " "}}', image).split()

    def _run(self, *arguments: str, is_shown: bool = False, environment: dict[str, str] | None = None) -> str:
        """Run a command of the engine and return its output. `is_shown` sends the output to the terminal instead."""
        command = (self.command, *arguments)
        pipe = None if is_shown else subprocess.PIPE
        done = subprocess.run(command, stdout=pipe, stderr=pipe, text=True, env=environment)
        if done.returncode:
            lines = (done.stderr or "").strip().splitlines()
            raise ToolError(f"`{' '.join(command)}` failed{': ' + lines[-1] if lines else ', see the output above'}")
        return done.stdout or ""
