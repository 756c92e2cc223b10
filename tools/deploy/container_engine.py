"""docker and podman by their command lines, which know the user's registries, credentials and proxies."""

import shutil
import subprocess
from dataclasses import dataclass

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
                f"{self.command} has no image {image}: build it (`{self.command} build -t {image} .`), "
                "name another one with --image, or name one that is already in ECR with --image-uri"
            ) from None
        return output.strip().removeprefix("sha256:")

    def push(self, image: str, uri: str, *, user: str = "", password: str = "") -> None:
        """Push a local image to a registry, under the name `uri`. Log in first if `user` is given.

        Raises: ToolError, which ends with the last line that the engine printed.
        """
        if user:
            registry = uri.partition("/")[0]
            self._run("login", "--username", user, "--password-stdin", registry, stdin=password)
        self._run("tag", image, uri)
        self._run("push", uri, is_shown=True)

    def _run(self, *arguments: str, stdin: str | None = None, is_shown: bool = False) -> str:
        """Run a command of the engine and return its output. `is_shown` sends the output to the terminal instead."""
        command = (self.command, *arguments)
        pipe = None if is_shown else subprocess.PIPE
        done = subprocess.run(command, input=stdin, stdout=pipe, stderr=pipe, text=True)
        if done.returncode:
            lines = (done.stderr or "").strip().splitlines()
            raise ToolError(f"`{' '.join(command)}` failed{': ' + lines[-1] if lines else ', see the output above'}")
        return done.stdout or ""
