"""docker or podman, through their command lines: they know the user's registries, credentials and proxies."""

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from tools.errors import ToolError

ENGINES = ("docker", "podman")


@dataclass(frozen=True)
class ContainerEngine:
    """A command that works."""

    command: str

    @staticmethod
    def find(wanted: str = "") -> "ContainerEngine":
        """The one that is wanted, or the first that answers.

        Raises: ToolError.
        """
        for command in [wanted] if wanted else ENGINES:
            if shutil.which(command) and subprocess.run([command, "info"], capture_output=True).returncode == 0:
                return ContainerEngine(command)
        raise ToolError(
            f"{wanted or ' and '.join(ENGINES)}: not installed or not running. Start it, choose with --engine, "
            "or name an image that is in ECR already with --image-uri"
        )

    def image_id(self, image: str) -> str:
        """The local image's id, hexadecimal."""
        try:
            found = self._run("image", "inspect", "--format", "{{.Id}}", image)
        except ToolError:
            raise ToolError(
                f"{self.command} has no image {image}: build it (`{self.command} build -t {image} .`), "
                "name another with --image, or one that is in ECR already with --image-uri"
            ) from None
        return found.strip().removeprefix("sha256:")

    def push(self, image: str, uri: str, *, user: str = "", password: str = "") -> None:
        """Tag a local image with a registry's name and push it there."""
        if user:
            registry = uri.partition("/")[0]
            self._run("login", "--username", user, "--password-stdin", registry, stdin=password)
        self._run("tag", image, uri)
        self._run("push", uri, shown=True)

    def _run(self, *arguments: str, stdin: str | None = None, shown: bool = False) -> str:
        """shown: the command's own progress goes to the terminal."""
        command: Sequence[str] = (self.command, *arguments)
        pipe = None if shown else subprocess.PIPE
        done = subprocess.run(command, input=stdin, stdout=pipe, stderr=pipe, text=True)
        if done.returncode:
            said = (done.stderr or "").strip().splitlines()
            raise ToolError(f"`{' '.join(command)}` failed{': ' + said[-1] if said else ', see above'}")
        return done.stdout or ""
